"""Times as databases write them, one by one or a column of them, as UTC; and as microseconds.

ISO 8601 and its common variants: a space for the T, a comma or more than six digits in the
fraction, ``UTC`` or ``GMT``, an offset after a space or without minutes, slashes in the date,
points in the time, no hyphens and colons at all; and the dates of HTTP. Without an offset a time
is UTC; a date is its midnight. Numbers count from 1970 in a unit that has to be given.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from . import fault as reasons
from .fault import FaultError

if TYPE_CHECKING:
    import polars as pl

    from .mapping import TimeUnit

PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Unit of time -> how many make a second."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_FIRST: Final = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_LAST: Final = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_D: Final = "[0-9]"
_DATE: Final = rf"(?:[1-9]{_D}{{3}}|0[1-9]{_D}{{2}}|00[1-9]{_D}|000[1-9])-{_D}{{2}}-{_D}{{2}}"
_CLOCK: Final = rf"T{_D}{{2}}:{_D}{{2}}:[0-5]{_D}(?:\.{_D}{{1,6}})?"
_UTC: Final = rf"^{_DATE}{_CLOCK}Z?$"
_ZONED: Final = rf"^{_DATE}{_CLOCK}[+-]{_D}{{2}}:[0-5]{_D}$"
NUMBER: Final = rf"^-?{_D}+(?:\.{_D}*)?(?:[eE][+-]?{_D}+)?$"
_CANONICAL: Final = re.compile(rf"{_DATE}{_CLOCK}(?:Z|[+-]{_D}{{2}}:[0-5]{_D})")
_NUMBER: Final = re.compile(NUMBER)
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_SPELLINGS: Final = (
    (r"^\s+|\s+$", ""),
    *(
        (rf"^(?:[A-Z][a-z]{{2}}, )?([0-9]{{2}}) {name} ([0-9]{{4}}) ", f"${{2}}-{n:02d}-${{1}}T")
        for n, name in enumerate(_MONTHS, 1)
    ),
    (r"^([0-9-]{10})[ -]([0-9]{2})\.([0-9]{2})\.([0-9]{2})", "${1}T${2}:${3}:${4}"),
    (r"([+-]00:?00) (?:UTC|GMT)$", "${1}"),
    (r"(Z|[+-][0-9]{2}:[0-9]{2})\[[A-Za-z0-9_+/-]+\]$", "${1}"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})[Tt]([0-9]{2})", "${1}-${2}-${3}T${4}:"),
    (r"^(.{10}T[0-9]{2}:)([0-9]{2})([0-9]{2})", "${1}${2}:${3}"),
    (r"^([0-9]{4})/([0-9]{2})/([0-9]{2})", "${1}-${2}-${3}"),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})$", "${1}T00:00:00Z"),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[ t]([0-9]{2}:)", "${1}T${2}"),
    (r"^(.{10}T[0-9]{2}:[0-9]{2})($| ?[zZUG+-])", "${1}:00${2}"),
    (r"^(.{10}T[0-9]{2}:[0-9]{2}:[0-9]{2})[.,]([0-9]{1,6})[0-9]*", "${1}.${2}"),
    (r"^(.{10}T[0-9:.]+)(?: ?(?:[zZ]|UTC|GMT))?$", "${1}+00:00"),
    (r"^(.{10}T[0-9:.]+) ?([+-][0-9]{2})$", "${1}${2}:00"),
    (r"^(.{10}T[0-9:.]+) ?([+-][0-9]{2}):?([0-9]{2})$", "${1}${2}:${3}"),
)
"""What turns the variants into one form, one after the other; for re and for polars alike."""

_IN_PYTHON: Final = [
    (re.compile(pattern), re.sub(r"\$\{(.)\}", r"\\\1", form)) for pattern, form in _SPELLINGS
]


def moment_of(name: str, value: Any, unit: TimeUnit | None = None) -> dt.datetime | None:
    """Return a time in UTC, None where there is none, or raise `FaultError`.

    Parameters
    ----------
    name : str
        Of the field.
    value : str, int, float or None
    unit : {"s", "ms", "us", "ns"}, optional
        Of numbers; without one they are refused.
    """
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, int | float | str) else ""
    if not _CANONICAL.fullmatch(text):
        if _NUMBER.fullmatch(text):
            return _from_number(name, text, unit)
        for pattern, form in _IN_PYTHON:
            text = pattern.sub(form, text)
    with suppress(ValueError):
        if _CANONICAL.fullmatch(text):
            local = dt.datetime.fromisoformat(text)
            return _checked(name, value, (local - _EPOCH) // _MICROSECOND)
    raise FaultError(reasons.NOT_TIME, name, value)


def _from_number(name: str, text: str, unit: TimeUnit | None) -> dt.datetime:
    if unit is None:
        raise FaultError(reasons.TIME_UNIT, name, text)
    # Whole numbers stay whole: nanoseconds are beyond what a float holds exactly.
    whole = text.lstrip("-").isdecimal() and len(text) < 20
    time = (int(text) if whole else float(text)) * 1_000_000
    return _checked(name, text, time // PER_SECOND[unit] if whole else time / PER_SECOND[unit])


def _checked(name: str, value: Any, time: float) -> dt.datetime:
    if not _FIRST <= time <= _LAST:
        raise FaultError(reasons.TIME_RANGE, name, value)
    return moment(math.floor(time))


def parse_times(texts: pl.Series, unit: TimeUnit | None = None) -> pl.Series:
    """Return UTC times in microseconds; null where a text is no time.

    Texts are read as by `moment_of`, but those outside the years 1 to 9999 stay so.

    Examples
    --------
    >>> import polars as pl
    >>> parse_times(pl.Series(["2026-01-31T12:00:00+02:00", "2026/01/31 10:00 UTC"])).to_list()
    [datetime.datetime(2026, 1, 31, 10, 0), datetime.datetime(2026, 1, 31, 10, 0)]
    """
    plain = texts.str.contains(_UTC).fill_null(value=False)
    parsed = _parsed(texts.set(~plain, None).str.strip_suffix("Z") + "+00:00")
    rest = texts.set(plain, None)
    if rest.null_count() == len(rest):
        return parsed
    for pattern, form in _SPELLINGS:
        rest = rest.str.replace_all(pattern, form)
    zoned = rest.str.contains(_ZONED).fill_null(value=False)
    parsed = parsed.zip_with(plain, _parsed(rest.set(~zoned, None)))
    if unit is None:
        return parsed
    numbers = epoch_times(texts.set(~texts.str.contains(NUMBER), None), unit)
    return parsed.zip_with(parsed.is_not_null(), numbers)


def _parsed(texts: pl.Series) -> pl.Series:
    zoned = texts.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
    )
    return zoned.dt.replace_time_zone(None)


def epoch_times(numbers: pl.Series, unit: TimeUnit) -> pl.Series:
    """Return numbers, or texts that are numbers, as UTC times; those out of range stay so."""
    import polars as pl

    per_second = PER_SECOND[unit]
    whole = numbers.cast(pl.Int64, strict=False)
    # Far outside the years 1 to 9999, and yet the product below does not overflow.
    whole = whole.clip(-(2**40) * per_second, 2**40 * per_second) if per_second < 10**6 else whole
    times = whole * max(1_000_000 // per_second, 1) // max(per_second // 1_000_000, 1)
    if times.null_count() > numbers.null_count():
        fractions = numbers.cast(pl.Float64, strict=False).fill_nan(None)
        scaled = (fractions * 1_000_000 / per_second).floor().clip(-1e18, 1e18)
        times = times.zip_with(times.is_not_null(), scaled.cast(pl.Int64))
    return times.cast(pl.Datetime("us"))


def microseconds(time: dt.datetime) -> int:
    """Return exact microseconds since 1970, UTC; naive times are UTC."""
    return ((time if time.tzinfo else time.replace(tzinfo=dt.UTC)) - _EPOCH) // _MICROSECOND


def moment(time: int) -> dt.datetime:
    """Return the datetime of exact microseconds since 1970."""
    return _EPOCH + time * _MICROSECOND
