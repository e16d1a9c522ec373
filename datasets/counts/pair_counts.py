"""Counts per (query, document) and position: all that a position-bias estimator needs of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ...errors import InvalidInputError
from ..pairs.row_blocks import query_documents_of, row_blocks
from .cells import sum_by
from .key_packing import KeyPacking

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

    _Cells: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """Cells, and how often each was shown and clicked."""

MAX_POSITIONS = 100
"""Positions counted where no `max_position` is given: matrices and states grow with its square."""

_SORTED_AT_ONCE: Final = 1 << 23


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
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None = None
) -> PairCounts:
    """Aggregate training pairs to counts; rows at position `n_positions` or beyond are left out.

    One sort of whole numbers without an index array: 10 million rows take about a second. Larger
    logs are counted in parts. `executions`: those to count, ascending; all by default.
    """
    packing = KeyPacking(pairs, n_positions)
    nothing = np.empty(0, np.int64)
    parts = []
    for block in row_blocks(pairs, executions, size=_SORTED_AT_ONCE):
        position = pairs.position[block.rows]
        key = query_documents_of(pairs, block)
        clicked = pairs.clicked[block.rows]
        counted = position < n_positions
        if not counted.all():
            position, key, clicked = position[counted], key[counted], clicked[counted]
        parts.append(_count(packing.pack(key, position.astype(np.int64)), clicked))
    cells, shown, clicks = _merged(parts or [(nothing, nothing, nothing)])
    order, key, of_cell = packing.ordered(cells)
    first = _run_starts(key)
    return PairCounts(
        offsets=np.append(first, len(key)).astype(np.int64),
        position=of_cell,
        shown=shown[order].astype(np.float64),
        clicks=clicks[order].astype(np.float64),
        query=key[first] // max(len(pairs.documents), 1),
        n_positions=n_positions,
    )


def _count(cell: NDArray[np.int64], clicked: NDArray[np.bool_]) -> _Cells:
    """Count cells by sorting them with clicks, packed into one number."""
    key = cell * 2
    key += clicked
    key.sort()
    cell = key >> 1
    start = _run_starts(cell)
    shown = np.diff(np.append(start, len(key)))
    return cell[start], shown, np.add.reduceat(key & 1, start) if len(key) else shown


def _merged(parts: list[_Cells]) -> _Cells:
    """Return the counts of all parts together."""
    if len(parts) == 1:
        return parts[0]
    cell, shown, clicks = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(cell, kind="stable")  # which merges what ascends already
    cell = cell[order]
    start = _run_starts(cell)
    return cell[start], np.add.reduceat(shown[order], start), np.add.reduceat(clicks[order], start)


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
