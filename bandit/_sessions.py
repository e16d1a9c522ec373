"""Live units by session: what every session has shown of itself in the last hour."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from ._decay import NO_TIME
from ._ids import NO_ID
from ._session_units import SESSION_LENGTH, SessionUnits
from ._session_versions import SAID, Version, Versions, grouped, scores_of
from ._unit import LIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._units import Units

MOST_LIVE: Final = 100_000
"""Most versions of live units in memory, some 20 MB; the sessions that rest longest go first."""


class LiveSessions:
    """Every live unit by session, at every revision that is asked for, until the session is over.

    `of` and `cells` may be called from any thread at any time; they wait for nobody, and what `of`
    returns never changes. Everything else needs the lock that guards the units.

    Parameters
    ----------
    most : int
        Most versions to remember.
    """

    def __init__(self, most: int = MOST_LIVE) -> None:
        self._most, self._count = most, 0
        self._lock = threading.Lock()
        self._sessions: dict[int, SessionUnits] = {}
        self._arms: tuple[str, ...] = ()
        self._asked = self._served = NO_TIME
        self._ended = self._latest = NO_TIME

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def versions(self) -> int:
        """How many versions of units are remembered."""
        return self._count

    def of(self, session: int) -> SessionUnits | None:
        """Return what is known of a session now."""
        with self._lock:
            return self._sessions.get(session)

    def cells(self, session: int) -> int:
        """Return about how many numbers a look at a session's units goes through; 0 for none."""
        found = self.of(session)
        # All scores of its units, and the matrix over the arms that they are summed up in.
        return 0 if found is None else (found.used + len(found.arms)) * len(found.arms)

    def serve(self, revision: int) -> None:
        """Note which revision is asked for from now on; requests may still ask for the one before.

        What is older than both need not be remembered.
        """
        self._asked, self._served = self._served, revision

    def note(self, units: Units, at: int, before: int, revision: int) -> None:
        """Remember what a unit is now, if it is live and has a session.

        Parameters
        ----------
        units : Units
        at : int
            Where the unit is.
        before : int
            The session that it had, `NO_ID` if none.
        revision : int
            Of the evidence, the unit as it is now being part of it.
        """
        session = int(units.records["session"][at])
        if before not in {NO_ID, session}:
            record = units.records[at : at + 1]
            self._take(units, record, np.array([before], np.uint64), revision)
        elif session != NO_ID and units.records["flags"][at] & LIVE:
            known = self._known(session, self._arms_of(units))
            version, scores = Version.of(units, at, revision), scores_of(units, at)
            self._put(session, known.with_version(version, scores, self._asked))

    def note_folded(
        self, units: Units, batch: NDArray[np.void], before: NDArray[np.uint64], revision: int
    ) -> None:
        """Remember the live ones of the units that a batch was folded into.

        Those shown long before the newest are no session's any more, unless theirs still runs.

        Parameters
        ----------
        units : Units
            With the batch in them.
        batch : ndarray of UNIT
            What was folded, and units that went in the same change.
        before : ndarray of uint64, shape (len(batch),)
            The sessions that these units had, `NO_ID` where none.
        revision : int
        """
        live = (batch["flags"] & LIVE) != 0
        if live.any():
            self._latest = max(self._latest, int(batch["time"][live].max()))
        chosen = live & (batch["time"] > self._latest - 2 * SESSION_LENGTH)
        chosen |= np.array([session in self._sessions for session in before.tolist()], np.bool_)
        if not chosen.any():
            return
        self._take(units, batch[chosen], before[chosen], revision)

    def note_changes(self, units: Units, revision: int) -> None:
        """Compare what is remembered with the units: take in what changed, forget what is gone."""
        if not self._sessions:
            return
        names, known, scores = self._newest(units)
        at = units.find_all(known["execution"], known["document"])
        there = at >= 0
        now = Versions.of(units, at[there], revision)
        same = now.sessions == names[there]
        for field in SAID:
            same &= now.records[field] == known[field][there]
        same &= now.has_scores(scores[there])
        gone = ~there
        gone[there] = now.sessions != names[there]
        self._replace(units, now.only(~same), names[gone], known[gone])

    def note_recent(self, units: Units, revision: int) -> None:
        """Remember the live units that came otherwise than by `note`, those of the last hours."""
        records = units.records
        live = np.flatnonzero((records["flags"] & LIVE) != 0)
        times = records["time"][live]
        recent = records[live[times > times.max(initial=NO_TIME) - 2 * SESSION_LENGTH]]
        self._take(units, recent, recent["session"], revision)

    def rebuild(self, units: Units, revision: int) -> None:
        """Start anew from the units that are live."""
        made = LiveSessions(self._most)
        made.note_recent(units, revision)
        with self._lock:
            self._sessions, self._count = made._sessions, made._count

    def forget(self, records: NDArray[np.void]) -> None:
        """Forget units that are open no more, or no more their session's.

        Parameters
        ----------
        records : ndarray of UNIT
            As they were.
        """
        sessions = np.array(list(self._sessions), np.uint64)
        records = records[np.isin(records["session"], sessions)]
        for session, which in grouped(records["session"]):
            self._put(session, self._sessions[session].without(records[which]))

    def end_before(self, time: int) -> None:
        """Forget sessions whose last unit was shown before a time; looks once a minute."""
        if time < self._ended + SESSION_LENGTH // 60:
            return
        self._ended = time
        for session in [name for name, units in self._sessions.items() if units.newest < time]:
            self._put(session, self._sessions[session].only(np.empty(0, np.intp)))

    def _newest(
        self, units: Units
    ) -> tuple[NDArray[np.uint64], NDArray[np.void], NDArray[np.float64]]:
        """Return the newest version of every unit: session, record, and scores by arm."""
        arms = self._arms_of(units)
        each = [session.for_arms(arms) for session in self._sessions.values()]
        rows = [session.rows() for session in each]
        sizes = [len(row) for row in rows]
        names = np.repeat(np.array(list(self._sessions), np.uint64), sizes)
        scores = np.full((len(names), 2, len(arms)), np.nan)
        for session, row, end in zip(each, rows, np.cumsum(sizes).tolist(), strict=True):
            if session.scores is not None:
                scores[end - len(row) : end] = session.scores[row]
        pairs = zip(each, rows, strict=True)
        return names, np.concatenate([session.records[row] for session, row in pairs]), scores

    def _take(
        self,
        units: Units,
        records: NDArray[np.void],
        before: NDArray[np.uint64],
        revision: int,
    ) -> None:
        """Remember what units are now; those that went, or changed their session, leave theirs."""
        at = units.find_all(records["execution"], records["document"])
        there = at >= 0
        now = Versions.of(units, at[there], revision)
        left = ~there
        left[there] = now.sessions != before[there]
        left &= before != NO_ID
        self._replace(units, now, before[left], records[left])

    def _replace(
        self,
        units: Units,
        now: Versions,
        left: NDArray[np.uint64],
        leaving: NDArray[np.void],
    ) -> None:
        """Put what is new of a session, and without what leaves it, in its place at once."""
        live = ((now.records["flags"] & LIVE) != 0) & (now.sessions != NO_ID)
        coming = dict(now.only(live).by_session())
        going = {session: leaving[which] for session, which in grouped(left)}
        arms = self._arms_of(units)
        for session in dict.fromkeys([*going, *coming]):
            known = self._known(session, arms)
            if session in going:
                known = known.without(going[session])
            if session in coming:
                known = known.with_versions(coming[session], self._asked)
            self._put(session, known)

    def _known(self, session: int, arms: tuple[str, ...]) -> SessionUnits:
        known = self._sessions.get(session)
        return SessionUnits.empty(arms) if known is None else known.for_arms(arms)

    def _put(self, session: int, units: SessionUnits) -> None:
        """Replace what is known of a session; whoever moved last stands last, and goes last."""
        if units is self._sessions.get(session):
            return
        with self._lock:
            before = self._sessions.pop(session, None)
            self._count += units.used - (0 if before is None else before.used)
            if units.used:
                self._sessions[session] = units
            while self._count > self._most:
                self._count -= self._sessions.pop(next(iter(self._sessions))).used

    def _arms_of(self, units: Units) -> tuple[str, ...]:
        """Return the names of the arms, the same tuple for all sessions."""
        arms = tuple(units.arms.names)
        if arms != self._arms:
            self._arms = arms
        return self._arms
