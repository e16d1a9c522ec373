"""The compiled fold of rows into units: one look-up a row, no sorting.

Kernels take arrays out of their tuples before the loop, and index rows by unsigned numbers, for
which numba compiles no check of a negative index: both together halve the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.jit import kernel
from ..base.timestamps import NO_TIME
from .fold_arrays import (
    ARM,
    ARM_TIME,
    DOCUMENT,
    DOCUMENT_LEVEL,
    EXECUTION,
    FLAGS,
    MINUS,
    PLUS,
    POSITION,
    QUERY,
    SCORED,
    SEGMENT,
    SESSION,
    TIME,
    USER,
    FoldCounts,
    OtherChannels,
    RowArrays,
    UnitCells,
    UnitStore,
)
from .record import MULTIPLIER, SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

(
    OPENED,
    CHANGED,
    LIST_LEVEL,
    NO_EXECUTION,
    WITHOUT_TIME,
    REFUSED,
    NO_CHANNEL,
    UNKNOWN_CHANNEL,
    UNEXPOSED,
) = range(len(FoldCounts._fields))
"""Places in `FoldCounts`."""

_N_COUNTS = len(FoldCounts._fields)
_BLOCK = 1024
"""Rows that are located before they are folded."""


@kernel
def fill_index(
    index: NDArray[np.uint64], execution: NDArray[np.uint64], document: NDArray[np.uint64]
) -> None:
    """Enter units, whose keys all differ, into an empty index."""
    last = np.uint64(len(index) - 1)
    for i in range(len(execution)):
        mixed = execution[i] * np.uint64(MULTIPLIER) + document[i]
        mixed ^= mixed >> np.uint64(32)
        slot = mixed & last
        while index[slot]:
            slot = (slot + np.uint64(1)) & last
        index[slot] = (mixed >> np.uint64(32) << np.uint64(32)) | np.uint64(i + 1)


@kernel
def _read_keys(
    rows: RowArrays,
    refuse_before: int,
    first: int,
    keys: NDArray[np.uint64],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Read the keys of some rows; where one is left out, set `at` to -1 and count the reason."""
    types, flags, times = rows.types, rows.flags, rows.time
    executions, execution_ids = rows.execution, rows.execution_ids
    documents, document_ids = rows.document, rows.document_ids
    arms, own_arm = rows.arm, rows.own_arm
    list_level = no_execution = without_time = refused = no_channel = unknown_channel = 0
    for k in range(len(at)):
        row = np.uint64(first + k)
        execution, time = executions[row], times[row]
        at[k] = -1
        if not flags[types[row]] & DOCUMENT_LEVEL:
            list_level += 1
        elif execution < 0:
            no_execution += 1
        elif time == NO_TIME:
            without_time += 1
        elif time < refuse_before:
            refused += 1
        else:
            at[k] = 0
            keys[k, 0] = execution_ids[execution]
            keys[k, 1] = document_ids[documents[row]]
            arm = arms[row]
            no_channel += arm < 0
            unknown_channel += arm >= 0 and own_arm[arm] == -1
    counts[LIST_LEVEL] += list_level
    counts[NO_EXECUTION] += no_execution
    counts[WITHOUT_TIME] += without_time
    counts[REFUSED] += refused
    counts[NO_CHANNEL] += no_channel
    counts[UNKNOWN_CHANNEL] += unknown_channel


@kernel
def _locate(
    keys: NDArray[np.uint64],
    index: NDArray[np.uint64],
    ids: NDArray[np.uint64],
    used: int,
    at: NDArray[np.int64],
    opens: NDArray[np.bool_],
) -> int:
    """Find the unit of every row, and mark the rows that open one.

    Of a new unit only the key is written. Returns the number of units.
    """
    last = np.uint64(len(index) - 1)
    for k in range(len(at)):
        opens[k] = False
        if at[k] < 0:
            continue
        execution, document = keys[k, 0], keys[k, 1]
        mixed = execution * np.uint64(MULTIPLIER) + document
        mixed ^= mixed >> np.uint64(32)
        tag = mixed >> np.uint64(32)
        slot = mixed & last
        unit = np.int64(-1)
        while index[slot]:
            # The tag decides nearly always, without a look at the unit, which is another page.
            if index[slot] >> np.uint64(32) == tag:
                i = (index[slot] & np.uint64(0xFFFFFFFF)) - np.uint64(1)
                if ids[i, EXECUTION] == execution and ids[i, DOCUMENT] == document:
                    unit = np.int64(i)
                    break
            slot = (slot + np.uint64(1)) & last
        if unit < 0:
            opens[k] = True
            unit = np.int64(used)
            used += 1
            index[slot] = (tag << np.uint64(32)) | np.uint64(used)
            ids[unit, EXECUTION] = execution
            ids[unit, DOCUMENT] = document
        at[k] = unit
    return used


