"""What is known of the snapshots that a store keeps: since when, by whom, with which weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ..base.timestamps import as_datetime, microseconds
from ..base.weights_display import WeightsOverTimeDisplay

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

LEARNER: Final = "learner"
"""Author of what was learnt, rather than changed by someone."""

NEWEST: Final = 20
HOURS: Final = 24
DAYS: Final = 30
"""Snapshots that stay: the newest ones, the last one of each of the newest hours and days."""

_HOUR: Final = 3_600_000_000


class WeightInterval(NamedTuple):
    """A weight at the posterior mean, and between what 90 % of those lie that are served."""

    mean: float
    low: float
    high: float


class SnapshotRecord(NamedTuple):
    """A snapshot that is kept.

    Attributes
    ----------
    snapshot_id : str
    number : int
        Snapshots that there were up to this one; 0 where an earlier version wrote it.
    time : datetime or None
        When it was first put; None where an earlier version wrote it.
    author : str
        Who put it: "learner", or the name of the token that a change was made with.
    weights : dict of str to WeightInterval
        Of everybody, by channel.
    """

    snapshot_id: str
    number: int = 0
    time: dt.datetime | None = None
    author: str = ""
    weights: Mapping[str, WeightInterval] = {}

    @classmethod
    def of(cls, snapshot_id: str, note: str) -> SnapshotRecord:
        """Return what a note says; an empty one says nothing."""
        if not note:
            return cls(snapshot_id)
        number, time, author, weights = json.loads(note)
        known = {uri: WeightInterval(*values) for uri, values in weights.items()}
        return cls(snapshot_id, number, as_datetime(time), author, known)

    @property
    def note(self) -> str:
        """Return it as `of` reads it; nothing of an earlier version's."""
        if self.time is None:
            return ""
        return json.dumps([self.number, microseconds(self.time), self.author, self.weights])


class SnapshotHistory(NamedTuple):
    """The snapshots that a store keeps.

    Attributes
    ----------
    records : list of SnapshotRecord
        The one that was put last first.
    dropped : int
        How many were kept once and are not any more.
    """

    records: list[SnapshotRecord]
    dropped: int

    @classmethod
    def of(cls, notes: Mapping[str, str]) -> SnapshotHistory:
        """Return what the notes say of each snapshot."""
        records = [SnapshotRecord.of(name, note) for name, note in notes.items()]
        return cls(records, max((each.number for each in records), default=0) - len(records))

    def plot(self, ax: Axes | None = None) -> WeightsOverTimeDisplay:
        """Draw the weights of everybody over time, of the snapshots that say when they were put.

        Raises
        ------
        InvalidInputError
            If none does.
        """
        dated = [(e.time, e.weights) for e in reversed(self.records) if e.time and e.weights]
        if not dated:
            msg = "records: no snapshot with a time and weights, so there is nothing to draw"
            raise InvalidInputError(msg)
        dated.sort(key=lambda each: each[0])
        uris = tuple(dict.fromkeys(uri for _, weights in reversed(dated) for uri in weights))
        values = np.array(
            [[weights.get(uri, (np.nan,) * 3) for uri in uris] for _, weights in dated]
        )
        times = np.array([microseconds(time) for time, _ in dated]).astype("datetime64[us]")
        return WeightsOverTimeDisplay(uris, times, *np.moveaxis(values, 2, 0)).plot(ax)

    def put(self, record: SnapshotRecord) -> tuple[SnapshotRecord, list[str]]:
        """Return what to note of a snapshot that is put, and the names of those to drop then.

        One that is put again keeps its number, its time and its author.
        """
        known = next(
            (e for e in self.records if e.snapshot_id == record.snapshot_id and e.time), None
        )
        number = max(len(self.records), *(each.number for each in self.records), 0) + 1
        placed = known or record._replace(number=number)
        others = [each for each in self.records if each.snapshot_id != record.snapshot_id]
        return placed, surplus([placed, *others])


def surplus(records: Sequence[SnapshotRecord]) -> list[str]:
    """Return the names of the snapshots that do not stay, given all, the newest first.

    >>> import datetime as dt
    >>> moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    >>> ages = [dt.timedelta(minutes=n) for n in range(100)]
    >>> surplus([SnapshotRecord(f"s{n}", n, moment - age) for n, age in enumerate(ages)])[:2]
    ['s20', 's21']
    """
    times = {e.snapshot_id: microseconds(e.time) for e in records[::-1] if e.time is not None}
    kept = {each.snapshot_id for each in records[:NEWEST]}
    for length, count in ((_HOUR, HOURS), (24 * _HOUR, DAYS)):
        last = {time // length: name for name, time in times.items()}
        kept.update(last[period] for period in _largest(last, count))
    return [each.snapshot_id for each in records if each.snapshot_id not in kept]


def _largest(values: Iterable[int], count: int) -> list[int]:
    return sorted(values, reverse=True)[:count]
