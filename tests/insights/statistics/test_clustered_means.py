"""Means by group: closed forms, the jackknife itself, and coverage where users are unequal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.insights.statistics.clustered_means import GroupedClusters
from tests.insights.worlds import searches_of_users


def test_with_one_observation_a_cluster_the_error_is_that_of_a_plain_mean():
    values = np.random.default_rng(0).normal(3, 2, 50)
    found = GroupedClusters(np.zeros(50, np.int64), np.arange(50), 1).means(values).mean(0)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert found.degrees == pytest.approx(49)


def test_two_independent_groups_have_the_error_of_welch():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 200), rng.normal(1, 3, 300)
    group = np.repeat([0, 1], [200, 300])
    found = GroupedClusters(group, np.arange(500), 2).means(np.concatenate([a, b])).difference(1, 0)
    assert found.value == pytest.approx(b.mean() - a.mean())
    welch = np.sqrt(a.var(ddof=1) / 200 + b.var(ddof=1) / 300)
    assert found.error == pytest.approx(welch, rel=0.01)


@given(st.integers(0, 10_000))
def test_the_influence_of_a_cluster_is_the_change_of_the_mean_without_it(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 40))
    cluster, values = rng.integers(0, 4, n), rng.normal(0, 1, n)
    cluster[:4] = np.arange(4)
    means = GroupedClusters(np.zeros(n, np.int64), cluster, 1).means(values)
    for which, effect in zip(means.cluster, means._effects, strict=True):
        without = values[cluster != which].mean()
        assert effect == pytest.approx(values.mean() - without, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_order_and_names_of_clusters_change_nothing(seed, groups):
    rng = np.random.default_rng(seed)
    n = 30
    group, cluster = rng.integers(-1, groups, n), rng.integers(0, 5, n)
    values = np.where(rng.random(n) < 0.2, np.nan, rng.normal(0, 1, n))
    order, names = rng.permutation(n), rng.permutation(5)
    first = GroupedClusters(group, cluster, groups).means(values)
    other = GroupedClusters(group[order], names[cluster[order]], groups).means(values[order])
    for a, b in zip(first.means(), other.means(), strict=True):
        assert np.allclose(a, b, equal_nan=True)


def test_all_groups_at_once_are_the_groups_one_by_one():
    rng = np.random.default_rng(2)
    means = GroupedClusters(rng.integers(0, 3, 60), rng.integers(0, 9, 60), 3).means(rng.random(60))
    assert means.means() == [means.mean(group) for group in range(3)]


def test_a_relative_difference_is_that_of_the_ratio_by_the_delta_method():
    rng = np.random.default_rng(3)
    group, values = np.repeat([0, 1], 20_000), rng.random(40_000) + np.repeat([1.0, 1.1], 20_000)
    sample = GroupedClusters(group, np.arange(40_000), 2)
    means = sample.means(values)
    found = means.relative(1, 0)
    assert found.value == pytest.approx(means.values[1] / means.values[0] - 1)
    a, b = means.mean(0), means.mean(1)
    ratio = b.value / a.value
    expected = ratio * np.hypot(a.error / a.value, b.error / b.value)
    assert found.error == pytest.approx(expected, rel=0.01)
    assert np.isnan(sample.ratios(values * 0, values).relative(1, 0).value)


def test_one_cluster_has_no_error_and_an_empty_group_no_mean():
    means = GroupedClusters(np.zeros(5, np.int64), np.zeros(5, np.int64), 2).means(np.arange(5.0))
    assert means.mean(0).value == 2.0
    assert np.isnan(means.mean(0).error)
    assert np.isnan(means.mean(1).value)
    assert np.isnan(means.mean(0).p)


def test_intervals_by_user_hold_where_intervals_by_search_fail():
    """A/A by user, unequal activity: 95 % intervals by user cover about 95 %, others far less."""
    covered = {"user": 0, "search": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        user, rate = searches_of_users(rng, 300, 3000)
        group = (rng.random(300) < 0.5)[user].astype(np.int64)
        values = (rng.random(3000) < rate[user]).astype(float)
        for name, cluster in (("user", user), ("search", np.arange(3000))):
            low, high = (
                GroupedClusters(group, cluster, 2).means(values).difference(1, 0).interval(0.95)
            )
            covered[name] += low <= 0 <= high
    assert 180 <= covered["user"] <= 200
    assert covered["search"] < 120
