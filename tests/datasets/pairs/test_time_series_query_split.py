"""Training comes before the test, by the gap; and shares no query with it where that is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from rankloom.datasets import (
    TimeSeriesQuerySplit,
    load_pairs,
    simulate_catalogue,
    simulate_interactions,
    split_by_query,
)
from rankloom.errors import InvalidInputError

N = 240
HOUR = np.timedelta64(3600, "s")


@pytest.fixture(scope="module")
def pairs():
    """Executions an hour apart."""
    log = load_pairs(simulate_interactions(n_executions=N, random_state=0))
    return replace(log, time=np.datetime64("2026-01-01", "us") + np.arange(N) * HOUR)


def test_without_more_it_is_scikit_learns_split_by_time(pairs):
    ours = TimeSeriesQuerySplit(5).split(pairs)
    theirs = TimeSeriesSplit(5).split(np.zeros((N, 1)))
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)


@given(
    moments=st.lists(st.integers(0, 60), min_size=N, max_size=N),
    n_splits=st.integers(2, 4),
    gap=st.integers(0, 20),
    disjoint=st.booleans(),
)
def test_training_is_before_the_test_whatever_the_times(pairs, moments, n_splits, gap, disjoint):
    log = replace(pairs, time=np.datetime64("2026-01-01", "us") + np.sort(moments) * HOUR)
    splitter = TimeSeriesQuerySplit(n_splits, gap=gap, disjoint_queries=disjoint)
    try:
        splits = list(splitter.split(log))
    except InvalidInputError as error:  # equal times may leave a block empty
        if "has no execution to" not in str(error):
            raise
        return
    for train, test in splits:
        assert log.time[train].max() < log.time[test].min()
        assert log.time[train].max() < log.time[max(test.min() - gap, 0)] or gap == 0
        if disjoint:
            assert not set(log.query_code[train]) & set(log.query_code[test])
    for (_, a), (_, b) in combinations(splits, 2):
        assert not set(a) & set(b)


def test_with_disjoint_queries_the_test_reaches_to_the_end(pairs):
    splits = list(TimeSeriesQuerySplit(3, disjoint_queries=True, test_fraction=0.2).split(pairs))
    assert [int(test.min()) >= cut for (_, test), cut in zip(splits, (96, 144, 192), strict=True)]
    for (train, test), cut in zip(splits, (96, 144, 192), strict=True):
        queries = set(pairs.query_code[test])
        later = range(cut, N)
        assert test.tolist() == [i for i in later if pairs.query_code[i] in queries]
        assert train.tolist() == [i for i in range(cut) if pairs.query_code[i] not in queries]
    tested = [set(pairs.query_code[test]) for _, test in splits]
    assert not any(a & b for a, b in combinations(tested, 2))


def test_what_split_by_query_leaves_can_be_split_again():
    """Its sides are a hash of the query, too: parts by the same hash would be empty."""
    log = load_pairs(
        simulate_interactions(simulate_catalogue(n_queries=200), n_executions=900, random_state=0)
    )
    for side in split_by_query(log, test_fraction=0.5):
        n = side.n_executions
        splits = TimeSeriesQuerySplit(3, disjoint_queries=True, test_fraction=0.2).split(side)
        for (_, test), later in zip(splits, (0.6, 0.4, 0.2), strict=True):
            assert 0.5 < len(test) / (n * later / 3) < 1.5


def test_a_gap_in_time_and_one_in_executions_leave_the_same_out_of_an_even_log(pairs):
    a = TimeSeriesQuerySplit(4, gap=timedelta(hours=7)).split(pairs)
    b = TimeSeriesQuerySplit(4, gap=7).split(pairs)
    none = TimeSeriesQuerySplit(4).split(pairs)
    for (train, test), (other, other_test), (whole, _) in zip(a, b, none, strict=True):
        assert train.tolist() == other.tolist() == whole[:-7].tolist()
        assert test.tolist() == other_test.tolist()


def test_a_share_of_tests_leaves_more_to_train_on(pairs):
    splits = list(TimeSeriesQuerySplit(3, test_fraction=0.1).split(pairs))
    assert [len(test) for _, test in splits] == [24, 24, 24]
    assert [len(train) for train, _ in splits] == [168, 192, 216]
    assert all(b[0].tolist() == [*a[0], *a[1]] for a, b in pairwise(splits))


@pytest.mark.parametrize(
    "options",
    [
        {"n_splits": 1},
        {"gap": -1},
        {"gap": 1.5},
        {"gap": timedelta(days=-1)},
        {"test_fraction": 0.2},
        {"test_fraction": 0},
    ],
)
def test_wrong_parameters_are_named(options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        TimeSeriesQuerySplit(**options)


def test_what_cannot_be_split_is_refused(pairs):
    timeless = replace(pairs, time=np.full(N, "NaT", "datetime64[us]"))
    with pytest.raises(InvalidInputError, match="no times"):
        next(TimeSeriesQuerySplit(3).split(timeless))
    with pytest.raises(InvalidInputError, match="expected TrainingPairs"):
        next(TimeSeriesQuerySplit(3).split(pairs.X))
    with pytest.raises(InvalidInputError, match="no execution to train on"):
        next(TimeSeriesQuerySplit(3, gap=N).split(pairs))
