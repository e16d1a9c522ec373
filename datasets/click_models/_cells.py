"""Compiled passes over the rows of a log: examination states, and counting in a hash table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        above, here, previous = -1, -1, -1  # last clicks: above this position, and at or above it
        for row in range(offsets[execution], offsets[execution + 1]):
            if position[row] < previous:
                return execution
            if position[row] > previous:
                above, previous = here, position[row]
            place = min(position[row], n_positions - 1)
            state[row] = place * (place + 1) // 2 + min(above, place - 1) + 1
            if clicked[row]:
                here = position[row]
    return -1


@kernel
def count_cells(
    packed: NDArray[np.int64], clicked: NDArray[np.bool_], weight: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Count cells in a hash table: distinct numbers, weight, clicked weight and last row."""
    room, n = 1024, 0
    table = np.full(2 * room, -1, dtype=np.int64)
    cells = np.empty(room, dtype=np.int64)
    shown, clicks = np.empty(room), np.empty(room)
    last = np.empty(room, dtype=np.int64)
    for row in range(len(packed)):
        slot = _slot(table, cells, packed[row])
        cell = table[slot]
        if cell < 0:
            if n == room:
                room *= 2
                cells, last = _twice(cells), _twice(last)
                shown, clicks = _twice(shown), _twice(clicks)
                table = np.full(2 * room, -1, dtype=np.int64)
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
def _slot(table: NDArray[np.int64], cells: NDArray[np.int64], number: np.int64) -> np.int64:
    """Return where a number stands in the open-addressed table, or the free slot for it."""
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
