"""Passes over the rows of pairs, block by block.

What is computed of a block takes the memory of a block, and pages of mapped arrays are given back
after it: a pass over a log of any size holds its result alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .array_storage import give_back, unchanged_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    from .training_pairs import TrainingPairs

    RowValues: TypeAlias = Callable[["RowBlock"], NDArray[Any]]
    """Returns a value for every row of a block."""

ROWS: Final = 1 << 18
"""Rows of a block: its columns stay in the processor's cache."""

_OF_ROWS: Final = (
    *("X", "y", "clicked", "negative", "position", "document_score", "age_days", "weight"),
    *("document_code", "examination"),
)


@dataclass(frozen=True)
class RowBlock:
    """Whole executions and their rows, as indices into the arrays of `TrainingPairs`."""

    executions: slice | NDArray[np.int64]
    rows: slice | NDArray[np.int64]


def row_blocks(
    pairs: TrainingPairs,
    executions: NDArray[np.int64] | None = None,
    *,
    size: int | None = None,
) -> Iterator[RowBlock]:
    """Yield all executions, or the chosen ones, in blocks of about `size` rows.

    The memory of mapped arrays is given back after each block, so what is kept of them has to be a
    copy. `executions`: ascending.

    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> pairs = load_pairs(simulate_interactions(n_executions=5, random_state=0))
    >>> [block.rows for block in row_blocks(pairs, size=20)]
    [slice(0, 20, None), slice(20, 40, None), slice(40, 50, None)]
    >>> [len(block.rows) for block in row_blocks(pairs, np.array([0, 3, 4]), size=20)]
    [20, 10]
    """
    arrays = (getattr(pairs, name) for name in _OF_ROWS)
    used = [array for array in arrays if array is not None]
    if executions is None:
        return blocks_of(pairs.offsets, used, size)
    chosen = _chosen(pairs.offsets, executions, ROWS if size is None else size)
    return _giving_back(chosen, used)


def blocks_of(
    offsets: NDArray[np.int64], arrays: Iterable[NDArray[Any]], size: int | None = None
) -> Iterator[RowBlock]:
    """Yield all executions in blocks, and give the memory of these arrays back after each.

    `offsets`, shape (e + 1,): as `TrainingPairs.offsets`.
    """
    return _giving_back(_slices(offsets, ROWS if size is None else size), arrays)


def _giving_back(blocks: Iterable[RowBlock], arrays: Iterable[NDArray[Any]]) -> Iterator[RowBlock]:
    files = unchanged_files(*arrays)
    for block in blocks:
        yield block
        give_back(files)


def _slices(offsets: NDArray[np.int64], size: int) -> Iterator[RowBlock]:
    for start, end in _cuts(offsets, size):
        yield RowBlock(slice(start, end), slice(int(offsets[start]), int(offsets[end])))


def _chosen(
    offsets: NDArray[np.int64], executions: NDArray[np.int64], size: int
) -> Iterator[RowBlock]:
    group = offsets[executions + 1] - offsets[executions]
    ends = np.concatenate([[0], np.cumsum(group)])
    for start, end in _cuts(ends, size):
        part, sizes = executions[start:end], group[start:end]
        within = np.arange(ends[end] - ends[start]) - np.repeat(
            ends[start:end] - ends[start], sizes
        )
        yield RowBlock(part, np.repeat(offsets[part], sizes) + within)


def _cuts(offsets: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Yield first and last execution of each block; one of more rows is a block of its own."""
    start, last = 0, len(offsets) - 1
    while start < last:
        end = int(np.searchsorted(offsets, offsets[start] + size, side="right")) - 1
        end = min(max(end, start + 1), last)
        yield start, end
        start = end


def query_documents_of(pairs: TrainingPairs, block: RowBlock) -> NDArray[np.int64]:
    """Return `TrainingPairs.query_document` of the rows of a block."""
    query = pairs.query_code[block.executions].astype(np.int64)
    query *= max(len(pairs.documents), 1)
    return np.repeat(query, pairs.group[block.executions]) + pairs.document_code[block.rows]


def rows_of(block: RowBlock) -> NDArray[np.int64]:
    """Return the numbers of the rows of a block."""
    rows = block.rows
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def of_array(values: NDArray[Any]) -> RowValues:
    """Return the values of an array that has one for every row."""
    return lambda block: values[block.rows]


def collected(pairs: TrainingPairs, values: RowValues) -> NDArray[np.float64]:
    """Return the values of all rows as one array; shape (n,)."""
    found = np.empty(len(pairs))
    for block in row_blocks(pairs):
        found[block.rows] = values(block)
    return found
