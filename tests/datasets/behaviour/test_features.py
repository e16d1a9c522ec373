"""Behaviour features: only what came before, counted as a plain loop over the rows counts it."""

from __future__ import annotations

import datetime as dt
import logging

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import (
    PositionBias,
    behaviour_features,
    load_pairs,
    simulate_catalogue,
    simulate_interactions,
)
from rankloom.errors import InvalidInputError, NoExposuresError

from .logs import CURVE, STRENGTH, WINDOWS, at, expected, hour_of, logs, query_id, row_of

OPTIONS = {
    "windows": list(WINDOWS),
    "category": "kind",
    "examination": CURVE,
    "prior_strength": STRENGTH,
}


def features_of(rows, execution, **options):
    table = behaviour_features(rows, **{**OPTIONS, **options})
    return table.filter(execution_id=execution).sort("feature_id")


@settings(max_examples=40)
@given(logs())
def test_every_execution_gets_what_a_loop_over_the_rows_before_it_counts(rows):
    table = behaviour_features(rows, **OPTIONS)
    wanted = {e: expected(rows, e) for e in {row["execution_id"] for row in rows}}
    assert len(table) == sum(map(len, wanted.values()))
    for row in table.iter_rows(named=True):
        features = wanted[row.pop("execution_id")][row.pop("feature_id")]
        assert row.keys() == features.keys()
        assert row == pytest.approx(features, rel=1e-5, abs=1e-6, nan_ok=True)


@settings(max_examples=40)
@given(logs(), st.data())
def test_rows_at_or_after_an_execution_change_nothing_for_it(rows, data):
    execution = data.draw(st.sampled_from(sorted({row["execution_id"] for row in rows})))
    now = min(hour_of(row) for row in rows if row["execution_id"] == execution)
    changed = []
    for row in rows:
        if row["execution_id"] == execution:
            # Its own clicks say nothing either; what it shows, and to whom, stays.
            changed.append({**row, "interaction_type": ["impression"]})
        elif hour_of(row) < now:
            changed.append(row)
        elif data.draw(st.booleans()):
            kind, document = data.draw(st.sampled_from(["impression", "click", "purchase"])), "b"
            later = at(now + data.draw(st.integers(0, 50)))
            other = {"interaction_type": [kind], "feature_id": document, "occurred_at": later}
            changed.append({**row, "position": 1, "user_id": "v", **other})
    assert features_of(rows, execution).equals(features_of(changed, execution))


def test_clicks_and_ids_count_from_when_they_were_logged():
    def impression(execution, hour, **more):
        return {**row_of(execution, "a", 0, hour, "impression", "p", "u", "x"), **more}

    rows = [
        impression("e", 0, query_snapshot=None, user_id=None, metadata=None),
        impression("e", 6, interaction_type=["click"]),
        *(impression(f"at {hour}", hour) for hour in (5, 6, 7)),
    ]
    found = {hour: features_of(rows, f"at {hour}").row(0, named=True) for hour in (5, 6, 7)}
    for level in ("document", "query_document", "user_document", "user_category"):
        shown, clicks = (
            [found[hour][f"behaviour_{level}_{name}_all"] for hour in found]
            for name in ("shown", "clicks")
        )
        assert clicks == [0, 0, 1]
        assert shown == ([1, 2, 3] if level == "document" else [0, 1, 3])


def test_rows_without_an_execution_follow_the_same_rule():
    def session(number, hour, document, kind="impression", **more):
        row = row_of(None, document, 0, hour, kind, "p", None, None)
        return {**row, "session_id": f"s{number}", **more}

    rows = [
        session(1, 0, "a"),
        session(1, 0.2, "b", position=1),
        session(1, 0.6, "b", "click", position=1),
        session(2, 0.5, "b"),
        session(3, 2, "a"),
        session(3, 2, "b", position=1),
    ]
    table = behaviour_features(rows, windows=["all"], examination=CURVE)
    clicks = dict(table.select("execution_id", "behaviour_document_clicks_all").rows()[2:])
    assert [clicks[e] for e in table["execution_id"].unique(maintain_order=True)[1:]] == [0, 1]
    earlier = behaviour_features(rows[:4], windows=["all"], examination=CURVE)
    assert table.head(3).equals(earlier)