@kernel
def _open(
    rows: RowArrays, units: UnitCells, first: int, at: NDArray[np.int64], opens: NDArray[np.bool_]
) -> int:
    """Write new units from their first rows; return how many of these rows are displays."""
    types, plus, minus, flags = rows.types, rows.plus, rows.minus, rows.flags
    users, user_ids = rows.user, rows.user_ids
    sessions, session_ids = rows.session, rows.session_ids
    queries, query_ids = rows.query, rows.query_ids
    segments, own_segment = rows.segment, rows.own_segment
    arms, own_arm = rows.arm, rows.own_arm
    times, arm_times, positions = rows.time, rows.arm_time, rows.position
    ids, moments, codes, small = units
    shown = 0
    for k in range(len(at)):
        if not opens[k]:
            continue
        row = np.uint64(first + k)
        unit, kind = np.uint64(at[k]), np.uint32(types[row])
        user = users[row]
        session = sessions[row]
        query = queries[row]
        segment = segments[row]
        channel = arms[row]
        arm = own_arm[channel] if channel >= 0 else np.int32(-1)
        ids[unit, USER] = user_ids[user] if user >= 0 else np.uint64(0)
        ids[unit, SESSION] = session_ids[session] if session >= 0 else np.uint64(0)
        ids[unit, QUERY] = query_ids[query] if query >= 0 else np.uint64(0)
        moments[unit, TIME] = times[row]
        moments[unit, ARM_TIME] = arm_times[row] if arm != -1 else np.int64(NO_TIME)
        codes[unit, POSITION] = positions[row]
        codes[unit, SEGMENT] = own_segment[segment] if segment >= 0 else np.int32(-1)
        codes[unit, SCORED] = -1
        codes[unit, ARM] = arm
        small[unit, PLUS] = plus[kind]
        small[unit, MINUS] = minus[kind]
        small[unit, FLAGS] = flags[kind] & ~DOCUMENT_LEVEL
        shown += (flags[kind] & SHOWN) != 0
    return shown


@kernel
def _fold(  # noqa: C901, PLR0912, PLR0915 - calls from the inner loop cost more than the work
    rows: RowArrays,
    store: UnitStore,
    first: int,
    at: NDArray[np.int64],
    opens: NDArray[np.bool_],
    changes: NDArray[np.bool_],
    others: OtherChannels,
    noted: int,
) -> tuple[int, int]:
    """Fold rows into units that exist.

    Returns how many units get their first display, and how many other channels are noted.
    """
    types, plus, minus, flags = rows.types, rows.plus, rows.minus, rows.flags
    users, user_ids = rows.user, rows.user_ids
    sessions, session_ids = rows.session, rows.session_ids
    queries, query_ids = rows.query, rows.query_ids
    segments, own_segment = rows.segment, rows.own_segment
    arms, own_arm = rows.arm, rows.own_arm
    times, arm_times, positions = rows.time, rows.arm_time, rows.position
    ids, moments, codes, small = store.units
    segment_ids = store.segment_ids
    other_units, other_arms, other_changed = others
    shown = 0
    for k in range(len(at)):
        if at[k] < 0 or opens[k]:
            continue
        row = np.uint64(first + k)
        unit, kind = np.uint64(at[k]), np.uint32(types[row])
        changed = False
        time, then, position = times[row], arm_times[row], positions[row]
        if time < moments[unit, TIME] or (
            time == moments[unit, TIME] and position < codes[unit, POSITION]
        ):
            moments[unit, TIME], codes[unit, POSITION] = time, position
            changed = True
        code = arms[row]
        arm = own_arm[code] if code >= 0 else np.int32(-1)
        if arm != -1 and codes[unit, ARM] == -1:
            codes[unit, ARM], moments[unit, ARM_TIME] = arm, then
            changed = True
        elif arm != -1 and then < moments[unit, ARM_TIME]:
            moments[unit, ARM_TIME] = then
            changed = True
        # Where rows of a unit disagree, the highest id wins, whatever their order.
        code = users[row]
        if code >= 0 and user_ids[code] > ids[unit, USER]:
            ids[unit, USER] = user_ids[code]
            changed = True
        code = sessions[row]
        if code >= 0 and session_ids[code] > ids[unit, SESSION]:
            ids[unit, SESSION] = session_ids[code]
            changed = True
        code = queries[row]
        if code >= 0 and query_ids[code] > ids[unit, QUERY]:
            ids[unit, QUERY] = query_ids[code]
            changed = True
        code = segments[row]
        segment = own_segment[code] if code >= 0 else np.int32(-1)
        if segment >= 0 and (
            codes[unit, SEGMENT] < 0 or segment_ids[segment] > segment_ids[codes[unit, SEGMENT]]
        ):
            codes[unit, SEGMENT] = segment
            changed = True
        if plus[kind] > small[unit, PLUS]:
            small[unit, PLUS] = plus[kind]
            changed = True
        if minus[kind] > small[unit, MINUS]:
            small[unit, MINUS] = minus[kind]
            changed = True
        new = flags[kind] & ~DOCUMENT_LEVEL & ~small[unit, FLAGS]
        if new:
            small[unit, FLAGS] |= new
            shown += (new & SHOWN) != 0
            changed = True
        if arm != -1 and arm != codes[unit, ARM]:
            other_units[noted], other_arms[noted], other_changed[noted] = unit, arm, changed
            noted += 1
        changes[k] = changed
    return shown, noted


