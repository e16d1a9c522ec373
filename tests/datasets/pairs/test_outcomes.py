"""Features that follow from the click are found, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.datasets.pairs.array_storage import InMemory
from rankloom.datasets.pairs.features import without_outcomes
from rankloom.datasets.pairs.outcomes import _pair_counts, outcome_features


@pytest.fixture(scope="module")
def log():
    catalogue = simulate_catalogue(n_queries=30, random_state=0)
    log = simulate_interactions(catalogue, n_executions=1500, random_state=0)
    return load_pairs(log, features=catalogue.drop("query", "grade"))


def with_feature(pairs, values):
    X = np.ascontiguousarray(np.column_stack([pairs.X, values]), dtype=np.float32)
    return replace(pairs, X=X, feature_names=(*pairs.feature_names, "new"))


def draw(pairs):
    return np.random.default_rng(0).random(len(pairs))


OUTCOMES = {
    "revenue": lambda p: np.where(p.clicked, 1 + draw(p), 0),
    "revenue of few": lambda p: np.where(p.clicked & (draw(p) < 0.1), 5, 0),
    "time of the click": lambda p: np.where(p.clicked, 20_000 + draw(p), np.nan),
    "seconds until the next": lambda p: np.where(p.clicked, draw(p), 10 + draw(p)),
    "flag": lambda p: p.clicked,
    "missing if clicked": lambda p: np.where(p.clicked, np.nan, draw(p)),
    "nearly": lambda p: np.where(draw(p) < 0.002, ~p.clicked, p.clicked),
}
OTHERS = {
    "noise": draw,
    "interest": lambda p: p.clicked + 3 * draw(p),
    "of the document": lambda p: p.document_code,
    "of the query": lambda p: p.query_code[p.execution_index],
    "of the execution": lambda p: draw(p)[p.offsets[:-1]][p.execution_index],
    "position": lambda p: p.position,
    "constant": lambda p: np.zeros(len(p)),
    "missing": lambda p: np.full(len(p), np.nan),
    "few values": lambda p: np.where(np.arange(len(p)) == np.argmax(p.clicked), 1, 0),
}


@pytest.mark.parametrize("values", OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes_are_left_out_and_named(log, values):
    pairs = with_feature(log, values(log))
    found = outcome_features(pairs)
    assert list(found) == ["new"]
    assert found["new"] > 0.99
    without = without_outcomes(
        replace(pairs, report=replace(pairs.report, features_left_out={})), InMemory()
    )
    assert without.feature_names == log.feature_names
    np.testing.assert_array_equal(without.X, log.X)
    assert "nearly determines the click" in without.report.features_left_out["new"]


@pytest.mark.parametrize("values", OTHERS.values(), ids=OTHERS)
def test_other_features_are_not(log, values):
    assert outcome_features(with_feature(log, values(log))) == {}


def test_where_clicks_follow_the_position_its_features_are_not_taken_for_outcomes(log):
    """Everything shown first is clicked, but for one list in a hundred."""
    first = (log.position == 0) & (log.execution_index % 100 > 0)
    top = replace(log, clicked=first)
    assert outcome_features(with_feature(top, 1 / (1 + log.position))) == {}
    assert list(outcome_features(with_feature(top, np.where(first, draw(log), 0)))) == ["new"]


@pytest.mark.parametrize("rows", [(200, 2_000), (2_000, 10**6)])
def test_a_part_of_the_queries_is_enough(log, rows, monkeypatch):
    """Few clicks can be compared in the first part, so the second one is looked at."""
    monkeypatch.setattr("rankloom.datasets.pairs.outcomes._ROWS", rows)
    revenue = with_feature(log, OUTCOMES["revenue"](log))
    assert list(outcome_features(revenue)) == ["new"]
    assert outcome_features(with_feature(log, draw(log))) == {}


def test_what_the_log_itself_carries_is_no_outcome(log):
    carried = replace(with_feature(log, log.clicked), feature_names=(*log.feature_names, "n"))
    assert list(outcome_features(carried)) == ["n"]
    names = (*carried.feature_names[1:], carried.feature_names[0])
    assert "document_score" in names
    assert outcome_features(replace(carried, feature_names=names)) == {}


def test_small_logs_are_not_judged(log):
    few = log.take(np.arange(5))
    assert outcome_features(with_feature(few, few.clicked)) == {}


def test_pairs_are_counted_as_one_by_one():
    generator = np.random.default_rng(0)
    group = np.sort(generator.integers(0, 6, 60))
    values = generator.integers(0, 4, 60).astype(float)
    clicked = generator.random(60) < 0.4
    expected = np.zeros(3)
    for i in np.flatnonzero(clicked):
        for j in np.flatnonzero(~clicked & (group == group[i])):
            expected[[1, 2, 0][int(np.sign(values[i] - values[j])) + 1]] += 1
    assert _pair_counts(group, values, clicked) == tuple(expected)
