"""Metrics on clicks, corrected for position bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .ranked_lists import rank_lists
from .ranking import discounts, gains

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


def examination_weights(y: ArrayLike, examination: ArrayLike, clip: float) -> Floats:
    """Return what finding each row is worth: gain / examination, 0 for a row without a click.

    `y`, shape (n,): grades. `examination`, shape (n,): relative to the first position. `clip`:
    smallest examination counted: no gain is multiplied by more than 1 / clip.

    >>> examination_weights([1, 0, 1], [1.0, 0.5, 0.01], clip=0.1)
    array([ 1.,  0., 10.])
    """
    grades = np.asarray(y, dtype=np.float64)
    return np.asarray(gains(grades) / np.maximum(np.asarray(examination, dtype=np.float64), clip))


def examination_weighted_dcg(
    y: ArrayLike,
    scores: ArrayLike,
    group: ArrayLike,
    examination: ArrayLike,
    *,
    clip: float = 0.05,
) -> tuple[Floats, Floats]:
    """DCG of the clicks, each counted 1 / examination, in parts that make a ratio.

    Per execution: the sum over clicks of ``gain / examination / log2(rank + 1)`` under the new
    order, and the sum of ``gain / examination``. The sum of the first over that of the second is
    the self-normalised estimate: the mean discount of relevant documents (Agarwal,
    Takatsu, Zaitsev and Joachims, "A General Framework for Counterfactual Learning-to-Rank",
    SIGIR 2019; self-normalised as in Swaminathan and Joachims, NeurIPS 2015).

    Parameters
    ----------
    y, scores, group
        As in `rankloom.ltr.ndcg`.
    examination : array-like, shape (n,)
        Probability of examination relative to the first position, above 0.
    clip : float
        Smallest examination counted.

    Returns
    -------
    weighted, weight : ndarray of float64, shape (q,)

    Examples
    --------
    >>> weighted, weight = examination_weighted_dcg([0, 1], [0.2, 0.9], [2], [1.0, 0.5])
    >>> weighted, weight
    (array([2.]), array([2.]))
    """
    lists = rank_lists(y, scores, group)
    weights = examination_weights(y, examination, clip)[lists.order]
    dcg = lists.expected(weights) * discounts(lists.rank)
    return lists.per_query(dcg), lists.per_query(weights)


def mean_discounts(
    y: ArrayLike,
    scores: ArrayLike,
    group: ArrayLike,
    examination: ArrayLike,
    *,
    clip: float = 0.05,
) -> tuple[Floats, Floats]:
    """Return the examination-weighted DCG of each execution as a mean, and that mean's weight.

    The mean discount of an execution's clicks, each counted ``gain / examination``, NaN without a
    click; the mean over executions by these weights is the self-normalised estimate of
    `examination_weighted_dcg`, whose parameters these are.

    >>> value, weight = mean_discounts([0, 1, 0], [0.2, 0.9, 0.1], [2, 1], [1.0, 0.5, 1.0])
    >>> value, weight
    (array([ 1., nan]), array([2., 0.]))
    """
    dcg, weight = examination_weighted_dcg(y, scores, group, examination, clip=clip)
    return np.divide(dcg, weight, out=np.full(len(dcg), np.nan), where=weight > 0), weight
