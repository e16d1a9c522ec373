"""The compiled kernels that fold the rows of each search into its list and its displays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.jit import kernel
from ...datasets.pairs.fold import CARRIED, earliest_value
from ...datasets.pairs.fold_sort import find_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCORE = CARRIED.index("document_score")


class DocumentRows(NamedTuple):
    """Rows as numbers; arrays of shape (n,) where nothing else is said."""

    by_execution: NDArray[np.int32]  # rows about documents, by execution
    starts: NDArray[np.int64]  # shape (e + 1,): where each execution's rows start
    document: NDArray[np.int32]
    document_rank: NDArray[np.int32]  # shape (d,): order of the documents' ids
    types: NDArray[np.uint64]
    time: NDArray[np.int64]
    position: NDArray[np.int32]
    carried: NDArray[np.float64]  # shape (n, 3): `CARRIED`, NaN where missing


class FoldedDisplays(NamedTuple):
    """Displays by execution, then by position and document; arrays of shape (d,)."""

    document: NDArray[np.int32]
    position: NDArray[np.int32]  # of the earliest row
    types: NDArray[np.uint64]  # union over its rows
    score: NDArray[np.float64]  # of the earliest row that has one, NaN where none does
    group: NDArray[np.int32]  # shape (e,): displays of each execution


@kernel
def union_of_types(
    execution: NDArray[np.int32], types: NDArray[np.uint64], mask: np.uint64, n_executions: int
) -> NDArray[np.uint64]:
    """Return the types out of `mask` that any row of each execution has."""
    found = np.zeros(n_executions, np.uint64)
    for i in range(len(execution)):
        if execution[i] >= 0:
            found[execution[i]] |= types[i] & mask
    return found


@kernel
def earliest_numbers(
    execution: NDArray[np.int32],
    time: NDArray[np.int64],
    values: NDArray[np.float64],
    n_executions: int,
) -> NDArray[np.float64]:
    """Return each execution's earliest number that is not NaN; of those of one moment the highest.

    NaN where there is none.
    """
    best = np.full(n_executions, np.nan)
    when = np.empty(n_executions, np.int64)
    for i in range(len(execution)):
        e, value = execution[i], values[i]
        if e < 0 or np.isnan(value):
            continue
        old = best[e]
        if np.isnan(old) or time[i] < when[e] or (time[i] == when[e] and value > old):
            best[e] = value
            when[e] = time[i]
    return best


@kernel
def fold_displays(rows: DocumentRows, displays: FoldedDisplays) -> int:
    """Fill in the displays, one for each document of an execution; return how many there are.

    Nothing depends on the order of the rows.
    """
    starts, by_execution = rows.starts, rows.by_execution
    document, time, position, types = rows.document, rows.time, rows.position, rows.types
    longest = 0
    for e in range(len(starts) - 1):
        longest = max(longest, starts[e + 1] - starts[e])
    chosen = np.empty(longest, np.int32)
    run = np.empty(longest, np.int32)
    order = np.empty(longest, np.int32)
    spare = np.empty(longest, np.int32)
    bounds = np.empty(longest + 1, np.int32)
    keys = np.empty((3, longest), np.int64)
    unranked = np.empty(0, np.float64)
    made = 0
    for e in range(len(starts) - 1):
        m = starts[e + 1] - starts[e]
        for i in range(m):
            chosen[i] = by_execution[starts[e] + i]
        n = find_runs(
            rows.document_rank, document, time, position, chosen, m, keys, run, bounds, order, spare
        )
        for k in range(n):
            low, high = int(bounds[order[k]]), int(bounds[order[k] + 1])
            union = np.uint64(0)
            for i in range(low, high):
                union |= types[run[i]]
            displays.document[made] = document[run[low]]
            displays.position[made] = position[run[low]]
            displays.types[made] = union
            displays.score[made] = earliest_value(
                rows.carried, _SCORE, unranked, time, position, run, low, high
            )
            made += 1
        displays.group[e] = n
    return made
