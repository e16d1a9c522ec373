"""Series against a group-by, planted changes found, none found where none are."""

import importlib
import json
from inspect import ismodule

import numpy as np
import polars as pl
import pytest

import rankloom.insights
from rankloom.errors import InvalidInputError
from rankloom.insights import read_searches, trends
from tests.insights.worlds import CURVE, world


def found_in(frame, **options):
    return trends(frame, examination=CURVE, n_bootstrap=0, **options)


@pytest.fixture(scope="module")
def steady():
    return world(0, searches=4000, users=800, by_user=False)


def test_series_are_those_of_a_group_by(steady):
    found = found_in(steady)
    day = pl.col("occurred_at").dt.truncate("1d").alias("period")
    expected = (
        steady.with_columns(day, pl.col("interaction_type").list.contains("click").alias("click"))
        .group_by("period")
        .agg(
            pl.col("execution_id").n_unique().alias("searches"),
            pl.col("user_id").n_unique().alias("users"),
            pl.col("click").sum(),
        )
        .sort("period")
    )
    wide = found.series.pivot("series", index="period", values="value").sort("period")
    assert wide["period"].to_list() == expected["period"].to_list()
    for name in ("searches", "users"):
        assert wide[name].to_list() == expected[name].to_list()
    assert np.allclose(wide["engagements"], expected["click"] / expected["searches"])
    assert np.allclose(wide["engaged_searches"] + wide["abandonment"], 1)


def test_nothing_changes_where_nothing_changed(steady):
    assert found_in(steady).changes.is_empty()


def test_a_planted_change_is_found_on_its_day_and_in_the_series_it_is_in():
    frame = world(1, searches=12_000, users=3000, by_user=False, steps=[(15, 0.7)])
    found = found_in(frame)
    changed = set(found.changes["series"])
    assert {"engaged_searches", "engagements", "abandonment", "corrected_dcg"} <= changed
    assert not changed & {"searches", "users"}
    row = found.changes.filter(series="engagements").to_dicts()[0]
    assert row["earliest"].day <= 20 <= row["latest"].day
    assert row["after"] / row["before"] == pytest.approx(0.7, abs=0.08)
    assert "engagements changed on 2026-01-20" in repr(found)


def test_a_change_of_volume_is_found_and_the_rhythm_of_the_week_is_none():
    def quiet_weekends_and_more_later(rng, new):
        share = np.where(np.arange(35) % 7 >= 5, 0.3, 1.0) * np.where(np.arange(35) >= 21, 1.6, 1.0)
        return rng.choice(35, len(new), p=share / share.sum())

    frame = world(2, searches=6000, users=4000, day_of=quiet_weekends_and_more_later)
    rows = found_in(frame).changes.filter(series="searches").to_dicts()
    assert [row["period"].strftime("%m-%d") for row in rows] == ["01-26"]
    early = frame.filter(pl.col("occurred_at") < pl.lit("2026-01-26").str.to_datetime())
    assert found_in(early).changes.is_empty()


def test_incomplete_ends_are_marked_and_not_tested(steady):
    first = pl.col("occurred_at").min().over("execution_id")
    times = (pl.lit(f"2026-01-{day}T15:00").str.to_datetime() for day in ("05", "20"))
    low, high = times
    found = found_in(steady.filter(first > low, first < high))
    complete = found.series.filter(series="searches")["complete"].to_list()
    assert complete == [False, *[True] * 14, False]
    assert sum("is incomplete" in note for note in found.notes) == 2


def test_few_periods_are_not_tested_and_the_notes_say_so(steady):
    assert "too few to test" in " ".join(found_in(steady, every="1w").notes)
    first_days = steady.filter(pl.col("occurred_at") < pl.lit("2026-01-15").str.to_datetime())
    assert "rhythm of the week; 14 are needed" in " ".join(found_in(first_days).notes)


def test_curves_are_those_that_were_planted_or_their_absence_is_said(steady):
    moved = world(3, searches=12_000, users=3000, by_user=False)
    position = pl.col("position")
    swapped = (pl.col("feature_id").str.slice(1).cast(pl.Int64) + position).alias("document")
    mixed = moved.with_columns(("d" + (swapped % 6).cast(pl.String)).alias("feature_id"))
    curve = found_in(mixed, every="1w").curve
    assert curve["from"].n_unique() == 4
    for (start,), one in curve.group_by("from"):
        gap = np.abs(one.sort("position")["examination"].to_numpy() / CURVE[: len(one)] - 1)
        assert len(one) >= 3
        assert gap.max() < 0.35, start
    found = found_in(steady, every="1w")  # no document ever moves
    assert found.curve.is_empty()
    assert "4 of 4 times have no examination curve" in " ".join(found.notes)


def test_what_is_missing_is_said(steady):
    with pytest.raises(InvalidInputError, match="no search has a time.*log occurred_at"):
        found_in(steady.drop("occurred_at"))
    found = found_in(steady.drop("user_id"))
    assert "users" not in found.series["series"]
    assert "there is no series of users" in " ".join(found.notes)


def test_everything_is_plain_and_searches_may_be_read_before(steady):
    found = found_in(steady)
    assert json.dumps(found.to_dict(), allow_nan=False)
    again = trends(read_searches(steady, examination=CURVE), n_bootstrap=0)
    assert again.series.equals(found.series)


@pytest.mark.parametrize(
    "wrong", [{"every": "1m"}, {"level": 0}, {"confidence": 2}, {"n_bootstrap": -1}]
)
def test_wrong_parameters_are_refused(wrong, steady):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        trends(steady, **wrong)


def test_the_public_name_is_the_function_whatever_was_imported_before():
    module = importlib.import_module("rankloom.insights.time_series.trends")
    assert rankloom.insights.trends is module.trends
    assert [
        name for name in rankloom.insights.__all__ if ismodule(getattr(rankloom.insights, name))
    ] == []
