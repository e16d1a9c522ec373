"""Passes over the rows and cells of a log: examination states, counting in a hash table, sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sum_by(index: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
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
def count_cells(
    packed: NDArray[np.int64], clicked: NDArray[np.bool_], weight: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Count cells in a hash table: distinct numbers, weight, clicked weight and last row."""
    capacity, n = 1024, 0
    table = np.full(2 * capacity, -1, dtype=np.int64)
    cells = np.empty(capacity, dtype=np.int64)
    shown, clicks = np.empty(capacity), np.empty(capacity)
    last = np.empty(capacity, dtype=np.int64)
    for row in range(len(packed)):
        slot = _slot(table, cells, packed[row])
        cell = table[slot]
        if cell < 0:
            if n == capacity:
                # At most half full: probes stay short.
                capacity *= 2
                cells, last = _twice(cells), _twice(last)
                shown, clicks = _twice(shown), _twice(clicks)
                table = np.full(2 * capacity, -1, dtype=np.int64)
                for old in range(n):
                    table[_slot(table, cells, cells[old])] = old
                slot = _slot(table, cells, packed[row])
            cell = n
            table[slot] = cell
            cells[cell], shown[cell], clicks[cell] = packed[row], 0.0, 0.0
            n += 1
        shown[cell] += weight[row]
        if clicked[row]:
            clicks[cell] += weight[row]
        last[cell] = row
    return cells[:n].copy(), shown[:n].copy(), clicks[:n].copy(), last[:n].copy()


@kernel
def index_cells(numbers: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cell of every row, numbered in order of appearance, and first rows of cells."""
    capacity, n = 1024, 0
    table = np.full(2 * capacity, -1, dtype=np.int64)
    cells = np.empty(capacity, dtype=np.int64)
    first = np.empty(capacity, dtype=np.int64)
    of_row = np.empty(len(numbers), dtype=np.int64)
    for row in range(len(numbers)):
        number = np.int64(numbers[row])
        slot = _slot(table, cells, number)
        if table[slot] < 0:
            if n == capacity:
                capacity *= 2
                cells, first = _twice(cells), _twice(first)
                table = np.full(2 * capacity, -1, dtype=np.int64)
                for old in range(n):
                    table[_slot(table, cells, cells[old])] = old
                slot = _slot(table, cells, number)
            table[slot] = n
            cells[n], first[n] = number, row
            n += 1
        of_row[row] = table[slot]
    return of_row, first[:n].copy()


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
