"""Open units in flat arrays with an index by key: what rows are folded into."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.ids import NO_ID
from ..base.timestamps import NO_TIME
from .array_memory import InMemory
from .channel_sets import NO_CHANNEL, recoded, union
from .fold_arrays import FoldCounts, SingleRow, cells_of
from .record import LIVE, SHOWN, UNIT, UnitBatch, hash_key, hash_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.code_table import CodeTable
    from .array_memory import ArrayMemory
    from .fold_arrays import OtherChannels, RowArrays
    from .record import UnitRow

_LOW: Final = 0xFFFFFFFF
_MIN_CAPACITY: Final = 64
_DOUBLING_BELOW: Final = 10_000


_tables: weakref.WeakSet[UnitTable] = weakref.WeakSet()


class UnitTable:
    """Units by (execution, document), folded so that order, repeats and resends change nothing.

    A unit has its earliest (time, position), all channels that its rows name, the highest reward of
    either sign, and of every channel the highest score and contribution.

    The index is a hash table with open addressing: an entry holds the number of a unit, 1 for the
    first, in its low 32 bits and a part of the hash in its high ones, 0 is free.

    Parameters
    ----------
    arms : CodeTable
        Channels; shared with the owner, who may add some and then calls `widen`.
    segments : CodeTable
        Segments, shared likewise.
    memory : ArrayMemory, optional
        Where the arrays lie; in memory if None.

    Attributes
    ----------
    unexposed : int
        Units that no row shows as displayed.
    """

    def __init__(
        self,
        arms: CodeTable[str],
        segments: CodeTable[tuple[str, ...]],
        memory: ArrayMemory | None = None,
    ) -> None:
        self.arms, self.segments = arms, segments
        self.memory = InMemory() if memory is None else memory
        self._records = np.zeros(0, UNIT)
        self._cells: tuple[NDArray[Any], ...] = tuple(cells_of(self._records))
        self._scores = np.empty((0, len(arms)))
        self._contributions = np.empty((0, len(arms)))
        self._index = np.zeros(2 * _MIN_CAPACITY, np.uint64)
        self._single = SingleRow()
        self._used = self._scored = 0
        self.unexposed = 0
        _tables.add(self)

    def __len__(self) -> int:
        return self._used

    @property
    def records(self) -> NDArray[np.void]:
        """Units in no particular order, without a copy."""
        return self._records[: self._used]

    @property
    def scores(self) -> NDArray[np.float64]:
        """Channels' scores as fused, by the records' ``scored``; NaN where a channel missed."""
        return self._scores[: self._scored]

    @property
    def contributions(self) -> NDArray[np.float64]:
        """Served weight x score, by the records' ``scored``; NaN where unknown."""
        return self._contributions[: self._scored]

    @property
    def batch(self) -> UnitBatch:
        """All units with their scores, without a copy."""
        return UnitBatch(self.records, self.scores, self.contributions)

    def part(self, start: int, end: int) -> UnitBatch:
        """Return some of the units, without a copy."""
        return UnitBatch(self.records[start:end], self.scores, self.contributions)

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self._records, self._index, self._scores, self._contributions

    def give_back(self) -> None:
        """Let go of what was read or written, as far as it lies on disk too."""
        self.memory.give_back(*self._arrays)

    def fold(
        self,
        rows: RowArrays,
        scores: NDArray[np.float64],
        contributions: NDArray[np.float64],
        *,
        refuse_before: int = NO_TIME,
    ) -> FoldCounts:
        """Fold rows in one compiled pass."""
        from .fold_kernels import fill_index, fold_rows

        self._reserve(len(rows.time), len(scores))
        size = _index_size(self._used + len(rows.time))
        if size > len(self._index):
            self._index = self.memory.zeros((size,), np.uint64)
            fill_index(self._index, self.records["execution"], self.records["document"])
        before = self._used
        self._used, self._scored, counts, others = fold_rows(
            tuple(rows),
            scores,
            contributions,
            self._index,
            self._cells,
            (self._scores, self._contributions, self.segments.ids),
            self._used,
            self._scored,
            refuse_before,
        )
        self.memory.note_touched(len(rows.time), *self._arrays)
        folded = FoldCounts(*counts.tolist())
        self.unexposed += folded.unexposed
        if not len(others.unit):
            return folded
        return folded._replace(changed=folded.changed + self._add_channels(others, before))

    def _add_channels(self, others: OtherChannels, before: int) -> int:
        """Add channels to units; return how many rows changed a unit of before only by this."""
        unit, arm, changed = others
        arms, rows = self._records["arm"], 0
        while len(unit):
            # One row of each unit a time, in the order of the rows.
            first = np.unique(unit, return_index=True)[1]
            units = unit[first]
            joined = union(arms[units], arm[first])
            is_new = joined != arms[units]
            rows += int((is_new & ~changed[first] & (units < before)).sum())
            arms[units] = joined
            left = np.ones(len(unit), np.bool_)
            left[first] = False
            unit, arm, changed = unit[left], arm[left], changed[left]
        return rows

    def fold_one(
        self,
        row: UnitRow,
        scores: NDArray[np.float64] | None = None,
        contributions: NDArray[np.float64] | None = None,
    ) -> tuple[int, bool, bool]:
        """Fold one row; return where its unit is, whether it was opened, whether it changed.

        Scores and contributions have shape (1, arms).
        """
        at = self.find(row.execution, row.document)
        if scores is None or contributions is None:
            scores = contributions = self._scores[:0]
        self._single.write(row, scored=len(scores) > 0 and not np.isnan(scores).all())
        counts = self.fold(self._single.arrays, scores, contributions)
        return (self._used - 1 if at < 0 else at), at < 0, counts.changed > 0

    def find(self, execution: int, document: int) -> int:
        """Return where a unit is, -1 if nowhere."""
        last = len(self._index) - 1
        mixed = hash_key(execution, document)
        slot, tag = mixed & last, mixed >> 32
        while entry := int(self._index[slot]):
            if entry >> 32 == tag:
                record = self._records[(entry & _LOW) - 1]
                if record["execution"] == execution and record["document"] == document:
                    return (entry & _LOW) - 1
            slot = (slot + 1) & last
        return -1

    def find_all(
        self, executions: NDArray[np.uint64], documents: NDArray[np.uint64]
    ) -> NDArray[np.intp]:
        """Return where many units are, -1 where nowhere."""
        last = np.uint64(len(self._index) - 1)
        mixed = hash_keys(executions, documents)
        tag = mixed >> np.uint64(32)
        places = np.full(len(mixed), -1, np.intp)
        # All keys take their next step together; those that met their unit or a free slot leave.
        searching, slot = np.arange(len(mixed)), mixed & last
        while len(searching):
            entry = self._index[slot]
            at = (entry & np.uint64(_LOW)).astype(np.intp) - 1
            same = (entry != 0) & (entry >> np.uint64(32) == tag[searching])
            keys = executions[searching[same]], documents[searching[same]]
            same[same] = self._have(at[same], *keys)
            places[searching[same]] = at[same]
            further = ~same & (entry != 0)
            searching, slot = searching[further], (slot[further] + np.uint64(1)) & last
        return places

    def sessions_of(self, records: NDArray[np.void]) -> NDArray[np.uint64]:
        """Return the sessions of the units that have the keys of records, `NO_ID` where none."""
        at = self.find_all(records["execution"], records["document"])
        sessions = np.full(len(at), NO_ID, np.uint64)
        sessions[at >= 0] = self._records["session"][at[at >= 0]]
        return sessions

    def take(self, rows: NDArray[Any]) -> UnitTable:
        """Return a copy that holds only some units."""
        taken = UnitTable(self.arms, self.segments, self.memory)
        taken.load(self.records[rows], self.scores, self.contributions)
        return taken

    def load(
        self,
        records: NDArray[np.void],
        scores: NDArray[np.float64],
        contributions: NDArray[np.float64],
    ) -> None:
        """Replace everything by units whose keys all differ; rows of scores are renumbered."""
        self._records = self.memory.zeros(records.shape, UNIT)
        self._records[:] = records
        self._cells = tuple(cells_of(self._records))
        self._used = len(records)
        self.unexposed = int(((records["flags"] & SHOWN) == 0).sum())
        has = records["scored"] >= 0
        rows = records["scored"][has]
        self._scores, self._contributions = scores[rows], contributions[rows]
        self._scored = len(rows)
        self._records["scored"][has] = np.arange(len(rows), dtype=np.int32)
        self._index = self.memory.zeros((_index_size(len(records)),), np.uint64)
        _enter(self._records, self._index)

    def widen(self) -> None:
        """Make columns for arms that were added."""
        self._reserve_scores(len(self._scores))

    def for_arms(self, arms: CodeTable[str], codes: NDArray[np.int32]) -> UnitTable:
        """Return the units for other arms; `codes` are the new codes of the old ones."""
        made = UnitTable(arms, self.segments, self.memory)
        records = self.records.copy()
        records["arm"] = recoded(records["arm"], codes)
        records["arm_time"][records["arm"] == NO_CHANNEL] = NO_TIME
        matrices = (
            realigned(self.scores, codes, len(arms)),
            realigned(self.contributions, codes, len(arms)),
        )
        made.load(records, *matrices)
        return made

    def forget(self, user: int) -> int:
        """Take user and session off a user's units and return how many there were.

        They are no longer live: a later row that names a session must not move it by them.
        """
        of_user = self.records["user"] == user
        self.records["user"][of_user] = NO_ID
        self.records["session"][of_user] = NO_ID
        self.records["flags"][of_user] &= ~np.uint8(LIVE)
        return int(of_user.sum())

    def order(self) -> NDArray[np.int64]:
        """Return the units by key, an order that does not depend on how they came."""
        return np.lexsort((self.records["document"], self.records["execution"]))

    def _reserve(self, units: int, scored: int) -> None:
        if self._used + units > len(self._records):
            capacity = _capacity(len(self._records), self._used + units)
            records = self.memory.zeros((capacity,), UNIT)
            records[: self._used] = self.records
            self._records, self._cells = records, tuple(cells_of(records))
        if self._scored + scored > len(self._scores):
            capacity = _capacity(len(self._scores), self._scored + scored)
            self._reserve_scores(capacity)

    def _reserve_scores(self, rows: int) -> None:
        """Make place for rows of scores of the arms there are; further values count as missing."""
        made = []
        for matrix in (self.scores, self.contributions):
            larger = self.memory.zeros((rows, len(self.arms)), np.float64)
            larger[: len(matrix), : matrix.shape[1]] = matrix
            larger[len(matrix) :] = np.nan
            larger[:, matrix.shape[1] :] = np.nan
            made.append(larger)
        self._scores, self._contributions = made

    def _have(
        self,
        at: NDArray[np.intp],
        executions: NDArray[np.uint64],
        documents: NDArray[np.uint64],
    ) -> NDArray[np.bool_]:
        """Return which units have these keys."""
        records = self._records[at]
        same = records["execution"] == executions
        return np.asarray(same & (records["document"] == documents))


