"""Quantiles by group: values of numpy, and coverage of their intervals."""

import numpy as np
import pytest

from rankloom.insights.statistics.clustered_means import GroupedClusters
from rankloom.insights.statistics.quantiles import grouped_quantile, quantile_difference


def test_values_are_numpys_and_missing_ones_do_not_count():
    rng = np.random.default_rng(0)
    values, group = rng.lognormal(4, 1, 301), np.arange(301) % 2
    values[::7] = np.nan
    found = grouped_quantile(GroupedClusters(group, np.arange(301), 3), values, 0.9)
    for side in (0, 1):
        assert found[side].value == pytest.approx(np.nanquantile(values[group == side], 0.9))
    assert np.isnan(found[2].value)


def test_intervals_cover_about_as_often_as_stated():
    covered = {0.5: 0, 0.95: 0}
    for seed in range(150):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(200), 4)
        values = np.exp(rng.normal(0, 0.5, 200)[cluster] + rng.normal(0, 0.5, 800))
        sample = GroupedClusters(np.zeros(800, np.int64), cluster, 1)
        for quantile in covered:
            (found,) = grouped_quantile(sample, values, quantile)
            low, high = found.interval(0.9)
            from scipy import stats

            covered[quantile] += low <= np.exp(stats.norm.ppf(quantile, scale=np.sqrt(0.5))) <= high
    assert all(120 <= count <= 146 for count in covered.values()), covered


def test_a_difference_has_the_errors_of_both():
    rng = np.random.default_rng(1)
    a, b = grouped_quantile(
        GroupedClusters(np.arange(400) % 2, np.arange(400), 2), rng.random(400), 0.5
    )
    found = quantile_difference(b, a)
    assert found.value == b.value - a.value
    assert found.error == pytest.approx(np.hypot(a.error, b.error))
