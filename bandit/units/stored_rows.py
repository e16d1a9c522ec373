"""Open units as rows of a store: keys and values that do not depend on any state's codes.

A store holds one row a unit and folds what comes: it reads the rows of the same keys, folds both
with `fold_unit_values` and writes them back, all in one transaction. The fold is idempotent, so a
batch that is sent again, whole or in part, changes nothing, and no list of events is needed.
Compaction reads the rows before a time, closes them and, in one transaction, writes the closed
state and deletes the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ...errors import IntegrityError
from .channel_sets import NO_CHANNEL, code_of, members
from .record import UNIT, UnitBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..base.code_table import CodeTable
    from .unit_table import UnitTable

HEAD: Final = np.dtype(
    [
        ("execution", ">u8"),
        ("document", ">u8"),
        ("user", "<u8"),
        ("session", "<u8"),
        ("segment", "<u8"),
        ("arm", "<u8"),
        ("time", "<i8"),
        ("arm_time", "<i8"),
        ("position", "<i4"),
        ("plus", "u1"),
        ("minus", "u1"),
        ("flags", "u1"),
        ("format", "u1"),
    ]
)
"""Fixed part of a value; segment and arm by stable id, 0 where none; of several arms the lowest."""

SCORE: Final = np.dtype([("arm", "<u8"), ("score", "<f8"), ("contribution", "<f8")])
"""Follows once for every arm that has a score; then, without one, for every further arm named."""

KEY_BYTES: Final = 16
WIRE_FORMAT: Final = 1
SEVERAL_ARMS: Final = 2
"""The format of units that several channels found, which earlier versions do not read."""

WITH_QUERY: Final = 2
"""Added to the format of units whose query is known: its id comes right after the fixed part."""

_QUERY: Final = np.dtype("<u8")

_SAME: Final = ("execution", "document", "user", "session", "time", "arm_time", "position")
_SMALL: Final = ("plus", "minus", "flags")


class StoredUnit(NamedTuple):
    """A unit as a row of a store: 16 bytes of key, the first display, the value."""

    key: bytes
    time: int
    value: bytes


def unit_rows(units: UnitTable) -> list[StoredUnit]:
    """Return every open unit as a row; its key is the first 16 bytes of the value."""
    records = units.records
    heads = np.zeros(len(records), HEAD)
    for name in (*_SAME, *_SMALL):
        heads[name] = records[name]
    heads["segment"] = np.append(units.segments.ids, np.uint64(0))[records["segment"]]
    ids = np.append(units.arms.ids, np.uint64(0))
    heads["arm"] = ids[np.maximum(records["arm"], NO_CHANNEL)]
    several = np.flatnonzero(records["arm"] < NO_CHANNEL)
    arms = [sorted(ids[list(members(code))].tolist()) for code in records["arm"][several].tolist()]
    heads["arm"][several] = [each[0] for each in arms]
    heads["format"] = WIRE_FORMAT
    heads["format"][several] = SEVERAL_ARMS
    queries = np.flatnonzero(records["query"])
    heads["format"][queries] += WITH_QUERY
    raw, size = heads.tobytes(), HEAD.itemsize
    values = [raw[at : at + size] for at in range(0, len(raw), size)]
    for i, query in zip(queries.tolist(), records["query"][queries].tolist(), strict=True):
        values[i] += query.to_bytes(_QUERY.itemsize, "little")
    scored = np.flatnonzero(records["scored"] >= 0)
    for i, scores in zip(scored.tolist(), _scores(units, records["scored"][scored]), strict=True):
        values[i] += scores
    for i, each in zip(several.tolist(), arms, strict=True):
        values[i] += np.array([(arm, np.nan, np.nan) for arm in each[1:]], SCORE).tobytes()
    times = records["time"].tolist()
    return [StoredUnit(v[:KEY_BYTES], t, v) for v, t in zip(values, times, strict=True)]


def unit_batch(
    values: Iterable[bytes], arms: CodeTable[str], segments: CodeTable[tuple[str, ...]]
) -> UnitBatch:
    """Return rows' values as units, in the codes of some names; unknown names are none.

    Raises
    ------
    IntegrityError
        If a value is cut off or of another format.
    """
    given = list(values)
    rest = np.fromiter(map(len, given), np.int64, len(given)) - HEAD.itemsize
    # An id is a third of an entry, so the length says whether there is one.
    queries = np.flatnonzero(rest % SCORE.itemsize == _QUERY.itemsize)
    rest[queries] -= _QUERY.itemsize
    if ((rest < 0) | (rest % SCORE.itemsize != 0)).any():
        msg = "a stored unit is cut off; learn the state again from the log"
        raise IntegrityError(msg)
    with_entries, start = np.flatnonzero(rest), HEAD.itemsize
    is_plain = not len(with_entries) and not len(queries)
    heads = given if is_plain else [value[:start] for value in given]
    records = _records(np.frombuffer(b"".join(heads), HEAD), queries, arms, segments)
    if len(queries):
        tails = [given[i][start:] for i in queries.tolist()]
        ids = b"".join([tail[: _QUERY.itemsize] for tail in tails])
        records["query"][queries] = np.frombuffer(ids, _QUERY)
        for i, tail in zip(queries.tolist(), tails, strict=True):
            given[i] = given[i][:start] + tail[_QUERY.itemsize :]
    if not len(with_entries):
        return UnitBatch(records, *(np.empty((0, len(arms))) for _ in range(2)))
    of_units = [given[i][start:] for i in with_entries.tolist()]
    entries = np.frombuffer(b"".join(of_units), SCORE)
    unit = np.repeat(with_entries, rest[with_entries] // SCORE.itemsize)
    codes = _codes(entries["arm"], arms.ids)
    is_name = np.isnan(entries["score"])
    if is_name.any():
        _add_names(records, unit[is_name], codes[is_name])
    scored = np.unique(unit[~is_name])
    records["scored"][scored] = np.arange(len(scored))
    scores, contributions = np.full((2, len(scored), len(arms)), np.nan)
    own = (codes >= 0) & ~is_name
    row = records["scored"][unit[own]]
    scores[row, codes[own]] = entries["score"][own]
    contributions[row, codes[own]] = entries["contribution"][own]
    return UnitBatch(records, scores, contributions)


def _records(
    heads: NDArray[np.void],
    queries: NDArray[np.intp],
    arms: CodeTable[str],
    segments: CodeTable[tuple[str, ...]],
) -> NDArray[np.void]:
    """Return the records of units, as yet with one channel each, without scores and queries."""
    formats = heads["format"]
    if len(queries):
        formats = formats.copy()
        formats[queries] -= WITH_QUERY
    if not ((formats == WIRE_FORMAT) | (formats == SEVERAL_ARMS)).all():
        highest = SEVERAL_ARMS + WITH_QUERY
        msg = (
            f"a stored unit is not of format {WIRE_FORMAT} to {highest}; learn the state again "
            "from the log"
        )
        raise IntegrityError(msg)
    records = np.zeros(len(heads), UNIT)
    for name in (*_SAME, *_SMALL):
        records[name] = heads[name]
    records["arm"] = _codes(heads["arm"], arms.ids)
    records["segment"] = _codes(heads["segment"], segments.ids)
    records["scored"] = -1
    return records


def _add_names(records: NDArray[np.void], unit: NDArray[np.intp], codes: NDArray[np.int32]) -> None:
    """Add the further channels of units, those of a unit as neighbours, to the first ones."""
    start = np.flatnonzero(np.diff(unit, prepend=-1))
    arms = records["arm"]
    for at, further in zip(unit[start].tolist(), np.split(codes, start[1:]), strict=True):
        arms[at] = code_of([int(arms[at]), *further.tolist()])


def _scores(units: UnitTable, rows: NDArray[np.int32]) -> list[bytes]:
    """Return the scores of some rows, of every row the arms that have one."""
    scores, contributions = units.scores[rows], units.contributions[rows]
    has = ~np.isnan(scores)
    made = np.empty(int(has.sum()), SCORE)
    made["arm"] = np.broadcast_to(units.arms.ids, has.shape)[has]
    made["score"], made["contribution"] = scores[has], contributions[has]
    raw = made.tobytes()
    ends = np.cumsum(has.sum(axis=1) * SCORE.itemsize).tolist()
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _codes(ids: NDArray[np.uint64], names: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return the code of each id among the ids of names, -1 where it is not among them."""
    if not len(names):
        return np.full(len(ids), -1, np.int32)
    order = np.argsort(names)
    code = order[np.minimum(np.searchsorted(names, ids, sorter=order), len(names) - 1)]
    return np.where(names[code] == ids, code, -1).astype(np.int32)