def _leave_parent() -> None:
    """Copy the units in a forked process: arrays on disk are shared with its parent."""
    for table in list(_tables):
        table.load(table.records, table.scores, table.contributions)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_parent)


def realigned(
    matrix: NDArray[np.float64], codes: NDArray[np.int32], arms: int
) -> NDArray[np.float64]:
    """Bring columns into the order of a state's arms; those of unknown arms are left out."""
    made = np.full((len(matrix), arms), np.nan)
    known = codes >= 0
    made[:, codes[known]] = matrix[:, known]
    return made


def _index_size(units: int) -> int:
    """Return a power of two that leaves the index at most half full."""
    return 1 << max(2 * max(units, _MIN_CAPACITY) - 1, 1).bit_length()


def _capacity(before: int, needed: int) -> int:
    """Return the next capacity: twice the one before, a quarter more where that would be much."""
    more = 2 * before if before < _DOUBLING_BELOW else before + before // 4
    return max(needed, more, _MIN_CAPACITY)


def _enter(records: NDArray[np.void], index: NDArray[np.uint64]) -> None:
    """Enter units, whose keys all differ, into an empty index as `fill_index`, without compiling.

    All units look for a slot at once; those that find theirs taken go on to the next one.
    """
    last = np.uint64(len(index) - 1)
    mixed = hash_keys(records["execution"], records["document"])
    entry = (mixed >> np.uint64(32) << np.uint64(32)) + np.arange(
        1, len(records) + 1, dtype=np.uint64
    )
    slot = mixed & last
    while len(entry):
        free = index[slot] == 0
        index[slot[free]] = entry[free]
        left = index[slot] != entry
        entry, slot = entry[left], (slot[left] + np.uint64(1)) & last