@settings(max_examples=40)
@given(logs(), st.integers(0, 110), st.sampled_from("pqr"), st.sampled_from(["u", "v", "w", None]))
def test_tables_as_of_a_moment_hold_what_a_new_execution_gets(rows, hour, query, user):
    kinds = dict(zip("abz", ["x", "y", "new"], strict=True))
    new = [
        row_of("new", d, i, hour, "impression", query, user, kinds[d]) for i, d in enumerate(kinds)
    ]
    wanted = features_of([*rows, *new], "new").drop("execution_id")
    tables = behaviour_features(rows, as_of=at(hour), **OPTIONS)
    found = tables.features(
        list(kinds),
        query_id=query_id(query),
        user_id=user,
        categories=list(kinds.values()),
    )
    assert found.equals(wanted)


def test_categories_may_come_from_a_table_of_documents():
    rows = [
        row_of(e, d, i, hour, kind, "p", "u", None)
        for e, hour in (("e", 0), ("f", 5))
        for i, d in enumerate("ab")
        for kind in ("impression", *(["click"] if d == "b" and e == "e" else []))
    ]
    documents = pl.DataFrame({"document_id": ["a", "b", "c"], "kind": ["x", "y", "y"], "price": 1})
    options = {**OPTIONS, "documents": documents}
    clicks = features_of(rows, "f", **options)["behaviour_user_category_clicks_1d"]
    assert clicks.to_list() == [0, 1]
    tables = behaviour_features(rows, as_of=at(9), **options)
    found = tables.features(["c", "d"], user_id="u")["behaviour_user_category_clicks_1d"]
    np.testing.assert_array_equal(found, [1, np.nan])
    with pytest.raises(InvalidInputError, match="category="):
        behaviour_features(rows, documents=documents)
    with pytest.raises(InvalidInputError, match="one kind per document"):
        features_of(
            rows,
            "f",
            **{
                **options,
                "documents": pl.concat([documents, documents.with_columns(kind=pl.lit("z"))]),
            },
        )


