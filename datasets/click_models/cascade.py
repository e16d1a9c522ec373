"""The cascade model.

Assumption: readers go down the list, click the first document that attracts them, and stop there.
"""

from __future__ import annotations

import numpy as np

from ..counts.cells import sum_by
from .sequential_model import SequentialData, SequentialModel, SequentialParameters
from .smoothing import beta_means


class Cascade(SequentialModel):
    """Cascade model: everything down to the first click is examined, nothing below it.

    Parameters
    ----------
    by, prior_mean, prior_strength
        See `SimplifiedDBN`.

    Attributes
    ----------
    relevance_ : ndarray of float64, shape (m,)
        P(click) if examined, of the documents of `counts_`.
    satisfaction_, continuation_ : ndarray of float64
        1: a click ends the reading, and nothing else does.
    examination_, curves_, counts_, prior_mean_
        See `ClickModel`.

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

    def _estimate(self, data: SequentialData) -> tuple[SequentialParameters, int]:
        sessions, size = data.sessions, len(data.counts)
        clicks_above = np.concatenate([[0], np.cumsum(sessions.clicked)])
        at_start = np.repeat(clicks_above[sessions.offsets[:-1]], np.diff(sessions.offsets))
        examined = sessions.weight.astype(np.float64) * (clicks_above[:-1] == at_start)
        attractiveness, mean = beta_means(
            sum_by(sessions.document, examined * sessions.clicked, size),
            sum_by(sessions.document, examined, size),
            data.prior_mean,
            self.prior_strength,
        )
        satisfied, persistent = np.ones(size), np.ones(len(data.counts.values))
        return SequentialParameters(attractiveness, satisfied, persistent, (mean, 1.0)), 0
