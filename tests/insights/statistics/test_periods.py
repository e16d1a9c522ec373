"""Periods: every time is in the right one, weeks start on Mondays, incomplete ends are marked."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.errors import InvalidInputError
from rankloom.insights.statistics.periods import HOUR, period_length, periods_of

DAYS = st.lists(st.integers(0, 60 * 24), min_size=1, max_size=30)


@given(DAYS, st.sampled_from(["1d", "12h", "1w", "3d"]))
def test_every_time_is_in_its_period(hours, every):
    time = np.array(hours) * HOUR
    periods = periods_of(time, every)
    index = periods.of(time)
    assert (periods.start[index] <= time).all()
    assert (time < periods.start[index] + periods.length).all()
    assert set(np.flatnonzero(np.bincount(index))) >= {0, len(periods) - 1}
    assert periods.of(periods.start[:1] - 1).tolist() == [-1]


def test_weeks_start_on_mondays_and_days_have_their_place_in_the_week():
    time = int(dt.datetime(2026, 1, 7, 12, tzinfo=dt.UTC).timestamp() * 1e6)
    weeks = periods_of(np.array([time]), "1w")
    assert weeks.starts().dt.to_string("%Y-%m-%d %H:%M").to_list() == ["2026-01-05 00:00"]
    days = periods_of(np.array([time, time + 24 * HOUR]), "1d")
    assert days.season.tolist() == [2, 3]
    assert weeks.season.tolist() == [0]


def test_a_shop_that_opens_late_has_complete_days():
    hours = np.concatenate([np.arange(9, 20) + 24 * day for day in range(10)])
    assert periods_of(hours * HOUR, "1d").complete.all()
    cut = hours[5:-5]
    assert periods_of(cut * HOUR, "1d").complete.tolist() == [True, *[True] * 8, True]
    steady = np.arange(30, 24 * 7 + 5)
    assert periods_of(steady * HOUR, "1d").complete.tolist() == [False, *[True] * 5, False]


@pytest.mark.parametrize("every", ["1x", "d", "0d", "", None, 7, "1.5d"])
def test_wrong_lengths_are_refused(every):
    with pytest.raises(InvalidInputError, match="every: expected a length such as"):
        period_length(every)


def test_too_many_periods_are_refused():
    with pytest.raises(InvalidInputError, match="at most 5,000"):
        periods_of(np.array([0, 10_000 * HOUR]), "1h")
