"""Passes over the rows and cells of a log: examination states, counting in a hash table, sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CAPACITY: Final = 1024


def sum_by(
    index: NDArray[np.integer], values: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """Sum values by an index from 0 to size - 1."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64, copy=False)


@kernel
def last_click_states(
    offsets: NDArray[np.int64],
    position: NDArray[np.int32],
    clicked: NDArray[np.bool_],
    n_positions: int,
    state: NDArray[np.int64],
) -> int:
    """Fill in the state of every row; return the first unordered execution, or -1."""
    for execution in range(len(offsets) - 1):
        # Results that share a position do not see each other's clicks, so two are tracked: the last
        # click above the current position, and the last at or above it.
        above, latest, previous = -1, -1, -1
        for row in range(offsets[execution], offsets[execution + 1]):
            if position[row] < previous:
                return execution
            if position[row] > previous:
                above, previous = latest, position[row]
            k = min(position[row], n_positions - 1)
            state[row] = k * (k + 1) // 2 + min(above, k - 1) + 1
            if clicked[row]:
                latest = position[row]
    return -1


@kernel
def add_at(
    index: NDArray[np.integer], values: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    """Add values to the sums that they belong to, one after the other as `numpy.bincount` does."""
    for row in range(len(index)):
        sums[index[row]] += values[row]


class CellCounts:
    """Weight, clicked weight and last row of distinct numbers, while a log is read in blocks.

    Attributes
    ----------
    rows : int
        Rows that were added.
    """

    def __init__(self) -> None:
        self.rows = self._size = 0
        self._table, self._cells = _empty_table(), np.empty(_CAPACITY, np.int64)
        self._shown, self._clicks = np.empty(_CAPACITY), np.empty(_CAPACITY)
        self._last = np.empty(_CAPACITY, np.int64)

    def add(
        self, numbers: NDArray[np.int64], clicked: NDArray[np.bool_], weight: NDArray[np.float32]
    ) -> None:
        """Count the next rows; `numbers` are 0 or more."""
        (
            self._table,
            self._cells,
            self._shown,
            self._clicks,
            self._last,
            self._size,
        ) = _count_cells(
            self._table,
            self._cells,
            self._shown,
            self._clicks,
            self._last,
            self._size,
            self.rows,
            numbers,
            clicked,
            weight,
        )
        self.rows += len(numbers)

    @property
    def cells(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Distinct numbers in the order in which they appeared, and their counts."""
        every = slice(self._size)
        return self._cells[every], self._shown[every], self._clicks[every], self._last[every]


class CellIndex:
    """Distinct numbers in the order in which they appear, while a log is read in blocks."""

    def __init__(self) -> None:
        self._size = self._rows = 0
        self._table, self._cells = _empty_table(), np.empty(_CAPACITY, np.int64)
        self._first = np.empty(_CAPACITY, np.int64)

    def __len__(self) -> int:
        """Return how many distinct numbers there are."""
        return self._size

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The distinct numbers."""
        return self._cells[: self._size]

    @property
    def first(self) -> NDArray[np.int64]:
        """The row at which each of them appears first."""
        return self._first[: self._size]

    def add(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each number among the distinct ones."""
        of_row = np.empty(len(numbers), dtype=np.int64)
        self._table, self._cells, self._first, self._size = _index_cells(
            self._table, self._cells, self._first, self._size, self._rows, numbers, of_row
        )
        self._rows += len(numbers)
        return of_row


def index_cells(numbers: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cell of every row, numbered in order of appearance, and first rows of cells."""
    index = CellIndex()
    of_row = index.add(numbers.view(np.int64))
    return of_row, index.first.copy()


def lengthened(table: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a table with rows of 0 added where it has fewer than `size`; more, as it will grow."""
    if len(table) >= size:
        return table
    longer = np.zeros((max(size, 2 * len(table)), *table.shape[1:]), table.dtype)
    longer[: len(table)] = table
    return longer


def _empty_table() -> NDArray[np.int64]:
    return np.full(2 * _CAPACITY, -1, dtype=np.int64)


@kernel
def _count_cells(
    table: NDArray[np.int64],
    cells: NDArray[np.int64],
    shown: NDArray[np.float64],
    clicks: NDArray[np.float64],
    last: NDArray[np.int64],
    n: int,
    rows: int,
    packed: NDArray[np.int64],
    clicked: NDArray[np.bool_],
    weight: NDArray[np.float32],
) -> tuple[
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.int64],
    int,
]:
    """Count numbers in a hash table, which is returned with its columns, longer if need be."""
    for row in range(len(packed)):
        slot = _slot(table, cells, packed[row])
        cell = table[slot]
        if cell < 0:
            if n == len(cells):
                table, cells, last = _grown(cells), _twice(cells), _twice(last)
                shown, clicks = _twice(shown), _twice(clicks)
                slot = _slot(table, cells, packed[row])
            cell = n
            table[slot] = cell
            cells[cell], shown[cell], clicks[cell] = packed[row], 0.0, 0.0
            n += 1
        shown[cell] += weight[row]
        if clicked[row]:
            clicks[cell] += weight[row]
        last[cell] = rows + row
    return table, cells, shown, clicks, last, n


@kernel
def _index_cells(
    table: NDArray[np.int64],
    cells: NDArray[np.int64],
    first: NDArray[np.int64],
    n: int,
    rows: int,
    numbers: NDArray[np.int64],
    of_row: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Fill in the cell of every row; return the hash table and its numbers, longer if need be."""
    for row in range(len(numbers)):
        slot = _slot(table, cells, numbers[row])
        if table[slot] < 0:
            if n == len(cells):
                table, cells, first = _grown(cells), _twice(cells), _twice(first)
                slot = _slot(table, cells, numbers[row])
            table[slot] = n
            cells[n], first[n] = numbers[row], rows + row
            n += 1
        of_row[row] = table[slot]
    return table, cells, first, n


@kernel
def _grown(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a table of full cells for twice as many: at most half full, probes stay short."""
    table = np.full(4 * len(cells), -1, dtype=np.int64)
    for old in range(len(cells)):
        table[_slot(table, cells, cells[old])] = old
    return table


@kernel
def _slot(table: NDArray[np.int64], cells: NDArray[np.int64], number: np.int64) -> np.int64:
    """Return the slot of a number in the open-addressed table, or the free slot for it."""
    # Fibonacci hashing: the golden ratio spreads neighbouring numbers over the upper bits.
    mixed = np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(mixed >> np.uint64(20)) & (len(table) - 1)
    while table[slot] >= 0 and cells[table[slot]] != number:
        slot = (slot + 1) & (len(table) - 1)
    return slot


@kernel
def _twice(values: NDArray[Any]) -> NDArray[Any]:
    longer = np.empty(2 * len(values), dtype=values.dtype)
    longer[: len(values)] = values
    return longer
