"""Passes over the units of a log, each in one loop: no temporary arrays of their length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@kernel
def sum_by_bin(
    score: NDArray[np.floating],
    edges: Floats,
    position: NDArray[np.integer],
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    half: NDArray[np.uint8],
    clicks: Floats,
    exposure: Floats,
    score_sum: Floats,
    count: Floats,
) -> None:
    """Add gains and examinations by bin of the score and position; NaN scores are in no bin.

    `edges`: inner limits of the bins, each the highest score of its bin. `clicks`, `exposure`: by
    half, bin and position. `score_sum`, `count`: by bin.
    """
    for row in range(len(score)):
        s = score[row]
        if s != s:  # noqa: PLR0124 - NaN
            continue
        low, high = 0, len(edges)
        while low < high:
            middle = (low + high) // 2
            if edges[middle] < s:
                low = middle + 1
            else:
                high = middle
        clicks[half[row], low, position[row]] += gain[row]
        exposure[half[row], low, position[row]] += examination[row]
        score_sum[low] += s
        count[low] += 1


@kernel
def sum_by_document(
    executions: NDArray[np.int64],
    start: NDArray[np.int64],
    offsets: NDArray[np.int64],
    document: NDArray[np.uint64],
    weight: Floats,
    later: NDArray[np.bool_],
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    factor: Floats,
    position: NDArray[np.integer],
    score: NDArray[np.floating],
) -> tuple[NDArray[np.int64], NDArray[np.uint64], Floats]:
    """Return the number of documents of every query, the documents, ascending, and their sums.

    `executions`: those of the first query, then those of the second, and so on; `start`, shape
    (q + 1,): where each query's begin. `offsets`, shape (e + 1,): first unit of every execution.
    `weight`, `later`: by execution. `factor`: by position, the last holding beyond. The sums, shape
    (m, 6): gain, examination, score, weight of known scores, and gain and examination of later
    executions. One query at a time, whose hash table stays in the processor's cache.
    """
    last = len(factor) - 1
    sizes = np.zeros(len(start) - 1, dtype=np.int64)
    documents, sums, used = np.empty(1024, dtype=np.uint64), np.empty((1024, 6)), 0
    slots = np.empty(16, dtype=np.int64)
    own, own_sums = np.empty(8, dtype=np.uint64), np.empty((8, 6))
    for query in range(len(sizes)):
        units = 0
        for i in range(start[query], start[query + 1]):
            units += int(offsets[executions[i] + 1] - offsets[executions[i]])
        capacity = _capacity(units)
        if capacity > len(slots):
            slots = np.empty(capacity, dtype=np.int64)
            own, own_sums = np.empty(capacity // 2, dtype=np.uint64), np.empty((capacity // 2, 6))
        slots[:capacity] = -1
        n = 0
        for i in range(start[query], start[query + 1]):
            execution = executions[i]
            w = weight[execution]
            for row in range(offsets[execution], offsets[execution + 1]):
                slot = _slot(slots, capacity, own, document[row])
                if slots[slot] < 0:
                    slots[slot], own[n] = n, document[row]
                    own_sums[n] = 0.0
                    n += 1
                total = own_sums[slots[slot]]
                g = w * gain[row]
                e = w * examination[row] * factor[min(position[row], last)]
                s = score[row]
                known = w if s == s else 0.0  # noqa: PLR0124 - not NaN
                total[0] += g
                total[1] += e
                total[2] += known * s if known else 0.0
                total[3] += known
                total[4] += g * later[execution]
                total[5] += e * later[execution]
        while used + n > len(documents):
            documents, sums = _twice(documents), _twice(sums)
        order = np.argsort(own[:n])
        documents[used : used + n], sums[used : used + n] = own[order], own_sums[order]
        sizes[query] = n
        used += n
    return sizes, documents[:used].copy(), sums[:used]


@kernel
def _capacity(units: int) -> int:
    """Return a power of two that is at least twice the number of units."""
    capacity = 16
    while capacity < 2 * units:
        capacity *= 2
    return capacity


@kernel
def _slot(
    slots: NDArray[np.int64], capacity: int, documents: NDArray[np.uint64], document: np.uint64
) -> np.int64:
    """Return the slot of a document in the open-addressed table, or the free slot for it."""
    mixed = document * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(mixed >> np.uint64(20)) & (capacity - 1)
    while slots[slot] >= 0 and documents[slots[slot]] != document:
        slot = (slot + 1) & (capacity - 1)
    return slot


@kernel
def _twice(values: NDArray[Any]) -> NDArray[Any]:
    longer = np.empty((2 * len(values), *values.shape[1:]), dtype=values.dtype)
    longer[: len(values)] = values
    return longer
