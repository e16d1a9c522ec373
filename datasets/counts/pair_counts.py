"""Counts per (query, document) and position: all that a position-bias estimator needs of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from .cells import sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

MAX_POSITIONS = 100
"""Positions counted where no `max_position` is given: matrices and states grow with its square."""


@dataclass(frozen=True)
class PairCounts:
    """How often every (query, document) was shown and clicked at every position.

    p is the number of (query, document) pairs, s of their (pair, position) cells. The cells of a
    pair are neighbours, ordered by position.
    """

    # shape (p + 1,): cell at which every pair starts, and the number of cells
    offsets: NDArray[np.int64]
    position: NDArray[np.int64]  # shape (s,): 0-based position of the cell
    shown: NDArray[np.float64]  # shape (s,): times the pair was shown there, and clicked there
    clicks: NDArray[np.float64]  # shape (s,)
    query: NDArray[np.int64]  # shape (p,): code of the pair's query
    n_positions: int  # positions that the counts cover, whether or not a row has them

    def __len__(self) -> int:
        """Return the number of (query, document) pairs."""
        return len(self.query)

    @property
    def pair(self) -> NDArray[np.int64]:
        """Pair of every cell; shape (s,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def pair_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values of cells over every pair; shape (p,)."""
        return sum_by(self.pair, values, len(self))

    def keep_cells(self, keep: NDArray[np.bool_]) -> PairCounts:
        """Return the chosen cells and the pairs that have any of them."""
        sizes = np.bincount(self.pair[keep], minlength=len(self))
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64),
            position=self.position[keep],
            shown=self.shown[keep],
            clicks=self.clicks[keep],
            query=self.query[sizes > 0],
        )

    def informative(self) -> PairCounts:
        """Return the pairs that were shown at two positions or more and clicked at least once."""
        useful = (np.diff(self.offsets) > 1) & (self.pair_sums(self.clicks) > 0)
        return self.keep_cells(useful[self.pair])

    def at_positions(self, positions: NDArray[np.int64]) -> PairCounts:
        """Return the informative counts at the given positions, renumbered in their order."""
        number = np.full(self.n_positions, -1)
        number[positions] = np.arange(len(positions))
        chosen = self.keep_cells(number[self.position] >= 0)
        renumbered = replace(chosen, position=number[chosen.position], n_positions=len(positions))
        return renumbered.informative()


def n_considered(position: NDArray[np.int32], max_position: int | None) -> int:
    """Return how many positions, from 0 on, will be counted."""
    limit = MAX_POSITIONS if max_position is None else max_position + 1
    return min(int(position.max()) + 1, limit)


def count_pairs(
    pairs: TrainingPairs, n_positions: int, rows: NDArray[np.int64] | None = None
) -> PairCounts:
    """Aggregate training pairs to counts; rows at position `n_positions` or beyond are left out.

    One sort of whole numbers without an index array: 10 million rows take about a second.
    """
    chosen = slice(None) if rows is None else rows
    position = pairs.position[chosen]
    query_document = pairs.query_document[chosen]
    clicked = pairs.clicked[chosen]
    counted = position < n_positions
    if not counted.all():
        position, query_document = position[counted], query_document[counted]
        clicked = clicked[counted]
    counts = _count(query_document, position, clicked, n_positions)
    return replace(counts, query=counts.query // max(len(pairs.documents), 1))


def _count(
    query_document: NDArray[np.int64],
    position: NDArray[np.int32],
    clicked: NDArray[np.bool_],
    n_positions: int,
) -> PairCounts:
    """Count cells by sorting (query_document, position, clicked) packed into one number."""
    names = None
    if len(query_document) and query_document.max() >= 2**62 // (2 * n_positions):
        names, query_document = np.unique(query_document, return_inverse=True)
    key = query_document * np.int64(2 * n_positions)
    key += position.astype(np.int64) * 2
    key += clicked
    key.sort()
    cell = key >> 1
    start = _run_starts(cell)
    number = cell[start] // n_positions
    first = _run_starts(number)
    return PairCounts(
        offsets=np.append(first, len(start)).astype(np.int64),
        position=cell[start] % n_positions,
        shown=np.diff(np.append(start, len(key))).astype(np.float64),
        clicks=np.add.reduceat(key & 1, start).astype(np.float64) if len(key) else np.empty(0),
        query=number[first] if names is None else names[number[first]],
        n_positions=n_positions,
    )


def _run_starts(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each run of equal values starts."""
    if len(ordered) == 0:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def require_positions(pairs: TrainingPairs) -> None:
    """Raise unless every row has a position."""
    if len(pairs) == 0:
        msg = "pairs: empty, expected at least one shown document."
        raise InvalidInputError(msg)
    if not pairs.has_positions:
        missing = int((pairs.position < 0).sum())
        msg = (
            f"pairs.position: {missing} of {len(pairs)} rows have no position (-1, as in judged "
            "lists that were never shown), expected 0-based positions. Load a log of interactions "
            "with load_pairs."
        )
        raise InvalidInputError(msg)
