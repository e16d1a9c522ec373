"""Live units by session: what every session has shown of itself in the last hour."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.ids import NO_ID
from ..base.timestamps import NO_TIME
from ..units.record import LIVE
from .session_sums import credit_shares
from .session_units import SESSION_LENGTH, SessionUnits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..units.unit_table import UnitTable

MAX_LIVE: Final = 100_000
"""Most live units in memory, some 20 MB; the sessions that rest longest go first."""

_COMPARED: Final = ("user", "session", "time", "position", "arm", "plus", "minus", "flags")


class LiveSessions:
    """Every live unit by session, as it is now, until the session is over.

    `of` and `cells` may be called from any thread at any time; they wait for nothing, and what
    `of` returns never changes. Everything else needs the lock that guards the units.

    `most`: most units to remember.
    """

    def __init__(self, most: int = MAX_LIVE) -> None:
        self._most, self._count = most, 0
        # In the order in which they moved last. Each step on it is one of the interpreter's, so
        # that readers see a session as it was before a change or after it, and need no lock.
        self._sessions: OrderedDict[int, SessionUnits] = OrderedDict()
        self._arms: tuple[str, ...] = ()
        self._ended = self._latest = NO_TIME

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def units(self) -> int:
        """How many units are remembered."""
        return self._count

    def of(self, session: int) -> SessionUnits | None:
        """Return what is known of a session now."""
        return self._sessions.get(session)

    def all(self) -> dict[int, SessionUnits]:
        """Return what is known of every session now, for a posterior that is computed now."""
        return dict(self._sessions)

    def reading_copy(self) -> LiveSessions:
        """Return a copy of what is known now."""
        made = LiveSessions(self._most)
        made._sessions, made._count = self._sessions.copy(), self._count
        return made

    def cells(self, session: int) -> int:
        """Return about how many numbers a look at a session's units goes through; 0 for none."""
        units = self.of(session)
        return 0 if units is None else len(units) * len(units.arms)

    def note(self, units: UnitTable, at: int, before: int) -> None:
        """Remember what a unit is now, if it is live and has a session.

        `at`: where the unit is. `before`: the session that it had, `NO_ID` if none.
        """
        record = units.records[at]
        session = int(record["session"])
        if before not in {NO_ID, session}:
            self._take(units, units.records[at : at + 1], np.array([before], np.uint64))
        elif session != NO_ID and record["flags"] & LIVE:
            unit = SessionUnits.read(units, slice(at, at + 1), self._arms_of(units))
            known = self.of(session)
            self._put(session, unit if known is None else known.with_units(unit))

    def note_folded(
        self, units: UnitTable, batch: NDArray[np.void], before: NDArray[np.uint64]
    ) -> None:
        """Remember the live ones of the units that a batch was folded into.

        Those shown long before the newest belong to no running session any more, unless their
        session is remembered.

        `units`: with the batch in them. `batch`: what was folded, and units that went in the same
        change. `before`, shape (len(batch),): the sessions that these units had, `NO_ID` where
        none.
        """
        live = (batch["flags"] & LIVE) != 0
        if live.any():
            self._latest = max(self._latest, int(batch["time"][live].max()))
        chosen = live & (batch["time"] > self._latest - 2 * SESSION_LENGTH)
        chosen |= np.array([session in self._sessions for session in before.tolist()], np.bool_)
        if chosen.any():
            self._take(units, batch[chosen], before[chosen])

    def note_recent(self, units: UnitTable) -> None:
        """Remember the live units that came otherwise than by `note`, those of the last hours."""
        records = units.records
        live = records[(records["flags"] & LIVE) != 0]
        recent = live[live["time"] > live["time"].max(initial=NO_TIME) - 2 * SESSION_LENGTH]
        self._take(units, recent, recent["session"])

    def refresh(self, units: UnitTable) -> None:
        """Read again what changed of the remembered units otherwise than by `note`."""
        if not self._sessions:
            return
        held = SessionUnits.joined(list(self._sessions.values()))
        at = units.find_all(held.records["execution"], held.records["document"])
        there = at >= 0
        now, known = SessionUnits.read(units, at[there], held.arms), held.take(there)
        changed = ~there
        changed[there] = np.any(
            [now.records[name] != known.records[name] for name in _COMPARED], axis=0
        )
        shares = [credit_shares(e.records, e.contributions, shared=True) for e in (now, known)]
        changed[there] |= (shares[0] != shares[1]).any(axis=1)
        if changed.any():
            self._take(units, held.records[changed], held.records["session"][changed])

    def rebuild(self, units: UnitTable) -> None:
        """Start anew from the units that are live: their arms are others."""
        made = LiveSessions(self._most)
        made.note_recent(units)
        self._sessions, self._count, self._arms = made._sessions, made._count, made._arms

    def forget(self, records: NDArray[np.void]) -> None:
        """Forget units that are no longer open, or no longer their session's.

        `records`: as they were.
        """
        sessions = np.array(list(self._sessions), np.uint64)
        records = records[np.isin(records["session"], sessions)]
        for session, rows in _by_session(records["session"]):
            self._put(session, self._sessions[session].without(records[rows]))

    def end_before(self, time: int) -> None:
        """Forget sessions whose last unit was shown before a time; looks once a minute."""
        if time < self._ended + SESSION_LENGTH // 60:
            return
        self._ended = time
        for session in [name for name, units in self._sessions.items() if units.newest < time]:
            self._count -= len(self._sessions.pop(session))

    def _take(
        self, units: UnitTable, records: NDArray[np.void], before: NDArray[np.uint64]
    ) -> None:
        """Remember what units are now; those that went, or changed their session, leave theirs."""
        at = units.find_all(records["execution"], records["document"])
        now = np.full(len(at), NO_ID, np.uint64)
        now[at >= 0] = units.records["session"][at[at >= 0]]
        leaving = (before != NO_ID) & (now != before)
        going = {session: records[leaving][rows] for session, rows in _by_session(before[leaving])}
        live = SessionUnits.read(units, np.unique(at[at >= 0]), self._arms_of(units))
        has = (live.records["flags"] & LIVE != 0) & (live.records["session"] != NO_ID)
        coming = {
            session: live.take(np.flatnonzero(has)[rows])
            for session, rows in _by_session(live.records["session"][has])
        }
        for session in going | coming:
            # In one step, so that no reader sees some of these units changed and others not.
            self._put(session, _changed(self.of(session), going.get(session), coming.get(session)))

    def _put(self, session: int, units: SessionUnits | None) -> None:
        """Replace what is known of a session; the one that moved last goes last."""
        before = self._sessions.get(session)
        if units is not None and len(units):
            # Of a session that never ends, what can no longer count.
            recent = units.records["time"] > units.newest - 2 * SESSION_LENGTH
            units = units if recent.all() else units.take(recent)
        self._count += _size(units) - _size(before)
        if units is not None and len(units):
            self._sessions[session] = units
            self._sessions.move_to_end(session)
        elif before is not None:
            del self._sessions[session]
        while self._count > self._most:
            self._count -= len(self._sessions.popitem(last=False)[1])

    def _arms_of(self, units: UnitTable) -> tuple[str, ...]:
        """Return the names of the arms, the same tuple for all sessions."""
        arms = tuple(units.arms.names)
        if arms != self._arms:
            self._arms = arms
        return self._arms


def _changed(
    known: SessionUnits | None, gone: NDArray[np.void] | None, coming: SessionUnits | None
) -> SessionUnits | None:
    """Return a session without the units of some records and with some others."""
    if known is None:
        return coming
    if gone is not None:
        known = known.without(gone)
    return known if coming is None else known.with_units(coming)


def _size(units: SessionUnits | None) -> int:
    return 0 if units is None else len(units)


def _by_session(sessions: NDArray[np.uint64]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return the rows of every session."""
    if not len(sessions):
        return []
    order = np.argsort(sessions, kind="stable")
    names, starts = np.unique(sessions[order], return_index=True)
    return list(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
