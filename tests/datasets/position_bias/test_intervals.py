"""Intervals and bands: how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankloom.datasets import PositionBias
from rankloom.datasets.counts.bootstrap import intervals
from rankloom.datasets.position_bias.swap_estimators import ESTIMATORS

HARVESTING = ("all_pairs", "pivot", "adjacent")
TRUTH = 1 / np.arange(1, 6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_limits_are_finite_positive_and_ordered(simulated, name):
    bias = PositionBias(name, n_bootstrap=50).fit(simulated(800))
    limits = [bias.band_lower_, bias.lower_, bias.examination_, bias.upper_, bias.band_upper_]
    assert np.isfinite(limits).all()
    assert np.min(limits) > 0
    assert (np.diff(limits, axis=0) >= 0).all()
    assert (np.diff(limits, axis=0)[:, 1:] > 0).all()
    assert {limit[0] for limit in limits} == {1.0}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_seed_gives_the_same_limits_and_another_seed_others(simulated, name):
    pairs = simulated(800)
    first, again, other = (
        PositionBias(name, n_bootstrap=20, random_state=seed).fit(pairs).band_lower_
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


def test_without_a_bootstrap_limits_are_unknown_not_narrow(simulated):
    bias = PositionBias(n_bootstrap=0).fit(simulated(2000))
    assert np.isnan(bias.lower_).all()
    assert bias.to_dict()["lower"] == [None] * 5


def coverage(simulated, logs, n_lists, n_bootstrap, name="all_pairs"):
    """Return the pooled pointwise and the simultaneous coverage of the truth."""
    pointwise, simultaneous = [], []
    for seed in range(logs):
        bias = PositionBias(name, n_bootstrap=n_bootstrap).fit(simulated(n_lists, seed=seed))
        inside = (bias.lower_ <= TRUTH) & (bias.upper_ >= TRUTH)
        within = (bias.band_lower_ <= TRUTH) & (bias.band_upper_ >= TRUTH)
        pointwise.append(inside[1:].mean())
        simultaneous.append(within.all())
    return np.mean(pointwise), np.mean(simultaneous)


def test_intervals_cover_the_truth_about_as_often_as_they_say(simulated):
    """Loose bounds: 40 logs; the slow test is the sharp one."""
    pointwise, simultaneous = coverage(simulated, 40, 3000, 60)
    assert 0.78 <= pointwise <= 0.99
    assert simultaneous >= 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", HARVESTING)
def test_ninety_percent_intervals_cover_80_to_97_percent_of_200_logs(simulated, name):
    pointwise, simultaneous = coverage(simulated, 200, 4000, 200, name)
    assert 0.84 <= pointwise <= 0.97
    assert simultaneous >= 0.84


def test_more_sessions_give_narrower_intervals(simulated):
    few, many = (PositionBias(n_bootstrap=60).fit(simulated(n)) for n in (1000, 16_000))
    ratio = np.log(few.upper_ / few.lower_)[1:] / np.log(many.upper_ / many.lower_)[1:]
    assert 2.5 < ratio.mean() < 6.5  # the square root of 16, give or take


def test_a_position_tied_by_one_pair_alone_does_not_look_certain(pairs_of):
    """Resampling queries never moves a step that one pair decides; its counts bound it."""
    rng = np.random.default_rng(0)
    documents = [[0, 1, 2], [1, 0, 2]] * 300
    query = np.repeat(np.arange(30), 20)
    documents = np.array(documents) + 3 * query[:, None]
    documents[0] = [0, 2, 1]
    bias = PositionBias(n_bootstrap=30).fit(pairs_of(query, documents, rng.random((600, 3)) < 0.5))
    width = np.log(bias.upper_ / bias.lower_)
    assert width[2] > 2 * width[1]


def test_limits_are_students_quantile_and_the_max_statistic_of_the_replicates():
    """Independent normal replicates: 1.645 standard errors, and 2.31 for the largest of 5."""
    log_curve = np.array([0.0, -1.0, -1.5, -2.0, -2.2, -2.5])
    error = np.array([0.0, 0.1, 0.2, 0.1, 0.3, 0.1])
    replicates = log_curve + error * np.random.default_rng(0).normal(size=(20_000, 6))
    limits = intervals(log_curve, replicates, np.zeros(6), n_blocks=100_000, confidence=0.9)
    pointwise = (limits.upper - log_curve)[1:] / error[1:]
    simultaneous = (log_curve - limits.band_lower)[1:] / error[1:]
    one = stats.norm.ppf(0.95)
    five = stats.norm.ppf((1 + 0.9 ** (1 / 5)) / 2)
    np.testing.assert_allclose(pointwise, one, rtol=0.03)
    np.testing.assert_allclose(simultaneous, five, rtol=0.03)


def test_few_blocks_widen_both_kinds_of_limits_as_students_t_does():
    log_curve = np.array([0.0, -1.0])
    replicates = log_curve + np.random.default_rng(0).normal(size=(500, 2)) * [0.0, 0.1]
    few, many = (intervals(log_curve, replicates, np.zeros(2), n, 0.9) for n in (4, 10**6))
    ratio = stats.t.ppf(0.95, 3) / stats.norm.ppf(0.95)
    np.testing.assert_allclose(few.upper[1] + 1, ratio * (many.upper[1] + 1), rtol=1e-4)
    np.testing.assert_allclose(few.band_upper[1] + 1, ratio * (many.band_upper[1] + 1), rtol=1e-4)
