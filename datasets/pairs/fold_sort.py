"""Compiled sorting: the rows of one execution into runs of one document.

Kernels here take flat arrays and bounds instead of tuples and slices: numba counts references to
every array that is sliced or unpacked, which took most of the time. Loops replace slice assignment
and np.sort, which take seconds to compile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INSERTION_SORT_UP_TO = 24
_LOW = (1 << 32) - 1


@kernel
def _sort(
    keys: NDArray[np.int64], n: int, order: NDArray[np.int32], spare: NDArray[np.int32]
) -> None:
    """Fill `order` with 0..n-1 sorted by the three rows of `keys`, the first one leading.

    Insertion sort of short runs, then bottom-up merges: executions are short, but a robot's may
    hold a million rows.
    """
    for low in range(0, n, _INSERTION_SORT_UP_TO):
        for i in range(low, min(low + _INSERTION_SORT_UP_TO, n)):
            j = i - 1
            while j >= low and _before(keys, i, order[j]):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = i
    width = _INSERTION_SORT_UP_TO
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            i, j = low, middle
            for k in range(low, high):
                if j >= high or (i < middle and not _before(keys, order[j], order[i])):
                    spare[k] = order[i]
                    i += 1
                else:
                    spare[k] = order[j]
                    j += 1
        for k in range(n):
            order[k] = spare[k]
        width *= 2


@kernel
def _before(keys: NDArray[np.int64], a: int, b: int) -> bool:
    if keys[0, a] != keys[0, b]:
        return bool(keys[0, a] < keys[0, b])
    if keys[1, a] != keys[1, b]:
        return bool(keys[1, a] < keys[1, b])
    return bool(keys[2, a] < keys[2, b])


@kernel
def _insertion_sort(packed: NDArray[np.int64], n: int) -> None:
    """Sort the first n numbers in place."""
    for i in range(1, n):
        value = packed[i]
        j = i - 1
        while j >= 0 and packed[j] > value:
            packed[j + 1] = packed[j]
            j -= 1
        packed[j + 1] = value


@kernel
def _sort_short(
    rank: NDArray[np.int32],
    document: NDArray[np.int32],
    time: NDArray[np.int64],
    position: NDArray[np.int32],
    chosen: NDArray[np.int32],
    m: int,
    packed: NDArray[np.int64],
    run: NDArray[np.int32],
) -> None:
    """Sort a short execution's rows by (document, time, position).

    One number holds a document's rank and the row's place; nearly all documents have one row, so
    that the other keys are seldom looked at.
    """
    for i in range(m):
        packed[i] = (np.int64(rank[document[chosen[i]]]) << 32) | i
    _insertion_sort(packed, m)
    for i in range(m):
        row = chosen[packed[i] & _LOW]
        j = i - 1
        while (
            j >= 0
            and document[run[j]] == document[row]
            and (time[row], position[row]) < (time[run[j]], position[run[j]])
        ):
            run[j + 1] = run[j]
            j -= 1
        run[j + 1] = row


@kernel
def find_runs(
    rank: NDArray[np.int32],
    document: NDArray[np.int32],
    time: NDArray[np.int64],
    position: NDArray[np.int32],
    chosen: NDArray[np.int32],
    m: int,
    keys: NDArray[np.int64],
    run: NDArray[np.int32],
    bounds: NDArray[np.int32],
    order: NDArray[np.int32],
    spare: NDArray[np.int32],
) -> int:
    """Sort an execution's `m` chosen rows into runs of one document; return how many there are.

    `run` gets the rows by (document, time, position), `bounds` where each run starts and the end
    of the last, `order` the runs by (position of the earliest row, document).
    """
    packed = keys[0]
    if m <= _INSERTION_SORT_UP_TO:
        _sort_short(rank, document, time, position, chosen, m, packed, run)
    else:
        for i in range(m):
            row = chosen[i]
            keys[0, i], keys[1, i], keys[2, i] = rank[document[row]], time[row], position[row]
        _sort(keys, m, order, spare)
        for i in range(m):
            run[i] = chosen[order[i]]
    n = 0
    for i in range(m):
        if i == 0 or document[run[i]] != document[run[i - 1]]:
            bounds[n] = i
            keys[0, n], keys[1, n], keys[2, n] = position[run[i]], n, 0
            n += 1
    bounds[n] = m
    if n > _INSERTION_SORT_UP_TO:
        _sort(keys, n, order, spare)
        return n
    for k in range(n):
        packed[k] = (packed[k] << 32) | k
    _insertion_sort(packed, n)
    for k in range(n):
        order[k] = packed[k] & _LOW
    return n
