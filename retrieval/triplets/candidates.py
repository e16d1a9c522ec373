"""Positives and negatives of each query crossed, and the most certain pairs of them chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .relevance import RelevancePosterior

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

MAX_POSITIVES: Final = 32
"""Positives of a query that are compared: those with the highest lower limit."""

MAX_NEGATIVES: Final = 128
"""Negatives of a query that are compared: those with the lowest upper limit."""

CROSSED: Final = 4_000_000
"""Pairs that are compared at a time."""


class Caps(NamedTuple):
    """How many triplets there may be."""

    per_query: int
    per_positive: int


@dataclass(frozen=True)
class Candidates:
    """Triplets as indices into the (query, document) counts; shape (t,) each."""

    positive: Integers
    negative: Integers
    certainty: Floats  # P(relevance of the positive > relevance of the negative)

    def __len__(self) -> int:
        return len(self.positive)

    def take(self, which: NDArray[np.bool_] | Integers) -> Candidates:
        """Return some of the triplets."""
        return Candidates(self.positive[which], self.negative[which], self.certainty[which])


def cross(
    posterior: RelevancePosterior, positives: Integers, negatives: Integers
) -> tuple[Candidates, int]:
    """Return the pairs of one query whose intervals are apart, and how many pairs' overlap.

    Parameters
    ----------
    posterior : RelevancePosterior
    positives, negatives : ndarray of int64
        Indices into its counts, ascending.
    """
    query = posterior.counts.query
    low, high = posterior.lower(positives), posterior.upper(negatives)
    best = _top(query[positives], -low, MAX_POSITIVES)
    least = _top(query[negatives], high, MAX_NEGATIVES)
    positives, low, negatives, high = positives[best], low[best], negatives[least], high[least]
    found: list[Candidates] = []
    overlapping = 0
    for left, right in _crossed(query[positives], query[negatives]):
        apart = low[left] > high[right]
        overlapping += int(len(apart) - apart.sum())
        one, other = positives[left[apart]], negatives[right[apart]]
        found.append(Candidates(one, other, posterior.greater(one, other)))
    return _joined(found), overlapping


def capped(candidates: Candidates, query: Integers, caps: Caps) -> Candidates:
    """Return the most certain candidates of every positive, and of these of every query.

    `query`, shape (t,): query of each.
    """
    of_positive = _top(candidates.positive, -candidates.certainty, caps.per_positive)
    few = candidates.take(of_positive)
    return few.take(_top(query[of_positive], -few.certainty, caps.per_query))


def _top(group: Integers, value: Floats, most: int) -> Integers:
    """Return the indices of the lowest values of each group, by group, then by value."""
    order = np.lexsort((value, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(np.append(first, len(order)))
    place = np.arange(len(order)) - np.repeat(first, sizes)
    return order[place < most]


def _crossed(left: Integers, right: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield the indices of all pairs of equal queries, some millions at a time.

    `left`, `right`: queries, ascending.
    """
    start = np.searchsorted(right, left, side="left")
    size = np.searchsorted(right, left, side="right") - start
    ends = np.cumsum(size)
    low = 0
    while low < len(left):
        before = ends[low - 1] if low else 0
        high = max(int(np.searchsorted(ends, before + CROSSED, side="right")), low + 1)
        sizes = size[low:high]
        one = np.repeat(np.arange(low, high), sizes)
        place = np.arange(len(one)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield one, start[one] + place
        low = high


def _joined(parts: list[Candidates]) -> Candidates:
    empty = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    every = parts or [empty]
    return Candidates(
        np.concatenate([part.positive for part in every]),
        np.concatenate([part.negative for part in every]),
        np.concatenate([part.certainty for part in every]),
    )
