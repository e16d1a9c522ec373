"""How sure a difference between two rankers is: the paired bootstrap over queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.summary import Summary, Table, interval
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_CELLS = 1 << 22


class PairedDifference(NamedTuple):
    """Difference of two means over the same queries.

    Attributes
    ----------
    difference : float
        Mean of a minus mean of b.
    interval : tuple of float
        Lower and upper end of the percentile interval.
    p : float
        Two-sided: how often a difference this large comes up when there is none.
    """

    difference: float
    interval: tuple[float, float]
    p: float

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        row = (self.difference, interval(self.interval, "+.4f"), self.p)
        return Summary("PairedDifference", [Table.of(["difference", "interval", "p"], [row])])


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    n: int = 2000,
    random_state: int | np.random.Generator | None = 0,
    confidence: float = 0.95,
    *,
    weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
) -> PairedDifference:
    """Compare two rankers by their values on the same queries.

    Queries are drawn with replacement; the difference of the means is taken over each draw
    (Efron and Tibshirani 1993; Sakai, SIGIR 2006). The interval holds its middle `confidence`;
    ``p = (1 + #{|d* - d| >= |d|}) / (n + 1)`` for the difference d and the draws' d*.

    Parameters
    ----------
    a, b : array-like, shape (q,)
        Values a query, such as `ndcg` gives; a query that is NaN in either is left out.
    n : int
        Draws.
    random_state : int, numpy Generator or None
    confidence : float
        Between 0 and 1.
    weight : array-like, shape (q,), optional
        What each query counts in the means.
    cluster : array-like of int, shape (q,), optional
        Drawn whole: executions of one query are not independent.

    Returns
    -------
    PairedDifference

    Raises
    ------
    InvalidInputError
        If shapes differ, or no query has both values.

    Examples
    --------
    >>> result = paired_bootstrap([0.9, 0.8, 0.7, 0.9], [0.5, 0.6, 0.5, 0.4])
    >>> round(result.difference, 3), result.p < 0.05
    (0.325, True)
    """
    weights = np.ones(np.shape(a)) if weight is None else np.asarray(weight, dtype=np.float64)
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    clusters = np.arange(len(first)) if cluster is None else np.asarray(cluster)
    _check(first, second, weights, clusters, n, confidence)
    used = np.isfinite(first) & np.isfinite(second) & (weights > 0)
    if not used.any():
        msg = "a, b: no query has a value in both, so there is nothing to compare"
        raise InvalidInputError(msg)
    total, count = _per_cluster((first - second)[used], weights[used], clusters[used])
    difference = float(total.sum() / count.sum())
    draws = _draws(total, count, n, np.random.default_rng(random_state))
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    extreme = int((np.abs(draws - difference) >= abs(difference)).sum())
    return PairedDifference(difference, (float(low), float(high)), (1 + extreme) / (n + 1))


def _per_cluster(
    difference: Floats, weight: Floats, cluster: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Sum of weighted differences and of weights of each cluster."""
    _, index = np.unique(cluster, return_inverse=True)
    total = np.bincount(index, weights=difference * weight)
    return total.astype(np.float64), np.bincount(index, weights=weight).astype(np.float64)


def _draws(total: Floats, count: Floats, n: int, generator: np.random.Generator) -> Floats:
    """Mean difference of every draw; a bounded number of cells at a time."""
    clusters = len(total)
    result = np.empty(n)
    step = max(1, _CELLS // clusters)
    for start in range(0, n, step):
        stop = min(n, start + step)
        drawn = generator.integers(0, clusters, size=(stop - start, clusters))
        result[start:stop] = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    return result


def _check(
    a: Floats, b: Floats, weight: Floats, cluster: NDArray[np.int64], n: int, confidence: float
) -> None:
    if a.ndim != 1 or not a.shape == b.shape == weight.shape == cluster.shape:
        shapes = f"{a.shape}, {b.shape}, {weight.shape} and {cluster.shape}"
        msg = f"a, b, weight, cluster: expected one dimension and equal lengths, got {shapes}"
        raise InvalidInputError(msg)
    if np.isinf(a).any() or np.isinf(b).any():
        msg = "a, b: values must be finite, or NaN for a query to be left out"
        raise InvalidInputError(msg)
    if n < 1 or not 0 < confidence < 1:
        msg = f"n must be at least 1 and confidence between 0 and 1, got {n} and {confidence}"
        raise InvalidInputError(msg)
