"""The cascade model.

Assumption: readers go down the list, click the first document that attracts them, and stop there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._reading import Reading, ReadingModel, Sessions
from ._shares import leaning_shares, sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .counts import ClickCounts


class Cascade(ReadingModel):
    """Cascade model: everything down to the first click is examined, nothing below it.

    Parameters
    ----------
    by : str, optional
        A column of `TrainingPairs.context`: `curves_` per value. The model has no parameters
        but the documents' own, which stay common.
    prior_mean : float or None
        Mean of the prior of every relevance; None for the share of clicks in all examinations.
    prior_strength : float
        Pseudo-examinations behind every relevance. 0 is maximum likelihood.

    Attributes
    ----------
    relevance_ : ndarray of float64, shape (m,)
        P(click) if examined, of the documents of `counts_`.
    examination_ : ndarray of float64, shape (n_positions,)
        Mean examination by position in the log, relative to position 0.
    curves_ : dict of str to ndarray of float64
        With `by`: value -> examination of its lists.
    satisfaction_, continuation_ : ndarray of float64
        1: a click ends the reading, and nothing else does.
    counts_ : ClickCounts
    prior_mean_ : float

    Notes
    -----
    Craswell, Zoeter, Taylor and Ramsey, "An Experimental Comparison of Click Position-Bias
    Models" (WSDM 2008). In closed form: first clicks by examinations. It cannot explain a second
    click: the fit leaves out what follows the first, and in `log_likelihood` and `perplexity` a
    second click has the probability of a millionth. Use `SimplifiedDBN` or `DBN` if there are any.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=500, click_model="cascade", random_state=0)
    >>> model = Cascade().fit(load_pairs(log))
    >>> bool((np.diff(model.examination_) < 0).all())
    True
    """

    def _estimate(
        self,
        counts: ClickCounts,
        sessions: Sessions,
        weight: NDArray[np.float64],  # noqa: ARG002 - documents have nothing in common
        start: Reading | None,  # noqa: ARG002 - nor is there anything to repeat
        known: NDArray[np.float64] | None = None,  # noqa: ARG002
    ) -> tuple[Reading, int]:
        clicks_so_far = np.concatenate([[0], np.cumsum(sessions.clicked)])
        before = np.repeat(clicks_so_far[sessions.offsets[:-1]], np.diff(sessions.offsets))
        examined = sessions.weight * (clicks_so_far[:-1] == before)
        size = len(counts)
        attractiveness, mean = leaning_shares(
            sums(sessions.document, examined * sessions.clicked, size),
            sums(sessions.document, examined, size),
            self.prior_mean,
            self.prior_strength,
        )
        satisfied, persistent = np.ones(size), np.ones(len(counts.values))
        return Reading(attractiveness, satisfied, persistent, (mean, 1.0)), 0
