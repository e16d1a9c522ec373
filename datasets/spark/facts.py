"""What a task found that concerns the whole log; the facts of all tasks add up."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations
from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import numpy as np

from ..loading.part import PartCounts
from ..pairs.feature_columns import DAY
from ..pairs.fold import NO_TIME
from ..quality.positions import PositionCounts
from ..reading.quarantine import Quarantine
from ..reading.scan_counts import ScanCounts
from .log_columns import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..loading.part import Part
    from ..loading.settings import LoadSettings

_Name = TypeVar("_Name", str, int)


@dataclass(frozen=True)
class ReadingFacts:
    """What `ScanCounts` holds, as plain values, without the refused rows themselves."""

    rows_read: int = 0
    rows_valid: int = 0
    rows_of_future: int = 0
    refused: list[tuple[str, str, int]] = field(default_factory=list)
    null_words: dict[str, int] = field(default_factory=dict)
    rewritten: list[tuple[str, str, int]] = field(default_factory=list)
    refused_types: dict[int, int] = field(default_factory=dict)
    earliest: dt.datetime | None = None

    @classmethod
    def of(cls, counts: ScanCounts) -> ReadingFacts:
        """Return the facts of a scan that was read."""
        return cls(
            rows_read=counts.rows_read,
            rows_valid=counts.rows_valid,
            rows_of_future=counts.rows_of_future,
            refused=counts.quarantine.counts,
            null_words=dict(counts.null_words),
            rewritten=[(*names, rows) for names, rows in counts.rewritten.items()],
            refused_types=dict(counts.refused_types),
            earliest=counts.earliest,
        )

    def __add__(self, other: ReadingFacts) -> ReadingFacts:
        """Return the facts of both."""
        times = [time for time in (self.earliest, other.earliest) if time is not None]
        return ReadingFacts(
            rows_read=self.rows_read + other.rows_read,
            rows_valid=self.rows_valid + other.rows_valid,
            rows_of_future=self.rows_of_future + other.rows_of_future,
            refused=self.refused + other.refused,
            null_words=_summed(self.null_words, other.null_words),
            rewritten=self.rewritten + other.rewritten,
            refused_types=_summed(self.refused_types, other.refused_types),
            earliest=min(times, default=None),
        )

    def scan_counts(self, settings: LoadSettings) -> ScanCounts:
        """Return the counts that one scan of all rows would have."""
        quarantine = Quarantine()
        quarantine.count(self.refused)
        rewritten: Counter[tuple[str, str]] = Counter()
        for name, known, rows in self.rewritten:
            rewritten[name, known] += rows
        return ScanCounts(
            settings.mapping,
            sources=[(NAME, "row")],
            rows_read=self.rows_read,
            rows_valid=self.rows_valid,
            rows_of_future=self.rows_of_future,
            quarantine=quarantine,
            null_words=Counter(self.null_words),
            rewritten=rewritten,
            refused_types=Counter(self.refused_types),
            earliest=self.earliest,
            mapped=set(settings.mapping.columns),
        )


@dataclass(frozen=True)
class ListFacts:
    """Of the executions that make pairs.

    Attributes
    ----------
    executions, without_query, pairs, clicked : int
    without_time : int
        Executions.
    highest_position : int
    newest : int
        Time of the latest execution, at most `LoadSettings.now`, in microseconds.
    weights : float
        Sum of the recency weights of executions with a time, where that of the newest is 1.
    half_life : float or None
        Days.
    """

    executions: int = 0
    without_query: int = 0
    pairs: int = 0
    clicked: int = 0
    without_time: int = 0
    highest_position: int = -1
    newest: int = NO_TIME
    weights: float = 0.0
    half_life: float | None = None

    @classmethod
    def of(cls, part: Part, settings: LoadSettings) -> ListFacts:
        """Return the facts of a part."""
        kept = part.pairs.group > 0
        time = part.first_time[kept]
        timed = time[time != NO_TIME]
        if settings.now is not None:
            timed = np.minimum(timed, settings.now)
        newest = int(timed.max(initial=NO_TIME))
        days = (newest - timed) / DAY
        half_life = settings.half_life
        weights = len(timed) if half_life is None else np.exp2(-days / half_life).sum()
        return cls(
            executions=int(np.count_nonzero(kept)),
            without_query=int(np.count_nonzero(part.query[kept] < 0)),
            pairs=len(part.pairs.position),
            clicked=int(np.count_nonzero(part.pairs.clicked)),
            without_time=len(time) - len(timed),
            highest_position=int(part.pairs.position.max(initial=-1)),
            newest=newest,
            weights=float(weights),
            half_life=half_life,
        )

    def __add__(self, other: ListFacts) -> ListFacts:
        """Return the facts of both."""
        newest = max(self.newest, other.newest)
        return ListFacts(
            executions=self.executions + other.executions,
            without_query=self.without_query + other.without_query,
            pairs=self.pairs + other.pairs,
            clicked=self.clicked + other.clicked,
            without_time=self.without_time + other.without_time,
            highest_position=max(self.highest_position, other.highest_position),
            newest=newest,
            weights=self._weights_from(newest) + other._weights_from(newest),
            half_life=self.half_life or other.half_life,
        )

    def _weights_from(self, newest: int) -> float:
        if self.half_life is None or self.newest == NO_TIME:
            return self.weights
        return float(self.weights * 2.0 ** (-(newest - self.newest) / DAY / self.half_life))


@dataclass(frozen=True)
class Facts:
    """All of it.

    Attributes
    ----------
    reading : ReadingFacts
    counts : PartCounts
    positions : PositionCounts
    lists : ListFacts
    filled : dict of str to int
        Recommended field -> rows that have it.
    latest : int
        Time of the last row, in microseconds.
    latest_known : int
        That of the last row which is not of the future.
    context : list of str
        Columns of context that some row has.
    texts : dict of str to list of str
        Documents and queries of no pair, and all channels, as parts have them.
    """

    reading: ReadingFacts = field(default_factory=ReadingFacts)
    counts: PartCounts = field(default_factory=PartCounts)
    positions: PositionCounts = field(default_factory=lambda: PositionCounts(0, 0, 0, 0, 0))
    lists: ListFacts = field(default_factory=ListFacts)
    filled: dict[str, int] = field(default_factory=dict)
    latest: int = NO_TIME
    latest_known: int = NO_TIME
    context: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __add__(self, other: Facts) -> Facts:
        """Return the facts of both."""
        return Facts(
            reading=self.reading + other.reading,
            counts=self.counts + other.counts,
            positions=self.positions + other.positions,
            lists=self.lists + other.lists,
            filled=_summed(self.filled, other.filled),
            latest=max(self.latest, other.latest),
            latest_known=max(self.latest_known, other.latest_known),
            context=sorted({*self.context, *other.context}),
            texts={
                name: self.texts.get(name, []) + other.texts.get(name, [])
                for name in {**self.texts, **other.texts}
            },
        )

    @classmethod
    def of_all(cls, parts: Iterable[bytes]) -> Facts:
        """Return the facts of all tasks, from their bytes."""
        return reduce(add, (_DECODER.decode(part) for part in parts), cls())

    def to_bytes(self) -> bytes:
        """Return the facts as bytes."""
        return msgspec.msgpack.encode(self)


def _summed(ours: dict[_Name, int], others: dict[_Name, int]) -> dict[_Name, int]:
    return {name: ours.get(name, 0) + others.get(name, 0) for name in {**ours, **others}}


_DECODER: Final = msgspec.msgpack.Decoder(Facts)
