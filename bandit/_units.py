"""Open units in flat arrays with an index by key: what rows are folded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ._decay import NO_TIME
from ._ids import NO_ID
from ._unit import SHOWN, UNIT, UnitRow, place, places
from ._unit_arrays import cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._names import Names
    from ._unit_arrays import RowArrays

_LOW: Final = 0xFFFFFFFF
_FEWEST: Final = 64
_MANY: Final = 10_000


class Units:
    """Units by (execution, document), folded so that order, repeats and resends change nothing.

    A unit keeps its earliest (time, position), the channel that the earliest row names, the
    highest reward of either sign, and of every channel the highest score and contribution.

    Parameters
    ----------
    arms : Names
        Channels; shared with the owner, who may add some and then calls `widen`.
    segments : Names
        Segments, shared likewise.

    Attributes
    ----------
    unexposed : int
        Units that no row says were shown.
    """

    def __init__(self, arms: Names[str], segments: Names[tuple[str, ...]]) -> None:
        self.arms, self.segments = arms, segments
        self._records = np.zeros(0, UNIT)
        self._scores = np.empty((0, len(arms)))
        self._contributions = np.empty((0, len(arms)))
        self._table = np.zeros(2 * _FEWEST, np.uint64)
        self._used = self._scored = 0
        self.unexposed = 0

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

    def fold(
        self,
        rows: RowArrays,
        scores: NDArray[np.float64],
        contributions: NDArray[np.float64],
        *,
        line: int,
    ) -> NDArray[np.int64]:
        """Fold many rows in one compiled pass and return what `_unit_kernels` counts."""
        from ._unit_kernels import UNEXPOSED, fill_table, fold_rows

        self._reserve(len(rows.time), len(scores))
        size = _table_size(self._used + len(rows.time))
        if size > len(self._table):
            self._table = np.zeros(size, np.uint64)
            keys = self.records
            fill_table(
                self._table,
                np.ascontiguousarray(keys["execution"]),
                np.ascontiguousarray(keys["document"]),
            )
        self._used, self._scored, counts = fold_rows(
            tuple(rows),
            scores,
            contributions,
            self._table,
            tuple(cells_of(self._records)),
            (self._scores, self._contributions, self.segments.ids, self.arms.ids),
            self._used,
            self._scored,
            line,
        )
        self.unexposed += int(counts[UNEXPOSED])
        return counts

    def fold_one(
        self,
        row: UnitRow,
        scores: NDArray[np.float64] | None = None,
        contributions: NDArray[np.float64] | None = None,
    ) -> tuple[int, bool, bool]:
        """Fold one row; return where its unit is, whether it was opened, whether it changed."""
        at = self.find(row.execution, row.document)
        opened = at < 0
        changed = False
        before = not opened and not self._records["flags"][at] & SHOWN
        if opened:
            at = self._append(row)
        else:
            changed = self._fold_fields(at, row)
        if scores is not None and contributions is not None:
            changed |= self._fold_scores(at, scores, contributions)
        self.unexposed += int(not self._records["flags"][at] & SHOWN) - int(before)
        return at, opened, changed and not opened

    def find(self, execution: int, document: int) -> int:
        """Return where a unit is, -1 if nowhere."""
        last = len(self._table) - 1
        mixed = place(execution, document)
        slot, tag = mixed & last, mixed >> 32
        while entry := int(self._table[slot]):
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
        last = np.uint64(len(self._table) - 1)
        mixed = places(executions, documents)
        tag = mixed >> np.uint64(32)
        found = np.full(len(mixed), -1, np.intp)
        left, slot = np.arange(len(mixed)), mixed & last
        while len(left):
            entry = self._table[slot]
            at = (entry & np.uint64(_LOW)).astype(np.intp) - 1
            here = (entry != 0) & (entry >> np.uint64(32) == tag[left])
            here[here] = self._have(at[here], executions[left[here]], documents[left[here]])
            found[left[here]] = at[here]
            further = ~here & (entry != 0)
            left, slot = left[further], (slot[further] + np.uint64(1)) & last
        return found

    def session_of(self, execution: int, document: int) -> int:
        """Return the session of a unit, `NO_ID` where there is none."""
        at = self.find(execution, document)
        return NO_ID if at < 0 else int(self._records["session"][at])

    def sessions_of(self, records: NDArray[np.void]) -> NDArray[np.uint64]:
        """Return the sessions of the units that have the keys of records, `NO_ID` where none."""
        at = self.find_all(records["execution"], records["document"])
        sessions = np.full(len(at), NO_ID, np.uint64)
        sessions[at >= 0] = self._records["session"][at[at >= 0]]
        return sessions

    def still(self, arms: Names[str], segments: Names[tuple[str, ...]]) -> Units:
        """Return a copy to read from, with names of its own; nothing can be folded into it."""
        made = Units(arms, segments)
        made._records, made._used = self.records.copy(), self._used
        made._scores, made._contributions = self.scores.copy(), self.contributions.copy()
        made._scored, made.unexposed = self._scored, self.unexposed
        return made

    def take(self, kept: NDArray[Any]) -> Units:
        """Return a copy that holds only some units."""
        chosen = Units(self.arms, self.segments)
        chosen.load(self.records[kept], self.scores, self.contributions)
        return chosen

    def load(
        self,
        records: NDArray[np.void],
        scores: NDArray[np.float64],
        contributions: NDArray[np.float64],
    ) -> None:
        """Replace everything by units whose keys all differ; rows of scores are renumbered."""
        self._records = records.copy()
        self._used = len(records)
        self.unexposed = int(((records["flags"] & SHOWN) == 0).sum())
        has = records["scored"] >= 0
        rows = records["scored"][has]
        self._scores, self._contributions = scores[rows], contributions[rows]
        self._scored = len(rows)
        self._records["scored"][has] = np.arange(len(rows), dtype=np.int32)
        self._table = np.zeros(_table_size(self._used), np.uint64)
        _enter(self._table, self._records)

    def widen(self) -> None:
        """Make columns for arms that were added."""
        more = ((0, 0), (0, len(self.arms) - self._scores.shape[1]))
        self._scores = np.pad(self._scores, more, constant_values=np.nan)
        self._contributions = np.pad(self._contributions, more, constant_values=np.nan)

    def renamed(self, arms: Names[str], codes: NDArray[np.int32]) -> Units:
        """Return the units for other arms; `codes` are the new places of the old ones."""
        made = Units(arms, self.segments)
        records = self.records.copy()
        records["arm"] = np.append(codes, -1)[records["arm"]]
        records["arm_time"][records["arm"] < 0] = NO_TIME
        matrices = (
            realigned(self.scores, codes, len(arms)),
            realigned(self.contributions, codes, len(arms)),
        )
        made.load(records, *matrices)
        return made

    def forget(self, user: int) -> int:
        """Take a user's name off his units and return how many there were."""
        mine = self.records["user"] == user
        self.records["user"][mine] = NO_ID
        self.records["session"][mine] = NO_ID
        return int(mine.sum())

    def order(self) -> NDArray[np.int64]:
        """Return the units by key, an order that does not depend on how they came."""
        return np.lexsort((self.records["document"], self.records["execution"]))

    def _reserve(self, units: int, scored: int) -> None:
        if self._used + units > len(self._records):
            room = _room(len(self._records), self._used + units)
            self._records = _grown(self._records, self._used, room)
        if self._scored + scored > len(self._scores):
            room = _room(len(self._scores), self._scored + scored)
            before, self._scores = self._scores, np.full((room, len(self.arms)), np.nan)
            self._scores[: self._scored] = before[: self._scored]
            before, self._contributions = self._contributions, np.full_like(self._scores, np.nan)
            self._contributions[: self._scored] = before[: self._scored]

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

    def _append(self, row: UnitRow) -> int:
        self._reserve(1, 0)
        if _table_size(self._used + 1) > len(self._table):
            self._table = np.zeros(_table_size(2 * self._used), np.uint64)
            _enter(self._table, self.records)
        at = self._used
        named = row.arm_time if row.arm >= 0 else UnitRow._field_defaults["arm_time"]
        self._records[at] = (
            *(row.execution, row.document, row.user, row.session, row.time, named),
            *(row.position, row.segment, -1, row.arm, row.plus, row.minus, row.flags),
        )
        self._used += 1
        self._enter_one(row, at)
        return at

    def _enter_one(self, row: UnitRow, at: int) -> None:
        last = len(self._table) - 1
        mixed = place(row.execution, row.document)
        slot = mixed & last
        while self._table[slot]:
            slot = (slot + 1) & last
        self._table[slot] = (mixed >> 32 << 32) | (at + 1)

    def _fold_fields(self, at: int, row: UnitRow) -> bool:
        """Fold by the same rules as `_unit_kernels.fold_rows`."""
        unit = self._records[at]
        before = unit.copy()
        unit["time"], unit["position"] = min(
            (unit["time"], unit["position"]), (row.time, row.position)
        )
        if row.arm >= 0 and (
            unit["arm"] < 0
            or (row.arm_time, self.arms.ids[row.arm])
            < (unit["arm_time"], self.arms.ids[unit["arm"]])
        ):
            unit["arm"], unit["arm_time"] = row.arm, row.arm_time
        ids = self.segments.ids
        if row.segment >= 0 and (unit["segment"] < 0 or ids[row.segment] > ids[unit["segment"]]):
            unit["segment"] = row.segment
        for name in ("user", "session", "plus", "minus"):
            unit[name] = max(int(unit[name]), getattr(row, name))
        unit["flags"] |= row.flags
        return bool(unit != before)

    def _fold_scores(
        self, at: int, scores: NDArray[np.float64], contributions: NDArray[np.float64]
    ) -> bool:
        where = int(self._records["scored"][at])
        if where < 0:
            self._reserve(0, 1)
            where = self._scored
            self._scored += 1
            self._records["scored"][at] = where
        changed = False
        for into, values in ((self._scores, scores), (self._contributions, contributions)):
            folded = np.fmax(into[where], values)
            changed |= not np.array_equal(folded, into[where], equal_nan=True)
            into[where] = folded
        return changed


