"""Ranking metrics over many queries at once.

Every metric takes `(y, scores, group, k=10)` and returns one value a query. A query without a
positive grade has no value: it is NaN, to be left out of the mean and counted. (LightGBM counts
such a query as 1.0 and trec_eval as 0, so their means are not comparable with these.) Tied scores
get their expected value over all orders of the tied documents; see `_ranked_lists`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..._shared.metric_names import parse_metric_name
from ...errors import InvalidInputError
from .ranked_lists import RankedLists, rank_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Gain = Literal["exponential", "linear"]

_LARGEST_EXPONENT = 1000


class MetricFunction(Protocol):
    """What every metric of this module looks like."""

    def __call__(
        self, y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None = 10
    ) -> Floats:
        """Return one value a query."""
        ...


def gains(y: Floats, gain: Gain = "exponential") -> Floats:
    """Return ``2**y - 1`` ("exponential") or ``y`` ("linear").

    >>> import numpy as np
    >>> gains(np.array([0.0, 1.0, 3.0]))
    array([0., 1., 7.])
    """
    if gain == "linear":
        return y
    if gain != "exponential":
        msg = f"gain: expected 'exponential' or 'linear', got {gain!r}"
        raise InvalidInputError(msg)
    if y.max(initial=0.0) > _LARGEST_EXPONENT:
        msg = f"y: grade {y.max()} is too high for the gain 2**y - 1; use gain='linear'"
        raise InvalidInputError(msg)
    return np.exp2(y) - 1.0


def discounts(rank: NDArray[np.int64]) -> Floats:
    """Return ``1 / log2(rank + 2)`` for 0-based ranks."""
    return np.asarray(1.0 / np.log2(rank + 2.0), dtype=np.float64)


def ndcg(
    y: ArrayLike,
    scores: ArrayLike,
    group: ArrayLike,
    k: int | None = 10,
    *,
    gain: Gain = "exponential",
) -> Floats:
    """Normalised discounted cumulative gain at k (Jarvelin and Kekalainen 2002).

    DCG = sum over the first k ranks of ``gain / log2(rank + 1)``, divided by the DCG of the ideal
    order of the same documents.

    Parameters
    ----------
    y : array-like, shape (n,)
        Grades >= 0.
    scores : array-like, shape (n,)
        Higher is better; finite.
    group : array-like of int, shape (q,)
        Rows of each query.
    k : int or None
        Cut-off; None means the whole list.
    gain : {"exponential", "linear"}
        ``2**y - 1`` or ``y``.

    Returns
    -------
    ndarray of float64, shape (q,)
        Between 0 and 1; NaN where no grade is positive.

    Raises
    ------
    InvalidInputError
        If lengths disagree, a score is not finite or a grade is negative.

    Examples
    --------
    >>> ndcg([0, 1, 0, 0], [0.9, 0.5, 0.3, 0.1], [2, 2]).round(4)
    array([0.6309,    nan])
    """
    lists, k = _ranked(y, scores, group, k)
    value = gains(lists.grades, gain)
    discount = np.where(lists.within(k), discounts(lists.rank), 0.0)
    best_first = np.lexsort((-value, lists.query))
    reached = lists.per_query(lists.expected(value) * discount)
    return _ratio(reached, lists.per_query(value[best_first] * discount))


def mrr(y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None = 10) -> Floats:
    """Reciprocal rank of the first positive document; 0 if none is among the first k.

    Parameters and the returned array are those of `ndcg`.

    Examples
    --------
    >>> mrr([0, 1, 1, 0, 0], [0.9, 0.5, 0.3, 0.9, 0.1], [3, 2])
    array([0.5, nan])
    """
    lists, k = _ranked(y, scores, group, k)
    return _stopping_value(lists, (lists.grades > 0).astype(np.float64), k)


def average_precision(
    y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None = 10
) -> Floats:
    """Average precision at k; its mean over queries is MAP.

    The sum of precision@rank over the ranks up to k that hold a positive document, divided by the
    number of positive documents in the whole list (as trec_eval's ``map_cut``). Parameters and
    the returned array are those of `ndcg`.

    Examples
    --------
    >>> average_precision([1, 0, 1], [0.9, 0.5, 0.3], [3]).round(4)
    array([0.8333])
    """
    lists, k = _ranked(y, scores, group, k)
    positive = (lists.grades > 0).astype(np.float64)
    value = np.where(lists.within(k), _expected_precision_at_hits(lists, positive), 0.0)
    return _ratio(lists.per_query(value), lists.per_query(positive))


def precision(y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None = 10) -> Floats:
    """Share of positive documents among the first k.

    Divided by k even where the list is shorter, as trec_eval does; by the length of the list if k
    is None. Parameters and the returned array are those of `ndcg`.

    Examples
    --------
    >>> precision([1, 0, 1], [0.9, 0.5, 0.3], [3], k=2)
    array([0.5])
    """
    lists, k = _ranked(y, scores, group, k)
    places = lists.sizes.astype(np.float64) if k is None else np.full(lists.n_queries, float(k))
    found, positives = _found(lists, k)
    return np.where(positives > 0, _ratio(found, places), np.nan)


def recall(y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None = 10) -> Floats:
    """Share of the positive documents that is among the first k.

    Parameters and the returned array are those of `ndcg`.

    Examples
    --------
    >>> recall([1, 0, 1], [0.9, 0.5, 0.3], [3], k=2)
    array([0.5])
    """
    lists, k = _ranked(y, scores, group, k)
    return _ratio(*_found(lists, k))


def err(
    y: ArrayLike,
    scores: ArrayLike,
    group: ArrayLike,
    k: int | None = 10,
    *,
    max_grade: int | None = None,
) -> Floats:
    """Return the expected reciprocal rank (Chapelle, Metzler, Zhang and Grinspan 2009).

    The user goes down the list and stops at a document with probability
    ``(2**y - 1) / 2**max_grade``; ERR is the expected 1 / rank of the stop.

    Parameters
    ----------
    y, scores, group, k
        As in `ndcg`.
    max_grade : int, optional
        Highest grade of the scale, at least the highest of `y`. By default 4, the usual scale, or
        the highest of `y` where that is more.

    Returns
    -------
    ndarray of float64, shape (q,)
        NaN where no grade is positive.

    Examples
    --------
    >>> err([4, 0, 0, 1], [0.9, 0.5, 0.3, 0.1], [2, 2])
    array([0.9375 , 0.03125])
    """
    lists, k = _ranked(y, scores, group, k)
    highest = float(lists.grades.max(initial=0.0))
    if max_grade is not None and highest > max_grade:
        msg = f"max_grade: got {max_grade}, but y holds grade {highest:g}; give at least that"
        raise InvalidInputError(msg)
    scale = max(4.0, highest) if max_grade is None else float(max_grade)
    return _stopping_value(lists, gains(lists.grades) / np.exp2(scale), k)


def _ranked(
    y: ArrayLike, scores: ArrayLike, group: ArrayLike, k: int | None
) -> tuple[RankedLists, int | None]:
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
        msg = f"k: expected a whole number >= 1, or None for the whole list, got {k!r}"
        raise InvalidInputError(msg)
    return rank_lists(y, scores, group), k


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _found(lists: RankedLists, k: int | None) -> tuple[Floats, Floats]:
    """Count the expected positives among the first k, and positives in all, of each query."""
    positive = (lists.grades > 0).astype(np.float64)
    found = lists.per_query(np.where(lists.within(k), lists.expected(positive), 0.0))
    return found, lists.per_query(positive)


def _expected_precision_at_hits(lists: RankedLists, positive: Floats) -> Floats:
    """Return the expected value of ``positive * precision@rank`` at each place.

    At the i-th (0-based) of t tied places that hold r positives, after R positives above them:
    r / t * (R + 1 + i (r - 1) / (t - 1)) / rank.
    """
    running = np.cumsum(positive)
    start = lists.block_start[lists.block]
    above = (running - positive)[start] - (running - positive)[lists.first[lists.query]]
    hits = lists.block_sum(positive)[lists.block]
    tied = lists.block_size[lists.block]
    within = np.arange(len(positive)) - start
    tied_above = within * (hits - 1.0) / np.maximum(tied - 1, 1)
    return np.asarray(hits / tied * (above + 1.0 + tied_above) / (lists.rank + 1.0))


def _stopping_value(lists: RankedLists, stop: Floats, k: int | None) -> Floats:
    """Return the expected 1 / rank of the stop; NaN for queries without a positive."""
    depth = k if k is not None else int(lists.sizes.max(initial=0))
    after = lists.survival(stop, depth)
    before = np.ones(len(after))
    before[1:] = after[:-1]
    before[lists.rank == 0] = 1.0
    stopped = np.where(lists.within(k), before - after, 0.0)
    value = lists.per_query(stopped / (lists.rank + 1.0))
    return np.where(lists.per_query(lists.grades) > 0, value, np.nan)


_NAMES = {
    "ndcg": "nDCG",
    "mrr": "MRR",
    "rr": "MRR",
    "map": "MAP",
    "ap": "MAP",
    "p": "P",
    "precision": "P",
    "r": "R",
    "recall": "R",
    "err": "ERR",
}
_FUNCTIONS: dict[str, MetricFunction] = {
    "nDCG": ndcg,
    "MRR": mrr,
    "MAP": average_precision,
    "P": precision,
    "R": recall,
    "ERR": err,
}


@dataclass(frozen=True)
class Metric:
    """A metric and its cut-off as a small value, written like ``nDCG@10``.

    Attributes
    ----------
    name : str
        nDCG, MRR, MAP, P, R or ERR.
    k : int or None
        Cut-off; None means the whole list.

    Examples
    --------
    >>> metric = parse_metric("ndcg@1")
    >>> str(metric), metric([0, 1], [0.9, 0.5], [2])
    ('nDCG@1', array([0.]))
    """

    name: str
    k: int | None = None

    def __str__(self) -> str:
        """Return the name as the field writes it, such as ``nDCG@10``."""
        return self.name if self.k is None else f"{self.name}@{self.k}"

    def __call__(self, y: ArrayLike, scores: ArrayLike, group: ArrayLike) -> Floats:
        """Return one value a query; NaN for a query without a positive grade."""
        return _FUNCTIONS[self.name](y, scores, group, self.k)


def parse_metric(text: str) -> Metric:
    """Return the metric that a text such as ``"ndcg@10"`` or ``"MAP"`` names.

    Raises
    ------
    InvalidInputError
        If there is no such metric or the cut-off is not a whole number >= 1.

    Examples
    --------
    >>> str(parse_metric("recall@5")), str(parse_metric("map"))
    ('R@5', 'MAP')
    """
    return Metric(*parse_metric_name(text, _NAMES))
