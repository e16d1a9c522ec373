"""A log as counts by (query, document), position and features: what features can be fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..counts.bootstrap import ordered_queries
from ..counts.cells import CellIndex, lengthened, sum_by
from ..pairs.array_storage import gathered
from ..pairs.row_blocks import query_documents_of, row_blocks, rows_of
from ..pairs.row_digests import row_digests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pairs.row_blocks import RowBlock
    from ..pairs.training_pairs import TrainingPairs

MAX_CELLS = 100_000
"""Cells that features are fitted to; more queries than that are left out, in the order of a hash.
Two fits of trees in five folds then take some ten seconds."""

_FACTORS = np.random.default_rng(1).integers(0, 2**63, 2, np.uint64) * 2 + 1


@dataclass(frozen=True, eq=False)
class FeatureCells:
    """How often every (query, document) was shown and clicked, by position and feature values.

    p is the number of (query, document) pairs, s of their cells. The cells of a pair are
    neighbours. Features that differ between executions give a pair several cells a position.
    """

    offsets: NDArray[np.int64]  # shape (p + 1,): cell at which every pair starts, and s
    position: NDArray[np.int64]  # shape (s,): 0-based
    shown: NDArray[np.float64]  # shape (s,)
    clicks: NDArray[np.float64]  # shape (s,)
    X: NDArray[np.float32]  # shape (s, n_features)
    query: NDArray[np.int64]  # shape (p,): code of the pair's query
    n_positions: int
    categorical: tuple[int, ...]  # columns of X that hold codes
    n_queries_left_out: int  # queries beyond `MAX_CELLS`

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

    def position_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values of cells over every position; shape (n_positions,)."""
        return sum_by(self.position, values, self.n_positions)

    def first_positions(self, size: int) -> FeatureCells:
        """Return the cells at the first `size` positions, and the pairs that have any."""
        keep = self.position < size
        sizes = np.bincount(self.pair[keep], minlength=len(self))
        return replace(
            self,
            offsets=np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64),
            position=self.position[keep],
            shown=self.shown[keep],
            clicks=self.clicks[keep],
            X=self.X[keep],
            query=self.query[sizes > 0],
            n_positions=size,
        )


def feature_cells(
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None = None
) -> FeatureCells:
    """Count the pairs' rows by (query, document), position and features.

    `executions`: those to count, ascending, all by default; of them rows at position `n_positions`
    or beyond are left out.
    """
    counted = _Counted()
    for block in row_blocks(pairs, executions):
        counted.add(pairs, block, n_positions)
    key, row, shown, clicks = counted.cells
    execution = np.searchsorted(pairs.offsets, row, side="right") - 1
    query, position = pairs.query_code[execution], gathered(pairs.position, row)
    pair = query.astype(np.int64) * max(len(pairs.documents), 1)
    pair += gathered(pairs.document_code, row)
    of_cells, left_out = _chosen_cells(query, pairs)
    # By pair, then by position, then as hashed: no order of executions enters.
    order = np.lexsort((key, position, pair))
    order = order[of_cells[order]]
    start = np.flatnonzero(np.diff(pair[order], prepend=-1))
    names = list(pairs.feature_names)
    return FeatureCells(
        offsets=np.append(start, len(order)).astype(np.int64),
        position=position[order].astype(np.int64),
        shown=shown[order],
        clicks=clicks[order],
        X=np.ascontiguousarray(gathered(pairs.X, row[order])),
        query=pair[order][start] // max(len(pairs.documents), 1),
        n_positions=n_positions,
        categorical=tuple(names.index(name) for name in pairs.categories),
        n_queries_left_out=left_out,
    )


class _Counted:
    """Displays and clicks of cells, and the first row of each, while a log is read in blocks."""

    def __init__(self) -> None:
        self._index, self._total = CellIndex(), 0
        self._first: list[NDArray[np.int64]] = []
        self._sums = np.zeros((0, 2))

    def add(self, pairs: TrainingPairs, block: RowBlock, n_positions: int) -> None:
        """Count the rows of a block."""
        counted = np.flatnonzero(pairs.position[block.rows] < n_positions)
        known = len(self._index)
        cell = self._index.add(_keys(pairs, block)[counted].view(np.int64))
        first = counted[self._index.first[known:] - self._total]
        self._first.append(rows_of(block)[first])
        self._total += len(counted)
        self._sums = lengthened(self._sums, len(self._index))
        np.add.at(self._sums[:, 0], cell, 1.0)
        np.add.at(self._sums[:, 1], cell, pairs.clicked[block.rows][counted])

    @property
    def cells(
        self,
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Keys of the cells, their first rows, and how often each was shown and clicked."""
        shown, clicks = self._sums[: len(self._index)].T
        return self._index.numbers.view(np.uint64), np.concatenate(self._first), shown, clicks


def _keys(pairs: TrainingPairs, block: RowBlock) -> NDArray[np.uint64]:
    """Return a number for every row: equal for equal query, document, position and features."""
    keys = row_digests(pairs.X[block.rows])
    keys += query_documents_of(pairs, block).astype(np.uint64) * _FACTORS[0]
    keys += pairs.position[block.rows].astype(np.uint64) * _FACTORS[1]
    return keys


def _chosen_cells(query: NDArray[np.int32], pairs: TrainingPairs) -> tuple[NDArray[np.bool_], int]:
    """Return which cells belong to the queries that fit, and how many queries do not."""
    if len(query) <= MAX_CELLS:
        return np.ones(len(query), dtype=np.bool_), 0
    codes, inverse, sizes = np.unique(query, return_inverse=True, return_counts=True)
    rank = ordered_queries(codes, pairs.queries)
    total = np.empty(len(codes), dtype=np.int64)
    order = np.argsort(rank)
    total[order] = np.cumsum(sizes[order])
    fits = (total <= MAX_CELLS) | (rank == 0)
    return fits[inverse], int((~fits).sum())
