"""Times as exact microseconds, and exponential decay between them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TIME: Final = -(1 << 62)
"""A time that is not known; no real time is near it."""

MAX_TIME: Final = 1 << 58
"""Largest distance from 1970 in microseconds (about 9,100 years): differences never overflow."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def microseconds(moment: dt.datetime | int, name: str = "time") -> int:
    """Return a moment as exact microseconds since 1970, UTC; naive datetimes are UTC.

    >>> microseconds(dt.datetime(1970, 1, 1, 0, 0, 1, 1))
    1000001
    """
    if isinstance(moment, dt.datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return (aware - _EPOCH) // _MICROSECOND
    whole = isinstance(moment, int | np.integer) and not isinstance(moment, bool)
    if whole and abs(int(moment)) <= MAX_TIME:
        return int(moment)
    msg = f"{name}: expected a datetime or whole microseconds since 1970, got {moment!r}"
    raise InvalidInputError(msg)


def moment_of(now: dt.datetime | int | None) -> int:
    """Return a moment as microseconds, the clock's time for None."""
    return microseconds(dt.datetime.now(dt.UTC) if now is None else now, "now")


def as_datetime(time: int) -> dt.datetime:
    """Return the datetime of exact microseconds since 1970."""
    return _EPOCH + time * _MICROSECOND


def decay(
    times: NDArray[np.int64] | int, reference: NDArray[np.int64] | int, half_life_us: float
) -> NDArray[np.float64]:
    """Return 2^(-(reference - time) / half-life); differences are taken in whole microseconds."""
    age: Any = np.subtract(reference, times, dtype=np.int64)
    with np.errstate(under="ignore"):
        weight: NDArray[np.float64] = np.exp2(-(age / half_life_us))
    return weight
