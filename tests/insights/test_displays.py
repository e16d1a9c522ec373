"""Pictures of insights show the rows of their tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.insights import QueryInsights, RetrieverComparison, trends


@pytest.fixture(scope="module")
def found():
    log = simulate_interactions(n_executions=300, random_state=0, days=10)
    return trends(log, n_bootstrap=0)


def test_series_are_drawn_with_their_intervals(found, axes):
    found.plot(axes, series=["engaged_searches", "abandonment"])
    for name, line in zip(
        ("engaged searches", "abandonment"),
        [line for line in axes.lines if not line.get_label().startswith("_")],
        strict=True,
    ):
        rows = found.series.filter(pl.col("series") == name.replace(" ", "_"))
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_ydata(), rows["value"])
    rows = found.series.filter(pl.col("series") == "engaged_searches")
    ends = [segment[:, 1].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [list(row) for row in rows.select("lower", "upper").rows()]
    assert "1d" in axes.get_xlabel()


def test_a_change_is_marked_where_it_began(found, axes):
    when = found.series["period"][4]
    row = {"series": "searches", "period": when, "gradual": False}
    changed = pl.DataFrame([row], schema_overrides=dict(found.changes.schema))
    display = replace(found, changes=changed).plot(axes)
    assert display.changes["searches"].tolist() == [when]
    marked = [line for line in axes.lines if "change on" in line.get_label()]
    assert len(marked) == 1
    assert axes.get_ylabel() == "number in a period"


@pytest.mark.parametrize("series", ["searchs", ["searches", "none"], []])
def test_a_series_that_there_is_not_is_refused(found, series):
    with pytest.raises(InvalidInputError, match="series: got"):
        found.plot(series=series)


@pytest.fixture
def comparison(found):
    rows = [
        {
            "retriever": name,
            "metric": metric,
            "adjusted_for": mix,
            "difference": value,
            "lower": value - 0.1,
            "upper": value + 0.1,
            "sequential_lower": value - 0.2,
            "sequential_upper": value + 0.2,
            "verdict": "no difference shown",
        }
        for metric in ("engaged_searches", "abandonment")
        for name, mix, value in (("new", "", 0.3), ("new", "query", 0.2), ("other", "", -0.1))
    ]
    none = pl.DataFrame()
    return RetrieverComparison(
        "retriever_id", "old", "user", none, none, pl.DataFrame(rows), none, none, none,
        checks=[], interleaving=None, report=found.report,
    )  # fmt: skip


def test_differences_have_both_of_their_intervals(comparison, axes):
    display = comparison.plot(axes)
    assert display.rows == ("new", "new (same query)", "other")
    for line, half, collection in zip(axes.lines, (0.1, 0.2), axes.collections, strict=False):
        np.testing.assert_allclose(line.get_xdata(), [0.3, 0.2, -0.1])
        ends = [segment[:, 0] for segment in collection.get_segments()]
        np.testing.assert_allclose(ends, [[v - half, v + half] for v in (0.3, 0.2, -0.1)])
    assert axes.get_xlabel() == "difference to old (more is better)"
    assert "share of searches with an engagement" in axes.get_title("left")


def test_it_says_where_less_is_better(comparison, axes):
    comparison.plot(axes, metric="abandonment")
    assert "less is better" in axes.get_xlabel()


def test_a_metric_that_was_not_compared_is_refused(comparison):
    with pytest.raises(InvalidInputError, match="metric: got 'clicks'"):
        comparison.plot(metric="clicks")
    with pytest.raises(InvalidInputError, match="metric"):
        replace(comparison, baseline=None).plot()


@pytest.fixture
def insights():
    chains = pl.DataFrame(
        {
            "from_query": ["tv", "radio", "cd"],
            "to_query": ["oled tv", "dab radio", "vinyl"],
            "persons": [90, 40, 30],
            "lift": [12.0, 5.0, 1.0],
            "succeeded": [0.6, 0.4, 0.5],
            "succeeded_lower": [0.5, 0.2, 0.3],
            "succeeded_upper": [0.7, 0.6, 0.7],
            "found": [True, True, False],
        }
    )
    none = pl.DataFrame()
    return QueryInsights(none, none, chains, none, {}, (), 0.05)


def test_chains_beyond_chance_are_rows(insights, axes):
    display = insights.plot_chains(axes)
    assert display.from_query == ("tv", "radio")
    assert axes.lines[0].get_xdata().tolist() == [0.6, 0.4]
    ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [[0.5, 0.7], [0.2, 0.6]]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["tv → oled tv", "radio → dab radio"]


def test_as_many_chains_are_drawn_as_wanted(insights, axes):
    assert insights.plot_chains(axes, limit=1).to_query == ("oled tv",)


def test_without_chains_the_reason_is_given(insights):
    nothing = replace(insights, chains=insights.chains.clear(), missing={"user": "log user_id"})
    with pytest.raises(InvalidInputError, match="no step beyond chance was found.*log user_id"):
        nothing.plot_chains()
