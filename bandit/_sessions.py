"""Live units by session: what a session has shown of itself in the last hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ._credit import UnitBatch
from ._decay import NO_TIME
from ._ids import NO_ID
from ._unit import LIVE, UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ._sums import Sums
    from ._units import Units

SESSION_LENGTH: Final = 60 * 60 * 1_000_000
"""Microseconds for which a live unit moves its own session."""

MOST_LIVE: Final = 100_000
"""Most versions of live units in memory, some 100 MB; the sessions that rest longest go first."""

_NO_SCORES: Final = np.empty((0, 0))


@dataclass(frozen=True)
class SessionSums:
    """What one session says of itself.

    Attributes
    ----------
    arms : tuple of str
    units : int
        Live, open units of the last hour.
    N, S, F : ndarray of float64, shape (arms,)
        Their sums, as in `Sums`.
    own : Sums or None
        What these units contribute to the sums of the contexts that were asked for, as these
        stood when those were read: subtract it before the posterior is formed, and nothing is
        counted twice. None where they contribute nothing.
    """

    arms: tuple[str, ...]
    units: int
    N: NDArray[np.float64]
    S: NDArray[np.float64]
    F: NDArray[np.float64]
    own: Sums | None = None


class _Version(NamedTuple):
    revision: int
    record: NDArray[np.void]
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]


class LiveSessions:
    """Every version of every live unit, by session, until the session is over.

    Parameters
    ----------
    most : int
        Most versions to remember.
    """

    def __init__(self, most: int = MOST_LIVE) -> None:
        self._most, self._count = most, 0
        self._sessions: dict[int, dict[tuple[int, int], list[_Version]]] = {}
        self._newest: dict[int, int] = {}
        self._session_of: dict[tuple[int, int], int] = {}
        self._ended = self._latest = NO_TIME

    def __contains__(self, session: int) -> bool:
        return session in self._sessions

    def note(self, units: Units, at: int, revision: int) -> None:
        """Remember what a unit is now, if it is live and has a session."""
        record = units.records[at]
        session = int(record["session"])
        if session == NO_ID or not record["flags"] & LIVE:
            return
        scores = contributions = _NO_SCORES
        if record["scored"] >= 0:
            row = _score_row(record)
            scores, contributions = units.scores[row].copy(), units.contributions[row].copy()
        version = _Version(revision, record.copy(), scores, contributions)
        key = int(record["execution"]), int(record["document"])
        before = self._session_of.get(key, session)
        if before != session:
            self._count -= len(self._sessions.get(before, {}).pop(key, ()))
        self._session_of[key] = session
        # Whoever moved last stands last, so that the first is the one to go.
        versions = self._sessions[session] = self._sessions.pop(session, {})
        versions.setdefault(key, []).append(version)
        self._count += 1
        self._newest[session] = max(int(record["time"]), self._newest.get(session, 0))
        while self._count > self._most:
            self._end(next(iter(self._sessions)))

    def note_folded(self, units: Units, batch: NDArray[np.void], revision: int) -> None:
        """Remember the live ones of the units that a batch was folded into.

        Those shown long before the newest are no session's any more.

        Parameters
        ----------
        units : Units
            With the batch in them.
        batch : structured ndarray
            With the fields ``execution``, ``document``, ``flags`` and ``time``.
        revision : int
        """
        live = (batch["flags"] & LIVE) != 0
        if live.any():
            self._latest = max(self._latest, int(batch["time"][live].max()))
        recent = live & (batch["time"] > self._latest - 2 * SESSION_LENGTH)
        keys = zip(batch["execution"].tolist(), batch["document"].tolist(), strict=True)
        for key, new in zip(keys, recent.tolist(), strict=True):
            session = self._session_of.get(key)
            if session is None and not new:
                continue
            at = units.find(*key)
            if at < 0:
                continue
            known = None if session is None else self._sessions.get(session, {}).get(key)
            if not known or not _same(known[-1], units, at):
                self.note(units, at, revision)

    def note_changes(self, units: Units, revision: int) -> None:
        """Remember the live units that a batch changed, and forget those that are closed."""
        before, self._sessions, self._session_of, self._count = self._sessions, {}, {}, 0
        for session, versions in before.items():
            for key, known in versions.items():
                at = units.find(*key)
                if at < 0:
                    continue
                if units.records["session"][at] == session:
                    self._sessions.setdefault(session, {})[key] = known
                    self._session_of[key] = session
                    self._count += len(known)
                if not _same(known[-1], units, at):
                    self.note(units, at, revision)

    def rebuild(self, units: Units, revision: int) -> None:
        """Start anew from the units that are live."""
        self._sessions, self._newest, self._session_of, self._count = {}, {}, {}, 0
        self.note_recent(units, revision)

    def note_recent(self, units: Units, revision: int) -> None:
        """Remember the live units that came otherwise than by `note`, those of the last hours."""
        records = units.records
        live = np.flatnonzero((records["flags"] & LIVE) != 0)
        times = records["time"][live]
        for at in live[times > times.max(initial=NO_TIME) - 2 * SESSION_LENGTH].tolist():
            record = records[at]
            known = self._sessions.get(int(record["session"]), {})
            if (int(record["execution"]), int(record["document"])) not in known:
                self.note(units, at, revision)

    def forget(self, keys: Iterable[tuple[int, int]]) -> None:
        """Forget units that are open no more."""
        for key in keys:
            session = self._session_of.pop(key, None)
            if session is not None:
                self._count -= len(self._sessions.get(session, {}).pop(key, ()))

    def end_before(self, time: int) -> None:
        """Forget sessions whose last unit was shown before a time; looks once a minute."""
        if time < self._ended + SESSION_LENGTH // 60:
            return
        self._ended = time
        over = [session for session, newest in self._newest.items() if newest < time]
        for session in over:
            self._end(session)

    def _end(self, session: int) -> None:
        for key, versions in self._sessions.pop(session, {}).items():
            self._session_of.pop(key, None)
            self._count -= len(versions)
        self._newest.pop(session, None)

    def batch(self, session: int, since: int, revision: int | None, arms: int) -> UnitBatch:
        """Return a session's units first shown from a time on, as they were at a revision."""
        chosen = [
            known
            for versions in self._sessions.get(session, {}).values()
            if versions[-1].record["time"] > since
            and (known := _as_of(versions, revision)) is not None
        ]
        records = np.zeros(len(chosen), UNIT)
        for i, version in enumerate(chosen):
            records[i] = version.record
            records[i]["scored"] = i if len(version.scores) else -1
        return UnitBatch(
            records,
            _stacked([v.scores for v in chosen], arms),
            _stacked([v.contributions for v in chosen], arms),
        )


def _score_row(record: NDArray[np.void]) -> slice:
    scored = int(record["scored"])
    return slice(scored, scored + 1) if scored >= 0 else slice(0, 0)


def _same(version: _Version, units: Units, at: int) -> bool:
    record = units.records[at]
    row = _score_row(record)
    return bool(
        record == version.record
        and np.array_equal(units.scores[row], version.scores, equal_nan=True)
        and np.array_equal(units.contributions[row], version.contributions, equal_nan=True)
    )


def _as_of(versions: list[_Version], revision: int | None) -> _Version | None:
    if revision is None:
        return versions[-1]
    return next((v for v in reversed(versions) if v.revision <= revision), None)


def _stacked(rows: list[NDArray[np.float64]], arms: int) -> NDArray[np.float64]:
    """Put rows of scores under each other; those without any are NaN."""
    made = np.full((len(rows), arms), np.nan)
    for i, row in enumerate(rows):
        if len(row):
            made[i, : row.shape[1]] = row[0]
    return made
