"""The compiled kernel that folds rows into displays, with the times at which each was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.jit import kernel
from ..pairs.fold_sort import find_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER: Final = np.iinfo(np.int64).max
"""Time of what did not happen."""


class EventRows(NamedTuple):
    """Rows as numbers; arrays of shape (n,) where nothing else is said."""

    by_execution: NDArray[np.int32]  # rows about documents, by execution
    starts: NDArray[np.int64]  # shape (e + 1,): where each execution's rows start
    document: NDArray[np.int32]
    document_rank: NDArray[np.int32]  # shape (d,): order of the documents' ids
    time: NDArray[np.int64]
    position: NDArray[np.int32]
    placed: NDArray[np.bool_]  # whether the row had a position of its own
    clicked: NDArray[np.bool_]
    impression: NDArray[np.bool_]
    category: NDArray[np.int32]  # -1 where missing; empty without categories
    category_rank: NDArray[np.int32]  # shape (c,)


class DisplayColumns(NamedTuple):
    """Displays by execution, then by position and document; arrays of shape (d,)."""

    document: NDArray[np.int32]
    position: NDArray[np.int32]
    shown_at: NDArray[np.int64]  # first row with a position of its own
    clicked_at: NDArray[np.int64]  # first click after that, or NEVER
    category: NDArray[np.int32]  # of the earliest row that names one, -1 where none does
    category_at: NDArray[np.int64]  # its time
    group: NDArray[np.int32]  # shape (e,): displays of each execution
    exposed: NDArray[np.bool_]  # shape (e,): whether it shows what was passed over

    def first(self, n: int) -> DisplayColumns:
        """Return the first n displays."""
        trimmed = {name: getattr(self, name)[:n] for name in self._fields[:6]}
        return self._replace(**trimmed)


@kernel
def _first_placed(placed: NDArray[np.bool_], run: NDArray[np.int32], begin: int, end: int) -> int:
    """Return the first row of a run that had a position of its own."""
    for i in range(begin, end):
        if placed[run[i]]:
            return int(run[i])
    return int(run[begin])


@kernel
def _first_click(rows: EventRows, run: NDArray[np.int32], begin: int, end: int) -> int:
    for i in range(begin, end):
        if rows.clicked[run[i]]:
            return int(rows.time[run[i]])
    return NEVER


@kernel
def _first_category(
    rows: EventRows, run: NDArray[np.int32], begin: int, end: int
) -> tuple[int, int]:
    """Return the earliest category of a run and its time; of those of one moment the first."""
    category, rank = rows.category, rows.category_rank
    named, when = -1, NEVER
    for i in range(begin, end if len(category) else begin):
        found, time = int(category[run[i]]), int(rows.time[run[i]])
        if found >= 0 and (named < 0 or (time == when and rank[found] < rank[named])):
            named, when = found, time
    return named, when


@kernel
def _any(flags: NDArray[np.bool_], run: NDArray[np.int32], begin: int, end: int) -> bool:
    found = False
    for i in range(begin, end):
        found |= bool(flags[run[i]])
    return found


@kernel
def fold_displays(rows: EventRows, displays: DisplayColumns) -> int:
    """Fill in the displays, one for each document of an execution; return how many there are.

    Nothing depends on the order of the rows, and what was known at a time only on rows before it.
    """
    starts, by_execution = rows.starts, rows.by_execution
    document, time, position = rows.document, rows.time, rows.position
    longest = 0
    for e in range(len(starts) - 1):
        longest = max(longest, starts[e + 1] - starts[e])
    chosen = np.empty(longest, np.int32)
    run = np.empty(longest, np.int32)
    order = np.empty(longest, np.int32)
    spare = np.empty(longest, np.int32)
    bounds = np.empty(longest + 1, np.int32)
    keys = np.empty((3, longest), np.int64)
    made = 0
    for e in range(len(starts) - 1):
        m = starts[e + 1] - starts[e]
        for i in range(m):
            chosen[i] = by_execution[starts[e] + i]
        n = find_runs(
            rows.document_rank, document, time, position, chosen, m, keys, run, bounds, order, spare
        )
        exposed = False
        for k in range(n):
            low, high = int(bounds[order[k]]), int(bounds[order[k] + 1])
            shown = _first_placed(rows.placed, run, low, high)
            clicked_at = max(_first_click(rows, run, low, high), time[shown])
            category, category_at = _first_category(rows, run, low, high)
            displays.document[made] = document[shown]
            displays.position[made] = position[shown]
            displays.shown_at[made] = time[shown]
            displays.clicked_at[made] = clicked_at
            displays.category[made] = category
            displays.category_at[made] = category_at
            exposed |= clicked_at == NEVER or _any(rows.impression, run, low, high)
            made += 1
        displays.group[e] = n
        displays.exposed[e] = exposed
    return made
