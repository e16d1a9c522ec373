"""The compiled fold of rows into units: one look-up a row, no sorting."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._jit import kernel
from ._decay import NO_TIME
from ._unit import MULTIPLIER, SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOCUMENT_LEVEL = 4
"""Flag of a set of types: it speaks of a document, not only of the list."""

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
    N_COUNTS,
) = range(10)
"""What the fold counts; UNEXPOSED is by how much the number of units never shown changed."""


_BLOCK = 1024
"""Rows that are located before they are folded."""


class RowArrays(NamedTuple):
    """Rows as flat arrays; every code indexes the array that follows it, -1 is missing."""

    execution: NDArray[np.int32]
    execution_ids: NDArray[np.uint64]
    document: NDArray[np.int32]
    document_ids: NDArray[np.uint64]
    user: NDArray[np.int32]
    user_ids: NDArray[np.uint64]
    session: NDArray[np.int32]
    session_ids: NDArray[np.uint64]
    segment: NDArray[np.int32]
    own_segment: NDArray[np.int32]
    arm: NDArray[np.int32]
    own_arm: NDArray[np.int16]
    types: NDArray[np.int32]
    plus: NDArray[np.uint8]
    minus: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    time: NDArray[np.int64]
    arm_time: NDArray[np.int64]
    position: NDArray[np.int32]
    scored: NDArray[np.int32]


class Fields(NamedTuple):
    """Views of the fields of unit records: a record object of its own would cost a reference."""

    execution: NDArray[np.uint64]
    document: NDArray[np.uint64]
    user: NDArray[np.uint64]
    session: NDArray[np.uint64]
    time: NDArray[np.int64]
    arm_time: NDArray[np.int64]
    position: NDArray[np.int32]
    segment: NDArray[np.int32]
    scored: NDArray[np.int32]
    arm: NDArray[np.int16]
    plus: NDArray[np.uint8]
    minus: NDArray[np.uint8]
    flags: NDArray[np.uint8]


class UnitStore(NamedTuple):
    """The arrays of the state that rows are folded into."""

    table: NDArray[np.uint64]
    units: Fields
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]
    segment_ids: NDArray[np.uint64]
    arm_ids: NDArray[np.uint64]


@kernel
def _at(codes: NDArray[np.int32], row: int) -> int:
    """Return the code of a row; a column of length 0 is missing everywhere."""
    return int(codes[row]) if len(codes) else -1


@kernel
def fill_table(
    table: NDArray[np.uint64], execution: NDArray[np.uint64], document: NDArray[np.uint64]
) -> None:
    """Enter units, whose keys all differ, into an empty table."""
    last = np.uint64(len(table) - 1)
    for i in range(len(execution)):
        mixed = execution[i] * np.uint64(MULTIPLIER) + document[i]
        mixed ^= mixed >> np.uint64(32)
        slot = mixed & last
        while table[slot]:
            slot = (slot + np.uint64(1)) & last
        table[slot] = (mixed >> np.uint64(32) << np.uint64(32)) | np.uint64(i + 1)


@kernel
def _fold_scores(into: NDArray[np.float64], at: int, values: NDArray[np.float64], row: int) -> bool:
    """Keep the higher of two scores of every arm; NaN is missing."""
    changed = False
    for j in range(values.shape[1]):
        value = values[row, j]
        if value == value and not into[at, j] >= value:  # noqa: PLR0124 - not NaN
            into[at, j] = value
            changed = True
    return changed


@kernel
def _locate(
    rows: RowArrays,
    store: UnitStore,
    used: int,
    line: int,
    first: int,
    at: NDArray[np.int64],
    opens: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> int:
    """Say for some rows which unit is theirs (-1: none) and which of them open it.

    Only the key of a new unit is written. Returns the number of units.
    """
    table, units = store.table, store.units
    last = np.uint64(len(table) - 1)
    list_level = no_execution = without_time = refused = no_channel = unknown_channel = 0
    for k in range(len(at)):
        row = first + k
        at[k] = -1
        if not rows.flags[rows.types[row]] & DOCUMENT_LEVEL:
            list_level += 1
            continue
        if rows.execution[row] < 0:
            no_execution += 1
            continue
        if rows.time[row] == NO_TIME:
            without_time += 1
            continue
        if rows.time[row] < line:
            refused += 1
            continue
        execution = rows.execution_ids[rows.execution[row]]
        document = rows.document_ids[rows.document[row]]
        mixed = execution * np.uint64(MULTIPLIER) + document
        mixed ^= mixed >> np.uint64(32)
        tag = mixed >> np.uint64(32)
        slot = mixed & last
        found = np.int64(-1)
        while table[slot]:
            if table[slot] >> np.uint64(32) == tag:
                i = np.int64(table[slot] & np.uint64(0xFFFFFFFF)) - np.int64(1)
                if units.execution[i] == execution and units.document[i] == document:
                    found = i
                    break
            slot = (slot + np.uint64(1)) & last
        opens[k] = found < 0
        if found < 0:
            found = np.int64(used)
            used += 1
            table[slot] = (tag << np.uint64(32)) | np.uint64(used)
            units.execution[found] = execution
            units.document[found] = document
        at[k] = found
        code = _at(rows.arm, row)
        no_channel += code < 0
        unknown_channel += code >= 0 and rows.own_arm[code] < 0
    counts[LIST_LEVEL] += list_level
    counts[NO_EXECUTION] += no_execution
    counts[WITHOUT_TIME] += without_time
    counts[REFUSED] += refused
    counts[NO_CHANNEL] += no_channel
    counts[UNKNOWN_CHANNEL] += unknown_channel
    return used


@kernel
def _open(
    rows: RowArrays,
    units: Fields,
    first: int,
    at: NDArray[np.int64],
    opens: NDArray[np.bool_],
) -> int:
    """Write what the first rows of new units say; return how many say that they were shown."""
    shown = 0
    for k in range(len(at)):
        if at[k] < 0 or not opens[k]:
            continue
        row = first + k
        unit, kind = at[k], rows.types[row]
        user, session = _at(rows.user, row), _at(rows.session, row)
        segment, channel = _at(rows.segment, row), _at(rows.arm, row)
        arm = int(rows.own_arm[channel]) if channel >= 0 else -1
        units.user[unit] = rows.user_ids[user] if user >= 0 else np.uint64(0)
        units.session[unit] = rows.session_ids[session] if session >= 0 else np.uint64(0)
        units.time[unit] = rows.time[row]
        units.arm_time[unit] = rows.arm_time[row] if arm >= 0 else np.int64(NO_TIME)
        units.position[unit] = rows.position[row]
        units.segment[unit] = rows.own_segment[segment] if segment >= 0 else np.int32(-1)
        units.scored[unit] = np.int32(-1)
        units.arm[unit] = np.int16(arm)
        units.plus[unit] = rows.plus[kind]
        units.minus[unit] = rows.minus[kind]
        units.flags[unit] = np.uint8(rows.flags[kind] & ~DOCUMENT_LEVEL)
        shown += (rows.flags[kind] & SHOWN) != 0
    return shown


@kernel
def _fold(  # noqa: C901 - calls from the inner loop cost more than the work
    rows: RowArrays,
    store: UnitStore,
    first: int,
    at: NDArray[np.int64],
    opens: NDArray[np.bool_],
    changes: NDArray[np.bool_],
) -> int:
    """Fold rows into units that are there; return how many units are shown only now."""
    shown, units = 0, store.units
    for k in range(len(at)):
        changed = False
        if at[k] >= 0 and not opens[k]:
            row = first + k
            unit, kind = at[k], rows.types[row]
            time, then, position = rows.time[row], rows.arm_time[row], rows.position[row]
            if time < units.time[unit] or (
                time == units.time[unit] and position < units.position[unit]
            ):
                units.time[unit], units.position[unit] = time, position
                changed = True
            code = _at(rows.arm, row)
            arm = int(rows.own_arm[code]) if code >= 0 else -1
            if arm >= 0 and (
                units.arm[unit] < 0
                or then < units.arm_time[unit]
                or (
                    then == units.arm_time[unit]
                    and store.arm_ids[arm] < store.arm_ids[units.arm[unit]]
                )
            ):
                units.arm[unit], units.arm_time[unit] = np.int16(arm), then
                changed = True
            code = _at(rows.user, row)
            if code >= 0 and rows.user_ids[code] > units.user[unit]:
                units.user[unit] = rows.user_ids[code]
                changed = True
            code = _at(rows.session, row)
            if code >= 0 and rows.session_ids[code] > units.session[unit]:
                units.session[unit] = rows.session_ids[code]
                changed = True
            code = _at(rows.segment, row)
            segment = rows.own_segment[code] if code >= 0 else np.int32(-1)
            if segment >= 0 and (
                units.segment[unit] < 0
                or store.segment_ids[segment] > store.segment_ids[units.segment[unit]]
            ):
                units.segment[unit] = segment
                changed = True
            if rows.plus[kind] > units.plus[unit]:
                units.plus[unit] = rows.plus[kind]
                changed = True
            if rows.minus[kind] > units.minus[unit]:
                units.minus[unit] = rows.minus[kind]
                changed = True
            new = rows.flags[kind] & ~DOCUMENT_LEVEL & ~units.flags[unit]
            if new:
                units.flags[unit] = np.uint8(units.flags[unit] | new)
                shown += (new & SHOWN) != 0
                changed = True
        changes[k] = changed
    return shown


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
    units = store.units
    for k in range(len(at)):
        code = _at(rows.scored, first + k)
        if at[k] < 0 or code < 0:
            continue
        unit = at[k]
        if units.scored[unit] < 0:
            units.scored[unit] = np.int32(scored)
            scored += 1
        where = int(units.scored[unit])
        changes[k] |= _fold_scores(store.scores, where, scores, code)
        changes[k] |= _fold_scores(store.contributions, where, contributions, code)
    return scored


@kernel
def fold_rows(
    rows: RowArrays,
    scores: NDArray[np.float64],
    contributions: NDArray[np.float64],
    store: UnitStore,
    used: int,
    scored: int,
    line: int,
) -> tuple[int, int, NDArray[np.int64]]:
    """Fold rows into the first `used` units and append new ones; there must be room.

    Blocks of rows are located before they are folded: a processor looks up several units at once,
    which it cannot while it waits to know how to fold the first.
    Returns the number of units, the number of rows of scores, and the counts.
    """
    counts = np.zeros(N_COUNTS, np.int64)
    known = used
    for first in range(0, len(rows.time), _BLOCK):
        size = min(_BLOCK, len(rows.time) - first)
        at, opens = np.empty(size, np.int64), np.empty(size, np.bool_)
        changes = np.empty(size, np.bool_)
        opened = used
        used = _locate(rows, store, used, line, first, at, opens, counts)
        shown = _open(rows, store.units, first, at, opens)
        shown += _fold(rows, store, first, at, opens, changes)
        counts[UNEXPOSED] += used - opened - shown
        if len(rows.scored):
            scored = _fold_scored(rows, scores, contributions, store, scored, first, at, changes)
        for k in range(size):
            counts[CHANGED] += changes[k] and at[k] < known
    counts[OPENED] = used - known
    return used, scored, counts
