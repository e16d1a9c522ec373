"""Times in the spellings of databases and languages, one by one and in columns alike."""

import datetime as dt

import polars as pl
import pytest

from rankloom.datasets.record.fault import FaultError
from rankloom.datasets.record.times import moment_of, parse_times

NOON = dt.datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as frames hold it
SPELLINGS = {
    "2026-01-31 12:00:00": NOON,
    "2026-01-31T12:00:00Z": NOON,
    "2026-01-31 14:00:00+02": NOON,
    "2026-01-31 12:00:00 UTC": NOON,
    "2026-01-31 04:00:00.000 -0800": NOON,
    "2026-01-31T12:00:00.123456789Z": NOON.replace(microsecond=123456),
    "2026-01-31 12:00:00.1234567 +00:00": NOON.replace(microsecond=123456),
    "20260131T120000Z": NOON,
    "2026/01/31 12:00": NOON,
    "Sat, 31 Jan 2026 12:00:00 GMT": NOON,
    "Sat, 31 Jan 2026 13:00:00 +0100": NOON,
    "31 Jan 2026 12:00:00": NOON,
    "2026-01-31-12.00.00.000000": NOON,
    "2026-01-31 12.00.00": NOON,
    "2026-01-31 12:00:00 +0000 UTC": NOON,
    "2026-01-31T13:00:00+01:00[Europe/Berlin]": NOON,
    "2026-01-31T12:00:00Z[UTC]": NOON,
    " 2026-01-31 ": NOON.replace(hour=0),
}
NO_TIMES = [
    "2026-02-30",
    "31 Foo 2026 12:00:00",
    "01/31/2026 12:00:00",
    "2026-01-31 12:00:00 EST",
    "2026-01-31 12:00:00 PM",
    "0000-00-00 00:00:00",
    "infinity",
    "1767225600",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_spelling_is_the_same_time_alone_and_in_a_column(text):
    assert moment_of("occurred_at", text) == SPELLINGS[text].replace(tzinfo=dt.UTC)
    assert parse_times(pl.Series([text, None])).to_list() == [SPELLINGS[text], None]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_ambiguous_is_no_time(text):
    with pytest.raises(FaultError):
        moment_of("occurred_at", text)
    assert parse_times(pl.Series([text])).to_list() == [None]


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_numbers_are_epochs_by_their_unit_only(unit, factor):
    number = 1_769_860_800 * factor
    assert moment_of("occurred_at", number, unit) == NOON.replace(tzinfo=dt.UTC)
    assert moment_of("occurred_at", str(number), unit) == NOON.replace(tzinfo=dt.UTC)
    assert parse_times(pl.Series([str(number)]), unit).to_list() == [NOON]
    with pytest.raises(FaultError, match="time_unit="):
        moment_of("occurred_at", number)
