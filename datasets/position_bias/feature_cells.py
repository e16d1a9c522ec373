"""A log as counts by (query, document), position and features: what features can be fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..counts.bootstrap import ordered_queries
from ..counts.cells import sum_by
from ..pairs.row_digests import row_digests

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    pairs: TrainingPairs, n_positions: int, rows: NDArray[np.int64] | None = None
) -> FeatureCells:
    """Count the pairs' rows by (query, document), position and features.

    `rows`: those to count, all by default; of them those at position `n_positions` or beyond are
    left out.
    """
    rows = np.arange(len(pairs)) if rows is None else rows
    rows = rows[pairs.position[rows] < n_positions]
    keys = _keys(pairs, rows)
    _, first, cell_of_row = np.unique(keys, return_index=True, return_inverse=True)
    query_of_row = pairs.query_code[pairs.execution_index[rows]]
    of_cells, left_out = _chosen_cells(query_of_row[first], pairs)
    size, row = len(first), rows[first]
    shown = np.bincount(cell_of_row, minlength=size).astype(np.float64)
    clicks = sum_by(cell_of_row, pairs.clicked[rows].astype(np.float64), size)
    pair = pairs.query_document[row]
    # By pair, then by position, then as hashed: no order of executions enters.
    order = np.lexsort((pairs.position[row], pair))
    order = order[of_cells[order]]
    start = np.flatnonzero(np.diff(pair[order], prepend=-1))
    row = row[order]
    names = list(pairs.feature_names)
    return FeatureCells(
        offsets=np.append(start, len(order)).astype(np.int64),
        position=pairs.position[row].astype(np.int64),
        shown=shown[order],
        clicks=clicks[order],
        X=np.ascontiguousarray(pairs.X[row]),
        query=pair[order][start] // max(len(pairs.documents), 1),
        n_positions=n_positions,
        categorical=tuple(names.index(name) for name in pairs.categories),
        n_queries_left_out=left_out,
    )


def _keys(pairs: TrainingPairs, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for every row: equal for equal query, document, position and features."""
    keys = row_digests(pairs.X, rows)
    keys += pairs.query_document[rows].astype(np.uint64) * _FACTORS[0]
    keys += pairs.position[rows].astype(np.uint64) * _FACTORS[1]
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