def realigned(
    matrix: NDArray[np.float64], codes: NDArray[np.int32], arms: int
) -> NDArray[np.float64]:
    """Bring columns into the order of a state's arms; those of unknown arms are left out."""
    made = np.full((len(matrix), arms), np.nan)
    known = codes >= 0
    made[:, codes[known]] = matrix[:, known]
    return made


def _table_size(units: int) -> int:
    """Return a power of two that leaves the table at most half full."""
    return 1 << max(2 * max(units, _FEWEST) - 1, 1).bit_length()


def _room(before: int, needed: int) -> int:
    """Return for how many there is to be room: twice as many, a quarter more where that is much."""
    return max(needed, 2 * before if before < _MANY else before + before // 4, _FEWEST)


def _grown(records: NDArray[np.void], used: int, room: int) -> NDArray[np.void]:
    larger = np.empty(room, UNIT)
    larger[:used] = records[:used]
    return larger


def _enter(table: NDArray[np.uint64], records: NDArray[np.void]) -> None:
    """Enter units into the table, all at once: those that find their slot taken move on."""
    last = np.uint64(len(table) - 1)
    mixed = places(records["execution"], records["document"])
    entry = (mixed >> np.uint64(32) << np.uint64(32)) + np.arange(
        1, len(records) + 1, dtype=np.uint64
    )
    slot = mixed & last
    while len(entry):
        free = table[slot] == 0
        table[slot[free]] = entry[free]
        left = table[slot] != entry
        entry, slot = entry[left], (slot[left] + np.uint64(1)) & last