def test_impressions_without_a_time_came_when_their_execution_began():
    shown = pl.DataFrame(
        {
            "execution_id": ["e"] * 2 + ["f"] * 2,
            "feature_id": ["a", "b"] * 2,
            "position": [0, 1] * 2,
        }
    )
    clicks = [row_of(e, "a", 0, hour, "click", "p", None, None) for e, hour in (("e", 0), ("f", 3))]
    found = features_of(clicks, "f", impressions=shown, category=None)
    assert found["behaviour_document_shown_1d"].to_list() == [1, 1]
    assert found["behaviour_document_clicks_1d"].to_list() == [1, 0]
    assert found["behaviour_document_age_days"].to_list() == [0.125, 0.125]
    lacking = pl.concat([shown, shown.with_columns(execution_id=pl.lit("never clicked"))])
    with pytest.raises(InvalidInputError, match="1 of 3 executions have no time"):
        features_of(clicks, "f", impressions=lacking, category=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"windows": "7d"}, "windows: expected a sequence"),
        ({"windows": []}, "windows: expected a sequence"),
        ({"windows": ["7 weeks"]}, "windows: expected whole hours or days"),
        ({"prior_strength": 0}, "prior_strength"),
        ({"as_of": "2026-01-01"}, "as_of: expected a datetime"),
        ({"category": "colour"}, "category: 'colour' is neither"),
        ({"examination": "steep"}, "examination: expected"),
        ({"examination": [1, -1]}, "examination: expected"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    rows = [row_of("e", d, i, 0, "impression", "p", "u", "x") for i, d in enumerate("ab")]
    with pytest.raises(InvalidInputError, match=message):
        behaviour_features(rows, **{**OPTIONS, **options})


def test_a_log_of_clicks_alone_is_refused():
    with pytest.raises(NoExposuresError, match="impressions=TABLE"):
        behaviour_features([row_of("e", "a", 0, 0, "click", "p", None, None)])


@pytest.fixture(scope="module")
def simulated_log():
    documents = simulate_catalogue(n_queries=20, n_documents=12, random_state=0)
    return simulate_interactions(documents, n_executions=1_500, days=40, random_state=0)


def test_the_features_join_pairs_and_are_no_outcomes(simulated_log):
    table = behaviour_features(simulated_log)
    pairs = load_pairs(simulated_log, features=table)
    names = [name for name in table.columns if name.startswith("behaviour_")]
    assert [name for name in pairs.feature_names if name.startswith("behaviour_")] == names
    assert pairs.report.features_left_out == {}
    assert pairs.report.coverage["features"] == 1


def test_without_a_curve_the_logs_own_one_counts_else_an_assumed_one(simulated_log, caplog):
    options = {"windows": ["all"], "grades": {"dwell": 0}}
    pairs = load_pairs(simulated_log, grades={"dwell": 0}, builtin_features=())
    bias = PositionBias(n_bootstrap=0).fit(pairs)
    found = behaviour_features(simulated_log, **options)
    assert found.equals(behaviour_features(simulated_log, examination=bias, **options))
    unfitted = PositionBias(n_bootstrap=0)
    assert found.equals(behaviour_features(simulated_log, examination=unfitted, **options))
    assert not hasattr(unfitted, "examination_")
    rows = [
        row_of(e, d, i, 0, "impression", "p", "u", "x") for e in "ef" for i, d in enumerate("ab")
    ]
    with caplog.at_level(logging.WARNING, "rankloom"):
        assumed = behaviour_features(rows)
    assert "1 / (position + 1) is assumed" in caplog.text
    assert assumed.equals(behaviour_features(rows, examination=[1, 1 / 2]))


def test_refused_rows_are_logged(caplog):
    rows = [row_of("e", d, i, 0, "impression", "p", "u", "x") for i, d in enumerate("ab")]
    behaviour_features([*rows, {**rows[0], "feature_id": ""}], examination=CURVE)
    assert "1 rows break a rule of the record" in caplog.text


def test_naive_moments_are_utc():
    rows = [row_of("e", d, i, 0, "impression", "p", "u", "x") for i, d in enumerate("ab")]
    naive, aware = (
        behaviour_features(rows, as_of=moment, **OPTIONS)
        for moment in (dt.datetime(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC))  # noqa: DTZ001
    )
    assert naive.as_of == aware.as_of
    assert naive.tables["document"].equals(aware.tables["document"])


def test_a_row_whose_position_a_later_row_gives_names_its_user_only_from_then_on():
    row = {"interaction_type": ["impression"], "query_snapshot": "q"}
    rows = [
        {**row, "execution_id": "e", "feature_id": "a", "position": 0, "occurred_at": at(1)},
        {**row, "execution_id": "e", "feature_id": "b", "occurred_at": at(1), "user_id": "u"},
        {**row, "execution_id": "now", "feature_id": "a", "position": 0, "occurred_at": at(2)},
        {**row, "execution_id": "e", "feature_id": "b", "position": 1, "occurred_at": at(2)},
    ]
    rows[2]["user_id"] = "u"
    found = [
        behaviour_features(log, windows=("all",))
        .filter(execution_id="now")
        .select("behaviour_document_shown_all", "behaviour_user_document_shown_all")
        .row(0)
        for log in (rows, rows[:3])
    ]
    assert found[0] == found[1] == (1.0, 0.0)
