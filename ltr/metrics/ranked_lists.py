"""Scored lists put in order, all at once, with ties treated as every order being equally likely.

Neither the input order nor an id may break a tie: the input order is often the production order,
so that a constant score would get production's value, and an order by id is arbitrary. So a
metric over tied scores is its expected value over all orders of the tied documents (McSherry and
Najork, "Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied
Scores", ECIR 2008). That is deterministic, does not depend on the order of rows, and gives a
constant score exactly what shuffling gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RankedLists:
    """Rows sorted by query, then by descending score; a block is a run of tied scores.

    n is the number of rows, q the number of queries, b the number of blocks.
    """

    grades: Floats  # shape (n,): in ranked order
    order: Integers  # shape (n,): row of the input at each place
    query: Integers  # shape (n,)
    sizes: Integers  # shape (q,): rows of each query and the place at which it starts
    first: Integers  # shape (q,)
    rank: Integers  # shape (n,): 0-based
    block: Integers  # shape (n,)
    block_start: Integers  # shape (b,)
    block_size: Integers  # shape (b,)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.sizes)

    @property
    def tied(self) -> bool:
        """Whether any two documents of a query have equal scores."""
        return len(self.block_start) < len(self.grades)

    def within(self, k: int | None) -> NDArray[np.bool_]:
        """Whether each place is among the first k of its query; all are if k is None."""
        return self.rank < (k if k is not None else len(self.rank) + 1)

    def block_sum(self, values: Floats) -> Floats:
        """Sum of the values of each block; shape (b,)."""
        if not len(values):
            return values
        return np.asarray(np.add.reduceat(values, self.block_start), dtype=np.float64)

    def expected(self, values: Floats) -> Floats:
        """Value expected at each place when the order within blocks is uniform; shape (n,)."""
        if not self.tied:
            return values
        return np.asarray((self.block_sum(values) / self.block_size)[self.block])

    def per_query(self, values: Floats) -> Floats:
        """Sum of the values of each query; shape (q,)."""
        sums = np.bincount(self.query, weights=values, minlength=self.n_queries)
        return sums.astype(np.float64, copy=False)

    def survival(self, stop: Floats, depth: int) -> Floats:
        """Probability that a user who stops at a document with probability `stop` passes a place.

        Returns shape (n,): probability of going on beyond each place, expected over the orders of
        tied documents; 0 at places from `depth` on, which are not computed.
        """
        passed = _products_within_blocks(self, 1.0 - stop, depth)
        ends_block = np.ones(len(stop), dtype=bool)
        ends_block[:-1] = self.block[1:] != self.block[:-1]
        longest_first = np.argsort(-self.sizes, kind="stable")
        sizes = self.sizes[longest_first]
        before = np.ones(self.n_queries)
        result = np.zeros(len(stop))
        for rank in range(min(depth, int(sizes[0]) if len(sizes) else 0)):
            lists = longest_first[: int(np.searchsorted(-sizes, -rank, side="left"))]
            place = self.first[lists] + rank
            result[place] = before[lists] * passed[place]
            before[lists] = np.where(ends_block[place], result[place], before[lists])
        return result


def _products_within_blocks(lists: RankedLists, factors: Floats, depth: int) -> Floats:
    """Return the expected product of a block's factors up to and including each place."""
    result = factors.copy()
    in_reach = lists.rank[lists.block_start] < depth
    for size in np.unique(lists.block_size[in_reach]):
        if size == 1:
            continue
        starts = lists.block_start[in_reach & (lists.block_size == size)]
        reach = min(int(size), depth)
        means = _symmetric_means(factors[starts[:, None] + np.arange(size)], reach)
        result[starts[:, None] + np.arange(reach)] = means
    return result


def _symmetric_means(factors: Floats, reach: int) -> Floats:
    """Mean product over all choices of 1, 2, ..., `reach` of each row's factors.

    Adding the i-th factor f to the means m of the first i - 1:
    m[l] <- (1 - l / i) m[l] + (l / i) f m[l - 1].
    """
    means = np.zeros((len(factors), reach + 1))
    means[:, 0] = 1.0
    for i in range(1, factors.shape[1] + 1):
        top = min(i, reach)
        share = np.arange(1, top + 1) / i
        drawn = factors[:, i - 1 : i] * means[:, :top]
        means[:, 1 : top + 1] = (1.0 - share) * means[:, 1 : top + 1] + share * drawn
    return means[:, 1:]


def rank_lists(y: ArrayLike, scores: ArrayLike, group: ArrayLike) -> RankedLists:
    """Check grades, scores and list sizes against each other, and sort.

    Raises InvalidInputError if lengths disagree, a score is NaN or infinite, or a grade is negative
    or not finite.
    """
    grades = _numbers("y", y)
    values = _numbers("scores", scores)
    sizes = _sizes(group, len(grades))
    if len(values) != len(grades):
        msg = f"scores: expected {len(grades)} values, one for each y, got {len(values)}"
        raise InvalidInputError(msg)
    if grades.min(initial=0.0) < 0:
        msg = f"y: grades must be at least 0, got {grades.min()}"
        raise InvalidInputError(msg)
    query = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((-values, query))
    return _with_blocks(grades[order], values[order], order, query, sizes)


def _with_blocks(
    grades: Floats, scores: Floats, order: Integers, query: Integers, sizes: Integers
) -> RankedLists:
    first = np.cumsum(sizes) - sizes
    rank = np.arange(len(grades)) - first[query]
    starts = rank == 0
    starts[1:] |= scores[1:] != scores[:-1]
    block_start = np.flatnonzero(starts)
    return RankedLists(
        grades=grades,
        order=order,
        query=query,
        sizes=sizes,
        first=first,
        rank=rank,
        block=np.cumsum(starts) - 1,
        block_start=block_start,
        block_size=np.diff(np.append(block_start, len(grades))),
    )


def _numbers(name: str, values: ArrayLike) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name}: expected numbers, got {type(values).__name__}: {error}"
        raise InvalidInputError(msg) from error
    if array.ndim != 1:
        msg = f"{name}: expected one dimension, got shape {array.shape}"
        raise InvalidInputError(msg)
    bad = ~np.isfinite(array)
    if bad.any():
        row = int(np.argmax(bad))
        msg = f"{name}: every value must be finite, got {array[row]} in row {row}"
        raise InvalidInputError(msg)
    return array


def _sizes(group: ArrayLike, rows: int) -> Integers:
    raw = np.asarray(group)
    if raw.ndim != 1 or (raw.size and raw.dtype.kind not in "iu") or raw.min(initial=0) < 0:
        msg = "group: expected the number of rows of each query, as whole numbers >= 0"
        raise InvalidInputError(msg)
    sizes = raw.astype(np.int64)
    if sizes.sum() != rows:
        msg = f"group: sizes sum to {sizes.sum()}, but y has {rows} rows; they must be equal"
        raise InvalidInputError(msg)
    return sizes
