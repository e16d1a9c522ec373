"""Rates by exposure: the Gamma posterior, and a prior that the groups themselves state."""

import numpy as np
import pytest
from scipy import stats

from rankloom.errors import InvalidInputError
from rankloom.insights.statistics.shrunk_rates import MAX_STRENGTH, prior_strength, shrunk_rates


def test_interval_and_mean_are_those_of_the_gamma_posterior():
    found = shrunk_rates([3, 0, 40], [10, 0, 50], mean=[0.1, 0.2, 0.3], strength=5, confidence=0.8)
    posterior = stats.gamma([3.5, 1.0, 41.5], scale=1 / np.array([15.0, 5.0, 55.0]))
    assert np.allclose(found.rate, posterior.mean())
    assert np.allclose([found.lower, found.upper], [posterior.ppf(0.1), posterior.ppf(0.9)])


def test_without_a_mean_all_events_by_all_exposure_is_expected():
    assert shrunk_rates([1, 3], [10, 10], strength=1).mean.tolist() == [0.2, 0.2]


def test_groups_that_differ_by_chance_only_get_the_strongest_prior():
    exposure = np.full(500, 40.0)
    rng = np.random.default_rng(1)
    same = rng.binomial(40, 0.1, 500).astype(float)  # less spread than Poisson has
    assert prior_strength(same, exposure, np.full(500, 0.1)) == MAX_STRENGTH
    assert prior_strength(np.zeros(0), np.zeros(0), np.zeros(0)) == MAX_STRENGTH


@pytest.mark.parametrize("strength", [5.0, 50.0])
def test_the_strength_of_the_prior_is_found_and_its_intervals_cover(strength):
    rng = np.random.default_rng(2)
    exposure = rng.choice([5.0, 50.0, 500.0], 4_000)
    rate = rng.gamma(strength * 0.2, 1 / strength, len(exposure))
    found = shrunk_rates(rng.poisson(exposure * rate), exposure, confidence=0.9)
    assert 0.85 < found.strength / strength < 1.15
    covered = np.mean((found.lower <= rate) & (rate <= found.upper))
    assert abs(covered - 0.9) < 4 * np.sqrt(0.09 / len(rate)) + 0.005


def test_a_confidence_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match="^confidence: expected a number between 0 and 1"):
        shrunk_rates([1], [2], confidence=95)
