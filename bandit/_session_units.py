"""The live units of one session as they were at every revision, in arrays that readers may keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ._decay import NO_TIME
from ._session_versions import VERSION, Version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._session_versions import Versions

SESSION_LENGTH: Final = 60 * 60 * 1_000_000
"""Microseconds for which a live unit moves its own session."""

_SPARE: Final = 4
"""Fewest versions for which there is room when more come."""


class SessionUnits:
    """What is known of one session. It never changes: what comes later makes another one.

    The later one shares its arrays and writes behind what it shows, so a reader in another thread
    keeps all of it as it was, without a lock and without a copy.

    Attributes
    ----------
    arms : tuple of str
        What codes of arms and columns of scores mean.
    units : int
        How many units there are.
    used : int
        How many versions of them.
    newest : int
        Latest time of a version.
    complete : int
        The revision from which on all is known; of what was before some may be forgotten.
    """

    __slots__ = ("_room", "_scores", "arms", "complete", "newest", "units", "used")

    def __init__(
        self,
        arms: tuple[str, ...],
        room: NDArray[np.void],
        scores: NDArray[np.float64] | None = None,
        *,
        used: int = 0,
        units: int = 0,
        newest: int = NO_TIME,
        complete: int = NO_TIME,
    ) -> None:
        self.arms, self._room, self._scores = arms, room, scores
        self.used, self.units = used, units
        self.newest, self.complete = newest, complete

    @classmethod
    def empty(cls, arms: tuple[str, ...]) -> SessionUnits:
        """Return a session without units."""
        return cls(arms, np.zeros(0, VERSION))

    @property
    def records(self) -> NDArray[np.void]:
        """Versions in the order of their revisions, without a copy."""
        return self._room[: self.used]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self._room.nbytes + (0 if self._scores is None else self._scores.nbytes)

    @property
    def scores(self) -> NDArray[np.float64] | None:
        """Scores and contributions of the versions, without a copy; None where none has any."""
        return None if self._scores is None else self._scores[: self.used]

    def rows(self, revision: int | None = None) -> NDArray[np.intp]:
        """Return the row of every unit's version at a revision, the newest for None; -1: none."""
        known = self.used
        if revision is not None:
            known = int(self.records["revision"].searchsorted(revision, side="right"))
        rows, unit = np.arange(known), self.records["unit"][:known]
        found = np.full(self.units, -1, np.intp)
        if self.units == self.used:  # one version of each
            found[unit] = rows
        else:
            np.maximum.at(found, unit, rows)
        return found

    def with_versions(self, versions: Versions, asked: int) -> SessionUnits:
        """Return the session with more versions of its units, but for those that say nothing new.

        Parameters
        ----------
        versions : Versions
            Of this session, for its arms, as of no earlier revision than any before.
        asked : int
            See `without_old`, which is called when room is short.
        """
        if not self.used:
            return self._begun(versions)
        made = self
        for row, record in enumerate(versions.records.tolist()):
            scores = None if versions.scores is None else versions.scores[row]
            if scores is not None and np.isnan(scores).all():
                scores = None
            made = made.with_version(Version(*record), scores, asked)
        return made

    def with_version(
        self, version: Version, scores: NDArray[np.float64] | None, asked: int
    ) -> SessionUnits:
        """Return the session with one more version, unless that says nothing new.

        Parameters
        ----------
        version : Version
        scores : ndarray of float64, shape (2, arms), or None
        asked : int
            As of `with_versions`.
        """
        before = self._rows_of(version.execution, version.document)
        if before and self._says(before[-1], version, scores):
            return self
        if self.used == len(self._room):
            return self.without_old(asked).with_version(version, scores, asked)
        unit = int(self._room["unit"][before[-1]]) if before else self.units
        return self._added(version._replace(unit=unit), scores)

    def without_old(self, asked: int) -> SessionUnits:
        """Return the session with room for more, without what nobody can ask for any more.

        Parameters
        ----------
        asked : int
            The oldest revision that anybody asks for.
        """
        records, oldest = self.records, self.newest - 2 * SESSION_LENGTH
        if self.units == self.used and records["time"].min(initial=self.newest) > oldest:
            return self._with_room(records, self._scores, self.units, self.complete)
        rows, unit = np.arange(self.used), records["unit"]
        kept = (rows >= self.rows(asked)[unit]) & (records["time"][self.rows()] > oldest)[unit]
        return self.only(rows[kept], max(self.complete, asked))

    def without(self, records: NDArray[np.void]) -> SessionUnits:
        """Return the session without the units that have the keys of records."""
        gone: list[int] = []
        for execution, document in records[["execution", "document"]].tolist():
            gone += self._rows_of(execution, document)
        return self.only(np.delete(np.arange(self.used), gone)) if gone else self

    def only(self, rows: NDArray[np.intp], complete: int | None = None) -> SessionUnits:
        """Return the session with some of its versions, and with room for more."""
        if complete is None:
            complete = self.complete
        records = self.records[rows]
        names, records["unit"] = np.unique(records["unit"], return_inverse=True)
        scores = None if self._scores is None else self._scores[rows]
        return self._with_room(records, scores, len(names), complete)

    def for_arms(self, arms: tuple[str, ...]) -> SessionUnits:
        """Return the session as a state with these arms sees it."""
        if arms is self.arms or arms == self.arms:
            return self
        codes = np.array([arms.index(arm) if arm in arms else -1 for arm in self.arms] + [-1])
        room = self._room.copy()
        room["arm"] = codes[room["arm"]]
        scores = None
        if self._scores is not None:
            scores = _no_scores(len(room), len(arms))
            kept = codes[:-1] >= 0
            scores[:, :, codes[:-1][kept]] = self._scores[:, :, kept]
        return SessionUnits(
            arms,
            room,
            scores,
            used=self.used,
            units=self.units,
            newest=self.newest,
            complete=self.complete,
        )

    def _rows_of(self, execution: int, document: int) -> list[int]:
        """Return the rows of a unit's versions."""
        found = np.flatnonzero(self.records["document"] == np.uint64(document)).tolist()
        executions = self._room["execution"]
        return [row for row in found if executions[row] == execution]

    def _begun(self, versions: Versions) -> SessionUnits:
        records, scores = versions.records.copy(), versions.scores
        records["unit"] = np.arange(len(records))
        if scores is not None and np.isnan(scores).all():
            scores = None
        return self._with_room(records, scores, len(records), NO_TIME)

    def _with_room(
        self,
        records: NDArray[np.void],
        scores: NDArray[np.float64] | None,
        units: int,
        complete: int,
    ) -> SessionUnits:
        """Return a session of these versions with room for more."""
        used = len(records)
        room = np.zeros(used + max(_SPARE, used // 4), VERSION)
        room[:used] = records
        of_room = None
        if scores is not None:
            of_room = _no_scores(len(room), len(self.arms))
            of_room[:used] = scores[:used]
        return SessionUnits(
            self.arms,
            room,
            of_room,
            used=used,
            units=units,
            newest=int(records["time"].max(initial=NO_TIME)),
            complete=complete,
        )

    def _says(self, row: int, version: Version, scores: NDArray[np.float64] | None) -> bool:
        """Return whether a version says the same."""
        if Version(*self._room[row].item()).said != version.said:
            return False
        if self._scores is None:
            return scores is None
        there = self._scores[row]
        if scores is None:
            return bool(np.isnan(there).all())
        return np.array_equal(there, scores, equal_nan=True)

    def _added(self, version: Version, scores: NDArray[np.float64] | None) -> SessionUnits:
        """Write behind what is shown: nobody reads there yet."""
        self._room[self.used] = version
        made = SessionUnits(
            self.arms,
            self._room,
            self._scores,
            used=self.used + 1,
            units=max(self.units, version.unit + 1),
            newest=max(self.newest, version.time),
            complete=self.complete,
        )
        if scores is not None:
            if made._scores is None:
                made._scores = _no_scores(len(self._room), len(self.arms))
            made._scores[self.used] = scores
        return made


def _no_scores(rows: int, arms: int) -> NDArray[np.float64]:
    return np.full((rows, 2, arms), np.nan)
