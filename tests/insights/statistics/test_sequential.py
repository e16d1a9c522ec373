"""Sequential tests: their formulas, and the rate of false alarms of a test looked at every day."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rankloom.insights.statistics.clustered_means import Estimate, GroupedClusters
from rankloom.insights.statistics.sequential import sequential_interval, sequential_p
from tests.insights.worlds import searches_of_users

MANY = 1e9  # degrees of freedom at which t is normal


@given(st.floats(-5, 5), st.floats(0.01, 2), st.floats(0.01, 2))
def test_the_p_value_is_the_inverse_of_the_mixture_likelihood_ratio(value, error, scale):
    from scipy import stats

    marginal = stats.norm.logpdf(value, scale=np.hypot(error, scale))
    log_ratio = marginal - stats.norm.logpdf(value, scale=error)
    found = sequential_p(Estimate(value, error, MANY), scale)
    if log_ratio < 300:
        assert found == pytest.approx(min(1.0, np.exp(-log_ratio)), rel=1e-3)


@given(st.floats(-5, 5), st.floats(0.05, 2), st.floats(0.05, 2), st.floats(21, 500))
def test_the_interval_holds_the_values_that_the_test_does_not_refuse(value, error, scale, degrees):
    low, high = sequential_interval(Estimate(value, error, degrees), scale, 0.9)
    assume(high < np.inf)  # a vague scale needs deviates that t has nowhere
    for end in (low, high):
        for nudge, refused in ((1.0001, True), (0.9999, False)):
            distance = (end - value) * nudge
            assert (sequential_p(Estimate(distance, error, degrees), scale) < 0.1) == refused


def test_it_is_wider_than_the_interval_for_one_look():
    estimate = Estimate(0.0, 1.0, 100.0)
    assert sequential_interval(estimate, 1.0, 0.95)[1] > estimate.interval(0.95)[1]


def test_few_clusters_have_no_verdict_and_no_error_no_p_value():
    assert sequential_p(Estimate(1.0, 0.01, 5.0), 1.0) == 1.0
    assert sequential_interval(Estimate(1.0, 0.01, 5.0), 1.0, 0.95) == (-np.inf, np.inf)
    assert np.isnan(sequential_p(Estimate(1.0, 0.0, 50.0), 1.0))
    assert np.isnan(sequential_interval(Estimate(1.0, float("nan"), 50.0), 1.0, 0.9)[0])


@pytest.mark.parametrize("by_user", [True, False])
def test_looking_every_day_gives_false_alarms_in_the_plain_test_only(by_user):
    alarms = {"plain": 0, "sequential": 0}
    for seed in range(50):
        rng = np.random.default_rng(seed)
        user, rate = searches_of_users(rng, 400, 4000)
        group = (rng.random(400) < 0.5)[user] if by_user else rng.random(4000) < 0.5
        values = (rng.random(4000) < rate[user]).astype(float)
        found = {"plain": False, "sequential": False}
        for seen in range(400, 4001, 200):
            estimate = (
                GroupedClusters(group[:seen].astype(np.int64), user[:seen], 2)
                .means(values[:seen])
                .difference(1, 0)
            )
            found["plain"] |= estimate.p < 0.05
            found["sequential"] |= sequential_p(estimate, 0.05 * values[:seen].mean()) < 0.05
        for name, alarm in found.items():
            alarms[name] += alarm
    assert alarms["sequential"] <= 4  # 2.5 expected at the most; in fact the test is conservative
    assert alarms["plain"] >= 5


def test_a_true_difference_is_found():
    rng = np.random.default_rng(0)
    user, rate = searches_of_users(rng, 4000, 60_000)
    group = rng.integers(0, 2, 60_000)
    values = (rng.random(60_000) < rate[user] * (1 + 0.06 * group)).astype(float)
    estimate = GroupedClusters(group, user, 2).means(values).difference(1, 0)
    assert sequential_p(estimate, 0.05 * 0.4) < 0.05
