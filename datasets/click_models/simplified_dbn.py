"""The simplified dynamic Bayesian network: DBN without fatigue, in closed form.

Assumption: readers go down the list without tiring until a clicked document satisfies them, and
the last click of a list is the one that did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel
from .sequential_model import SequentialData, SequentialModel, SequentialParameters
from .smoothing import beta_means

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SimplifiedDBN(SequentialModel):
    """Simplified DBN: examined down to the last click, satisfied by it.

    Parameters
    ----------
    by : str, optional
        A column of `TrainingPairs.context`: `curves_` per value. The model has no parameters
        but those of the documents, which stay common.
    prior_mean : float or None
        Mean of the prior of every relevance; None for the share of clicks in all examinations.
    prior_strength : float
        Pseudo-examinations behind every relevance, and pseudo-clicks behind every satisfaction
        (around the share of last clicks in all clicks). 0 is the published estimate.

    Attributes
    ----------
    relevance_ : ndarray of float64, shape (m,)
        Attractiveness: P(click) if examined, of the documents of `counts_`.
    satisfaction_ : ndarray of float64, shape (m,)
        P(stop) after a click. Chapelle and Zhang rank by ``relevance_ * satisfaction_``.
    continuation_ : ndarray of float64
        1: readers stop only when satisfied.
    mean_satisfaction_ : float
    examination_, curves_, counts_, prior_mean_
        See `ClickModel`.

    Notes
    -----
    Chapelle and Zhang, "A Dynamic Bayesian Network Click Model for Web Search Ranking" (WWW
    2009), section 5: attractiveness is clicks by showings at or above the last click of a list
    (of all showings where nothing was clicked), satisfaction is last clicks by clicks. This is
    not the maximum of `DBN`'s likelihood at continuation 1, which leaves open whether a reader
    came to the end of a list unsatisfied; the two agree as lists grow long.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=500, click_model="dbn", random_state=0)
    >>> model = SimplifiedDBN().fit(load_pairs(log))
    >>> model.relevance_.shape == model.satisfaction_.shape
    True
    """

    def _estimate(self, data: SequentialData) -> tuple[SequentialParameters, int]:
        sessions, sums = data.sessions, np.zeros((3, len(data.counts)))
        _count_down_to_last_click(
            sessions.offsets, sessions.document, sessions.clicked, sessions.weight, sums
        )
        examined, clicks, last = sums
        strength = self.prior_strength
        attracts, attraction = beta_means(clicks, examined, data.prior_mean, strength)
        satisfies, satisfaction = beta_means(last, clicks, None, strength)
        means = attraction, satisfaction
        return SequentialParameters(attracts, satisfies, np.ones(len(data.counts.values)), means), 0


@kernel
def _count_down_to_last_click(
    offsets: NDArray[np.int64],
    document: NDArray[np.int32],
    clicked: NDArray[np.bool_],
    weight: NDArray[np.float32],
    sums: NDArray[np.float64],
) -> None:
    """Add up examinations, clicks and last clicks by document."""
    for execution in range(len(offsets) - 1):
        start, end = offsets[execution], offsets[execution + 1]
        last = end - 1
        while last >= start and not clicked[last]:
            last -= 1
        for row in range(start, last + 1 if last >= start else end):
            sums[0, document[row]] += weight[row]
            if clicked[row]:
                sums[1, document[row]] += weight[row]
        if last >= start:
            sums[2, document[last]] += weight[last]
