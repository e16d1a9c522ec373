"""Splits keep executions, moments and queries whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rankloom.datasets import load_pairs, split_by_query, split_by_time
from rankloom.errors import InvalidInputError

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def pairs():
    return load_pairs(
        [
            {
                "execution_id": f"e{i:03d}",
                "feature_id": d,
                "interaction_type": ["impression"],
                "position": p,
                "timestamp": START + timedelta(hours=i // 2, seconds=p),
                "query_snapshot": f"query {i % 30}",
            }
            for i in range(200)
            for p, d in enumerate("abc")
        ]
    )


def test_the_later_part_is_later_and_nothing_is_lost(pairs):
    train, test = split_by_time(pairs, test_fraction=0.25)
    assert train.time.max() < test.time.min()
    assert (train.n_executions, test.n_executions) == (150, 50)
    assert set(train.execution_id) | set(test.execution_id) == set(pairs.execution_id)
    assert set(train.group) | set(test.group) == {3}


def test_a_moment_cuts_exactly_there(pairs):
    train, test = split_by_time(pairs, at=START + timedelta(hours=10))
    assert (train.n_executions, test.n_executions) == (20, 180)


def test_equal_queries_stay_on_one_side_and_the_side_is_a_function_of_the_query(pairs):
    train, test = split_by_query(pairs, test_fraction=0.3)
    assert not set(train.query_id) & set(test.query_id)
    assert len(train) + len(test) == len(pairs)
    half = pairs.take(range(100))
    assert set(split_by_query(half, test_fraction=0.3)[1].query_id) <= set(test.query_id)
    assert set(split_by_query(pairs, test_fraction=0.3, salt="x")[1].query_id) != set(test.query_id)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
@pytest.mark.parametrize("split", [split_by_time, split_by_query])
def test_fractions_out_of_range_are_named(pairs, split, fraction):
    with pytest.raises(InvalidInputError, match="test_fraction"):
        split(pairs, test_fraction=fraction)


def test_an_empty_part_is_an_error(pairs):
    with pytest.raises(InvalidInputError, match="one part"):
        split_by_time(pairs, at=START)


def test_a_log_without_times_cannot_be_split_by_time():
    log = [
        {"execution_id": e, "feature_id": "a", "interaction_type": ["impression"], "position": 0}
        for e in "ef"
    ]
    with pytest.raises(InvalidInputError, match="no times"):
        split_by_time(load_pairs(log))
