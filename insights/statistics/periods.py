"""Times to periods of equal length: which period each time is in, and which are complete."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR: Final = 3_600_000_000
WEEK: Final = 168 * HOUR
_UNITS: Final = {"h": HOUR, "d": 24 * HOUR, "w": WEEK}
_PATTERN: Final = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_MONDAY: Final = -3 * 24 * HOUR  # 1969-12-29, so that weeks start on Mondays
MAX_PERIODS: Final = 5_000
_SPREAD: Final = 0.02
"""Share of a period that may pass without an event at its start or end, at any rate."""


@dataclass(frozen=True)
class Periods:
    """Consecutive periods of equal length.

    Attributes
    ----------
    every : str
        Length, such as ``"1d"``.
    length : int
        The same in microseconds.
    start : ndarray of int64, shape (periods,)
        Start of each period, microseconds of UTC since 1970.
    complete : ndarray of bool, shape (periods,)
        False for a first or last period that the log does not cover.
    """

    every: str
    length: int
    start: NDArray[np.int64]
    complete: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of periods."""
        return len(self.start)

    def of(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of the period of every time, -1 outside of all."""
        index = (time - self.start[0]) // self.length
        return np.where((index >= 0) & (index < len(self)), index, -1)

    def starts(self) -> pl.Series:
        """Return the start of each period as datetimes of UTC."""
        return pl.Series("period", self.start).cast(pl.Datetime("us"))

    @property
    def season(self) -> NDArray[np.int64]:
        """Place of each period in the week; all 0 for periods of a week or more."""
        if WEEK % self.length:
            return np.zeros(len(self), np.int64)
        return (self.start - _MONDAY) % WEEK // self.length


def period_length(every: str) -> int:
    """Return the microseconds of a length such as ``"1d"``, ``"12h"`` or ``"1w"``.

    >>> period_length("12h") == 12 * 3_600_000_000
    True
    """
    match = _PATTERN.fullmatch(every.strip().lower()) if isinstance(every, str) else None
    if match is None:
        msg = f"every: expected a length such as '1d', '1w' or '12h', got {every!r}"
        raise InvalidInputError(msg)
    return int(match[1]) * _UNITS[match[2]]


def periods_of(time: NDArray[np.int64], every: str) -> Periods:
    """Return the periods from the first to the last of some times.

    `time`, shape (n,): microseconds of UTC, at least one. Weeks start on Monday, days at midnight
    of UTC. A first period is complete if its first event comes about as early as in the others: no
    later than twice the latest of them, or than 2 % of the length; and the last one likewise.

    >>> hours = np.arange(30, 24 * 7 + 5) * 3_600_000_000
    >>> periods_of(hours, "1d").complete.tolist()
    [False, True, True, True, True, True, False]
    """
    length = period_length(every)
    first = (int(time.min()) - _MONDAY) // length
    index = (time - _MONDAY) // length - first
    count = int(index.max()) + 1
    if count > MAX_PERIODS:
        msg = (
            f"every: {every!r} makes {count:,} periods of this log, at most {MAX_PERIODS:,} are "
            "possible; give a longer one, and check the log's times"
        )
        raise InvalidInputError(msg)
    start = _MONDAY + (first + np.arange(count)) * length
    return Periods(every, length, start, _complete(time - start[index], index, count, length))


def _complete(
    since: NDArray[np.int64], index: NDArray[np.int64], count: int, length: int
) -> NDArray[np.bool_]:
    earliest = np.full(count, length, np.int64)
    latest = np.zeros(count, np.int64)
    np.minimum.at(earliest, index, since)
    np.maximum.at(latest, index, since)
    filled = np.bincount(index, minlength=count) > 0
    inner = filled.copy()
    inner[[0, -1]] = False
    complete = np.ones(count, np.bool_)
    for end, gap in ((0, earliest), (-1, length - latest)):
        usual = int(gap[inner].max()) if inner.any() else 0
        complete[end] &= bool(gap[end] <= max(2 * usual, _SPREAD * length))
    return complete