@kernel
def _fold_scores(into: NDArray[np.float64], at: int, values: NDArray[np.float64], row: int) -> bool:
    """Take the higher of two scores of every arm; NaN is missing."""
    changed = False
    for j in range(values.shape[1]):
        value = values[row, j]
        if value == value and not into[at, j] >= value:  # noqa: PLR0124 - not NaN
            into[at, j] = value
            changed = True
    return changed


@kernel
def _fold_scored(
    rows: RowArrays,
    scores: NDArray[np.float64],
    contributions: NDArray[np.float64],
    store: UnitStore,
    scored: int,
    first: int,
    at: NDArray[np.int64],
    changes: NDArray[np.bool_],
) -> int:
    """Fold the scores of rows that have some; return how many units have scores."""
    given, codes = rows.scored, store.units.codes
    own_scores, own_contributions = store.scores, store.contributions
    for k in range(len(at)):
        row = given[np.uint64(first + k)]
        if at[k] < 0 or row < 0:
            continue
        unit = np.uint64(at[k])
        if codes[unit, SCORED] < 0:
            codes[unit, SCORED] = scored
            scored += 1
        where = int(codes[unit, SCORED])
        changes[k] |= _fold_scores(own_scores, where, scores, row)
        changes[k] |= _fold_scores(own_contributions, where, contributions, row)
    return scored


@kernel
def fold_rows(
    row_arrays: tuple[NDArray[Any], ...],
    scores: NDArray[np.float64],
    contributions: NDArray[np.float64],
    index: NDArray[np.uint64],
    unit_arrays: tuple[NDArray[Any], ...],
    matrices_and_ids: tuple[NDArray[Any], ...],
    used: int,
    scored: int,
    refuse_before: int,
) -> tuple[int, int, NDArray[np.int64], OtherChannels]:
    """Fold rows into the first `used` units and append new ones; capacity is reserved before.

    Blocks of rows are located before they are folded: a processor looks up several units at once,
    which it cannot while it waits to know how to fold the first. Arrays come in plain tuples, in
    the order of `RowArrays`, `UnitCells` and, from `scores` on, `UnitStore`: numba looks at every
    field of a named one on every call, which would be a tenth of the time of 100,000 rows.
    Returns the number of units, the number of rows of scores, the counts, and the channels of rows
    whose units have others.
    """
    rows = RowArrays(*row_arrays)
    units = UnitCells(*unit_arrays)
    store = UnitStore(index, units, *matrices_and_ids)
    counts = np.zeros(_N_COUNTS, np.int64)
    keys, units_of = np.empty((_BLOCK, 2), np.uint64), np.empty(_BLOCK, np.int64)
    opening, changing = np.empty(_BLOCK, np.bool_), np.empty(_BLOCK, np.bool_)
    # What is never written to costs no memory: most logs name one channel a document.
    rows_given = len(rows.time)
    others = OtherChannels(
        np.empty(rows_given, np.int64),
        np.empty(rows_given, np.int32),
        np.empty(rows_given, np.bool_),
    )
    before, changed, noted = used, 0, 0
    for first in range(0, len(rows.time), _BLOCK):
        size = min(_BLOCK, len(rows.time) - first)
        at, opens, changes = units_of[:size], opening[:size], changing[:size]
        opened = used
        _read_keys(rows, refuse_before, first, keys, at, counts)
        used = _locate(keys, store.slots, store.units.ids, used, at, opens)
        shown = _open(rows, store.units, first, at, opens)
        changes[:] = False
        if used - opened < size:
            more, noted = _fold(rows, store, first, at, opens, changes, others, noted)
            shown += more
        counts[UNEXPOSED] += used - opened - shown
        if len(rows.scored):
            scored = _fold_scored(rows, scores, contributions, store, scored, first, at, changes)
        for k in range(size):
            changed += changes[k] and at[k] < before
    counts[OPENED], counts[CHANGED] = used - before, changed
    found = OtherChannels(others.unit[:noted], others.arm[:noted], others.changed[:noted])
    return used, scored, counts, found
