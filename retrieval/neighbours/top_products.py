"""The largest entries of every row of a product of two sparse matrices, row by row.

The product itself is never held: each row is summed up in an array as long as the product is
wide, from which the k largest entries are taken.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import sparse

from ..._shared.jit import kernel
from ..._shared.threads import available_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE: Final = np.int32(-1)
"""Column of an entry that a row does not have."""

_DENSE: Final = 1
"""Rows that take more than 1 multiplication per so many columns are searched from end to end."""

_ROWS_PER_TASK: Final = 2_048


@kernel
def _sink(score: NDArray[np.float32], column: NDArray[np.int32], place: int, size: int) -> None:
    """Restore a heap whose lowest entry is on top, after the entry at `place` has changed.

    Of equal scores the one with the higher column is lower.
    """
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        right = child + 1
        if right < size and (
            score[right] < score[child]
            or (score[right] == score[child] and column[right] > column[child])
        ):
            child = right
        if score[child] > score[place] or (
            score[child] == score[place] and column[child] < column[place]
        ):
            return
        score[child], score[place] = score[place], score[child]
        column[child], column[place] = column[place], column[child]
        place = child


@kernel
def _offer(
    score: NDArray[np.float32],
    column: NDArray[np.int32],
    size: int,
    new_score: float,
    new_column: int,
) -> int:
    """Add an entry to a heap that keeps the highest; return the new size."""
    if size < len(score):
        place = size
        while place > 0:
            parent = (place - 1) // 2
            if score[parent] < new_score or (
                score[parent] == new_score and column[parent] > new_column
            ):
                break
            score[place], column[place] = score[parent], column[parent]
            place = parent
        score[place], column[place] = new_score, new_column
        return size + 1
    if new_score > score[0] or (new_score == score[0] and new_column < column[0]):
        score[0], column[0] = new_score, new_column
        _sink(score, column, 0, size)
    return size


@kernel
def _top_rows(  # noqa: C901, PLR0912 - calls from the inner loops cost more than the work
    first: int,
    end: int,
    left: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    right_starts: NDArray[Any],
    right_columns: NDArray[np.int32],
    right_data: NDArray[np.float32],
    without: tuple[NDArray[Any], NDArray[Any]],
    without_self: bool,  # noqa: FBT001 - kernels take arguments by position
    columns: NDArray[np.int32],
    scores: NDArray[np.float32],
    n_columns: int,
) -> None:
    """Fill in the highest positive entries of rows `first` to before `end`, best first."""
    left_starts, left_columns, left_data = left
    sums = np.zeros(n_columns, np.float64)
    touched = np.empty(n_columns // _DENSE + 1, np.int32)
    for row in range(first, end):
        work = 0
        for i in range(left_starts[row], left_starts[row + 1]):
            inner = left_columns[i]
            work += right_starts[inner + 1] - right_starts[inner]
        dense = work > n_columns // _DENSE
        n_touched = 0
        for i in range(left_starts[row], left_starts[row + 1]):
            inner, factor = left_columns[i], np.float64(left_data[i])
            if dense:
                for j in range(right_starts[inner], right_starts[inner + 1]):
                    sums[right_columns[2 * j]] += factor * right_data[2 * j + 1]
            else:
                for j in range(right_starts[inner], right_starts[inner + 1]):
                    column = right_columns[2 * j]
                    if sums[column] == 0.0:
                        # A column whose sum returns to 0 comes twice; the second time it is empty.
                        touched[n_touched] = column
                        n_touched += 1
                    sums[column] += factor * right_data[2 * j + 1]
        if without_self:
            sums[row] = 0.0
        if len(without[0]):
            for i in range(without[0][row], without[0][row + 1]):
                sums[without[1][i]] = 0.0
        score, column_of = scores[row], columns[row]
        size = 0
        for t in range(n_columns if dense else n_touched):
            column = t if dense else touched[t]
            value = float(np.float32(sums[column]))
            sums[column] = 0.0
            if value > 0 and (size < len(score) or value >= score[0]):
                size = _offer(score, column_of, size, value, column)
        _sort(score, column_of, size)


@kernel
def _sort(score: NDArray[np.float32], column: NDArray[np.int32], size: int) -> None:
    """Sort a heap, the highest first."""
    while size > 1:
        size -= 1
        score[0], score[size] = score[size], score[0]
        column[0], column[size] = column[size], column[0]
        _sink(score, column, 0, size)


def top_products(
    left: sparse.csr_matrix,
    right: sparse.csr_matrix,
    k: int,
    *,
    without: sparse.csr_matrix | None = None,
    without_self: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return columns and values, shape (rows, k), of the largest positive entries of left @ right.

    Best first, of equal ones the lower column; `NONE` and 0 where a row has fewer. `without`: a
    matrix of the product's shape whose entries are passed over. `without_self`: whether the
    diagonal is. Sums are in double precision.
    """
    rows, width = left.shape[0], right.shape[1]
    columns = np.full((rows, k), NONE, np.int32)
    scores = np.zeros((rows, k), np.float32)
    no_entries = (np.empty(0, np.int32), np.empty(0, np.int32))
    passed_over = no_entries if without is None else (without.indptr, without.indices)

    # Column and value of an entry share a cache line: rows of `right` are read at random.
    paired = np.empty(2 * right.nnz, np.int32)
    paired[::2] = right.indices
    paired[1::2] = right.data.astype(np.float32, copy=False).view(np.int32)

    def fill(first: int) -> None:
        end = min(first + _ROWS_PER_TASK, rows)
        _top_rows(
            first,
            end,
            (left.indptr, left.indices, left.data),
            right.indptr,
            paired,
            paired.view(np.float32),
            passed_over,
            without_self,
            columns,
            scores,
            width,
        )

    with ThreadPoolExecutor(available_threads(), "rankloom-products") as threads:
        list(threads.map(fill, range(0, rows, _ROWS_PER_TASK)))
    return columns, scores


def as_csr(
    columns: NDArray[np.int32], scores: NDArray[np.float32], width: int
) -> sparse.csr_matrix:
    """Return what `top_products` found as a matrix; entries of a row stay in their order."""
    found = columns != NONE
    starts = np.zeros(len(columns) + 1, np.int64)
    np.cumsum(found.sum(axis=1), out=starts[1:])
    return sparse.csr_matrix((scores[found], columns[found], starts), (len(columns), width))
