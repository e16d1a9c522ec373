"""Differences at the same mix of strata: Simpson's paradox, an oracle, and coverage."""

import numpy as np
import pytest

from rankloom.insights.statistics.clustered_means import GroupedClusters
from rankloom.insights.statistics.standardised import standardised_difference


def oracle(values, treated, stratum):
    differences, weights = [], []
    for one in np.unique(stratum):
        sides = [values[(stratum == one) & (treated == side)] for side in (False, True)]
        if min(map(len, sides)) < 2:
            continue
        differences.append(sides[1].mean() - sides[0].mean())
        weights.append(len(sides[0]) + len(sides[1]))
    return np.average(differences, weights=weights)


def test_it_is_the_weighted_mean_of_the_strata():
    rng = np.random.default_rng(0)
    values, treated, stratum = rng.random(300), rng.random(300) < 0.3, rng.integers(0, 40, 300)
    found = standardised_difference(values, treated, stratum, np.arange(300))
    assert found.difference.value == pytest.approx(oracle(values, treated, stratum))
    assert found.relative.value == pytest.approx(found.difference.value / found.baseline)
    assert 0 < found.share <= 1


def test_with_one_stratum_it_is_the_plain_difference():
    rng = np.random.default_rng(1)
    values, treated, cluster = rng.random(400), rng.random(400) < 0.5, rng.integers(0, 80, 400)
    found = standardised_difference(values, treated, np.zeros(400, int), cluster).difference
    plain = GroupedClusters(treated.astype(int), cluster, 2).means(values).difference(1, 0)
    assert found.value == pytest.approx(plain.value)
    assert found.error == pytest.approx(plain.error, rel=0.02)


def test_other_traffic_does_not_look_like_a_difference():
    """The group has the good strata: the plain difference is wrong, the standardised one covers."""
    covered, plain_covered = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        stratum = rng.integers(0, 10, 1500)
        treated = rng.random(1500) < 0.2 + 0.06 * stratum
        cluster = rng.integers(0, 300, 1500)
        own = rng.normal(0, 0.1, 300)
        values = 0.05 * stratum + own[cluster] + rng.normal(0, 0.3, 1500)
        low, high = standardised_difference(values, treated, stratum, cluster).difference.interval(
            0.95
        )
        covered += low <= 0 <= high
        plain = GroupedClusters(treated.astype(int), cluster, 2).means(values).difference(1, 0)
        plain_covered += plain.interval(0.95)[0] <= 0 <= plain.interval(0.95)[1]
    assert 180 <= covered <= 199
    assert plain_covered < 20


def test_without_common_strata_there_is_no_difference():
    treated = np.repeat([False, True], 10)
    found = standardised_difference(np.arange(20.0), treated, treated.astype(int), np.arange(20))
    assert np.isnan(found.difference.value)
    assert (found.share, found.strata) == (0.0, 0)
