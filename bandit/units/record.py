"""The record of one unit of evidence: a document within an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID
from ..base.timestamps import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNIT: Final = np.dtype(
    [
        ("execution", np.uint64),
        ("document", np.uint64),
        ("user", np.uint64),
        ("session", np.uint64),
        ("query", np.uint64),
        ("time", np.int64),
        ("arm_time", np.int64),
        ("position", np.int32),
        ("segment", np.int32),
        ("scored", np.int32),
        ("arm", np.int32),
        ("plus", np.uint8),
        ("minus", np.uint8),
        ("flags", np.uint8),
    ],
    align=True,
)
"""Ids are `stable_ids`, `NO_ID` where unknown; segment, scored and arm are codes, -1 where none.

``time`` is the first display, ``arm_time`` that of the earliest row that names a channel, ``arm``
a code of `channel_sets`, ``scored`` the row of the scores, ``plus`` and ``minus`` reward levels.
"""

SHOWN: Final = 1
"""Flag: a row logs the display of the document, whatever the user did with it."""

LIVE: Final = 2
"""Flag: a row was observed as it happened, so the unit moves its session."""

_MASK: Final = (1 << 64) - 1
MULTIPLIER: Final = 0x9E3779B97F4A7C15


class UnitRow(NamedTuple):
    """One row in the codes of the state that it is folded into."""

    execution: int
    document: int
    user: int = NO_ID
    session: int = NO_ID
    query: int = NO_ID
    time: int = NO_TIME
    position: int = 0
    segment: int = -1
    arm: int = -1
    plus: int = 0
    minus: int = 0
    flags: int = 0


class UnitBatch(NamedTuple):
    """Units with their scores: all of a `UnitTable`, or some of them.

    Attributes
    ----------
    records : ndarray of UNIT, shape (n,)
    scores, contributions : ndarray of float64, shape (m, arms)
        Rows by the records' ``scored``.
    """

    records: NDArray[np.void]
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]

    def take(self, units: NDArray[np.integer] | NDArray[np.bool_] | slice) -> UnitBatch:
        """Return a copy of some units, with no other rows of scores than theirs."""
        records = self.records[units].copy()
        has = np.flatnonzero(records["scored"] >= 0)
        rows = records["scored"][has]
        records["scored"][has] = np.arange(len(has), dtype=np.int32)
        return UnitBatch(records, self.scores[rows], self.contributions[rows])

    def differs(self, other: UnitBatch) -> NDArray[np.bool_]:
        """Return which units are not what the units in the same places of another batch are."""
        ours, theirs = self.records, other.records
        names = [name for name in UNIT.names or () if name != "scored"]
        changed: NDArray[np.bool_] = np.any([ours[name] != theirs[name] for name in names], axis=0)
        has, had = ours["scored"] >= 0, theirs["scored"] >= 0
        changed |= has != had
        both = np.flatnonzero(has & had)
        rows = ours["scored"][both], theirs["scored"][both]
        for new, old in ((self.scores, other.scores), (self.contributions, other.contributions)):
            x, y = new[rows[0]], old[rows[1]]
            changed[both] |= ((x != y) & ~(np.isnan(x) & np.isnan(y))).any(axis=1)
        return changed

    @classmethod
    def joined(cls, parts: Sequence[UnitBatch]) -> UnitBatch:
        """Return the units of several batches, one or more."""
        records = joined_records([(part.records, len(part.scores)) for part in parts])
        scores, contributions = zip(
            *((part.scores, part.contributions) for part in parts), strict=True
        )
        return cls(records, np.concatenate(scores), np.concatenate(contributions))


def joined_records(parts: Sequence[tuple[NDArray[np.void], int]]) -> NDArray[np.void]:
    """Return records of several batches, each with the number of its rows of scores."""
    # np.concatenate compares the fields of structured arrays one by one, which takes longer.
    records, at, scored = np.empty(sum(len(part) for part, _ in parts), UNIT), 0, 0
    for part, of_part in parts:
        rows = records[at : at + len(part)]
        rows[:] = part
        if scored:
            rows["scored"][rows["scored"] >= 0] += scored
        at, scored = at + len(part), scored + of_part
    return records


def hash_key(execution: int, document: int) -> int:
    """Return 64 mixed bits: the low ones are the first slot to look at, the high ones a tag."""
    mixed = (execution * MULTIPLIER + document) & _MASK
    return mixed ^ (mixed >> 32)


def hash_keys(executions: NDArray[np.uint64], documents: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return `hash_key` of many units."""
    with np.errstate(over="ignore"):
        mixed = executions * np.uint64(MULTIPLIER) + documents
    return np.asarray(mixed ^ (mixed >> np.uint64(32)))
