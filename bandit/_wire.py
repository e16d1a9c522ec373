"""Open units as rows of a store: a key and a value that do not depend on any state's codes.

A store keeps one row a unit and folds what comes: read the rows of the keys at hand, fold both
with `fold_unit_values`, write them back, all in one transaction. The fold is idempotent, so a batch
that is sent again, whole or in part, changes nothing, and no list of seen events is needed.
Compaction reads the rows before a time, closes them and, in one transaction, writes the closed
state and deletes the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..errors import IntegrityError
from ._credit import UnitBatch
from ._unit import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ._names import Names
    from ._units import Units

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
"""Fixed part of a value; segment and arm by stable id, 0 where none."""

SCORE: Final = np.dtype([("arm", "<u8"), ("score", "<f8"), ("contribution", "<f8")])
"""Follows once for every arm that has a score."""

KEY_BYTES: Final = 16
WIRE_FORMAT: Final = 1
_SAME: Final = ("execution", "document", "user", "session", "time", "arm_time", "position")
_SMALL: Final = ("plus", "minus", "flags")


class StoredUnit(NamedTuple):
    """A unit as a row of a store: 16 bytes of key, the first display, the value."""

    key: bytes
    time: int
    value: bytes


def unit_rows(units: Units) -> list[StoredUnit]:
    """Return every open unit as a row; its key is the first 16 bytes of the value."""
    records = units.records
    heads = np.zeros(len(records), HEAD)
    for name in (*_SAME, *_SMALL):
        heads[name] = records[name]
    heads["segment"] = np.append(units.segments.ids, np.uint64(0))[records["segment"]]
    heads["arm"] = np.append(units.arms.ids, np.uint64(0))[records["arm"]]
    heads["format"] = WIRE_FORMAT
    raw, size = heads.tobytes(), HEAD.itemsize
    values = [raw[at : at + size] for at in range(0, len(raw), size)]
    scored = np.flatnonzero(records["scored"] >= 0)
    for i, scores in zip(scored.tolist(), _scores(units, records["scored"][scored]), strict=True):
        values[i] += scores
    times = records["time"].tolist()
    return [StoredUnit(v[:KEY_BYTES], t, v) for v, t in zip(values, times, strict=True)]


def unit_batch(
    values: Iterable[bytes], arms: Names[str], segments: Names[tuple[str, ...]]
) -> UnitBatch:
    """Return rows' values as units, in the codes of some names; unknown names are none.

    Raises
    ------
    IntegrityError
        If a value is cut off or of another format.
    """
    given = list(values)
    heads = np.frombuffer(b"".join([v[: HEAD.itemsize] for v in given]), np.uint8)
    rest = [len(v) - HEAD.itemsize for v in given]
    if any(r < 0 or r % SCORE.itemsize for r in rest):
        msg = "a stored unit is cut off; learn the state again from the log"
        raise IntegrityError(msg)
    parts = heads.view(HEAD)
    if (parts["format"] != WIRE_FORMAT).any():
        msg = f"a stored unit is not of format {WIRE_FORMAT}; learn the state again from the log"
        raise IntegrityError(msg)
    records = np.zeros(len(given), UNIT)
    for name in (*_SAME, *_SMALL):
        records[name] = parts[name]
    records["arm"] = _codes(parts["arm"], arms.ids)
    records["segment"] = _codes(parts["segment"], segments.ids)
    scored = [i for i, r in enumerate(rest) if r]
    records["scored"] = -1
    records["scored"][scored] = np.arange(len(scored))
    scores = np.full((len(scored), len(arms)), np.nan)
    contributions = scores.copy()
    found = np.frombuffer(b"".join([given[i][HEAD.itemsize :] for i in scored]), SCORE)
    row = np.repeat(np.arange(len(scored)), [rest[i] // SCORE.itemsize for i in scored])
    codes = _codes(found["arm"], arms.ids)
    known = codes >= 0
    scores[row[known], codes[known]] = found["score"][known]
    contributions[row[known], codes[known]] = found["contribution"][known]
    return UnitBatch(records, scores, contributions)


def _scores(units: Units, rows: NDArray[np.int32]) -> list[bytes]:
    """Return the scores of some rows, of every row the arms that have one."""
    scores, contributions = units.scores[rows], units.contributions[rows]
    has = ~np.isnan(scores)
    made = np.empty(int(has.sum()), SCORE)
    made["arm"] = np.broadcast_to(units.arms.ids, has.shape)[has]
    made["score"], made["contribution"] = scores[has], contributions[has]
    raw = made.tobytes()
    ends = np.cumsum(has.sum(axis=1) * SCORE.itemsize).tolist()
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _codes(ids: NDArray[np.uint64], known: NDArray[np.uint64] | Sequence[int]) -> NDArray[np.int32]:
    """Return where each id stands among the known ones, -1 where nowhere."""
    own = np.asarray(known, np.uint64)
    if not len(own):
        return np.full(len(ids), -1, np.int32)
    order = np.argsort(own)
    at = np.minimum(np.searchsorted(own, ids, sorter=order), len(own) - 1)
    found = order[at]
    return np.where(own[found] == ids, found, -1).astype(np.int32)
