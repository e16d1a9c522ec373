"""The strength of priors by moments, and the posterior at the top."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.bandit.base.sums import Sums
from rankloom.bandit.posterior.hierarchy import (
    COLD_PRIOR_STRENGTH,
    Moments,
    effective,
    top_posterior,
    trials,
)

ARMS = ("text", "image", "video")


def sums_of(N, S, F=None, Q=None):
    N, S = np.atleast_2d(np.asarray(N, float)), np.atleast_2d(np.asarray(S, float))
    arms = tuple(f"arm:{number}" for number in range(N.shape[1]))
    F = np.zeros_like(N) if F is None else np.atleast_2d(np.asarray(F, float))
    return Sums(arms, None, 0, N, S, F, N if Q is None else np.atleast_2d(Q))


def users(count, k, seed, exposures=40.0, mean=0.2):
    """Clicks of users whose rates differ as Beta with the strength k; inf: not at all."""
    generator = np.random.default_rng(seed)
    shown = generator.poisson(exposures, (count, 3)).astype(float)
    rate = np.full((count, 3), mean)
    if np.isfinite(k):
        rate = generator.beta(k * mean, k * (1 - mean), (count, 3))
    return sums_of(shown, generator.poisson(rate * shown))


def strength(sums, mean=0.2):
    whole = trials(sums).sum(axis=0)
    return Moments.of(np.full(3, mean), sums, whole).strength(COLD_PRIOR_STRENGTH)


@pytest.mark.parametrize("k", [5.0, 20.0, 80.0])
def test_the_strength_with_which_users_were_made_is_found_again(k):
    found = [strength(users(2000, k, seed)) for seed in range(5)]
    assert np.median(found) == pytest.approx(k, rel=0.15)


def test_users_that_do_not_differ_lean_on_their_parent_altogether():
    assert np.median([strength(users(2000, np.inf, seed)) for seed in range(9)]) > 1000


def test_users_that_differ_as_much_as_can_be_stand_alone():
    generator = np.random.default_rng(0)
    shown = np.full((500, 3), 100.0)
    assert strength(sums_of(shown, shown * (generator.random((500, 3)) < 0.2))) == 2.0


def test_few_users_with_few_exposures_keep_the_guess():
    assert strength(users(5, 5.0, 0, exposures=2.0)) == pytest.approx(COLD_PRIOR_STRENGTH, rel=0.1)


def test_without_exposures_the_guess_stays():
    nothing = sums_of(np.zeros((4, 3)), np.zeros((4, 3)))
    assert strength(nothing) == COLD_PRIOR_STRENGTH
    assert Moments().strength(COLD_PRIOR_STRENGTH) == COLD_PRIOR_STRENGTH


def test_moments_of_parts_add_up():
    whole = users(200, 10.0, 0)
    parent, mean = trials(whole).sum(axis=0), np.full(3, 0.2)
    parts = [
        Sums(whole.arms, None, 0, whole.N[at], whole.S[at], whole.F[at], whole.Q[at])
        for at in (slice(0, 50), slice(50, None))
    ]
    added = Moments.of(mean, parts[0], parent) + Moments.of(mean, parts[1], parent)
    assert added.strength(COLD_PRIOR_STRENGTH) == pytest.approx(
        Moments.of(mean, whole, parent).strength(COLD_PRIOR_STRENGTH)
    )


def test_old_evidence_counts_by_its_effective_exposures():
    """Age scales N by w and Q by w^2: how far users lie apart is as well known as before."""
    fresh = users(500, 10.0, 0)
    aged = sums_of(0.25 * fresh.N, 0.25 * fresh.S, Q=0.0625 * fresh.Q)
    assert effective(aged) == pytest.approx(effective(fresh))
    assert strength(aged) == pytest.approx(strength(fresh))


def test_moments_by_hand():
    """Two users, one arm: rates 1/2 and 1/10 from 10 trials each, the parent's 0.3 from 20."""
    moments = Moments.of(np.array([0.3]), sums_of([[10], [10]], [[5], [1]]), np.array([20.0]))
    assert moments.squares == pytest.approx(10 * 0.2**2 + 10 * 0.2**2)
    assert moments.noise == pytest.approx(2 * 0.5 * 0.3)
    assert moments.spread == pytest.approx(2 * 0.5 * 10 * 0.21)
    assert moments.freedom == pytest.approx(2 * 0.5 * 0.21**2)
    rho, guess = (0.8 - 0.3) / 2.1, 1 / 51
    certainty = guess**2 / (guess**2 + 2 * moments.freedom / 2.1**2)
    mixed = certainty * rho + (1 - certainty) * guess
    assert moments.strength(50.0) == pytest.approx(1 / mixed - 1)


def test_arms_that_differ_within_the_noise_stay_nearly_equal():
    generator = np.random.default_rng(0)
    spreads = []
    for _ in range(50):
        shown = np.full(3, 300.0)
        clicks = generator.poisson(0.2 * shown)
        mean = top_posterior(sums_of(shown, clicks)).mean
        spreads.append(np.ptp(mean) / np.ptp(clicks / shown))
    assert np.median(spreads) < 0.5


def test_arms_that_differ_beyond_it_keep_their_rates():
    mean = top_posterior(sums_of([3000.0] * 3, [900.0, 600.0, 300.0])).mean
    assert mean == pytest.approx([0.3, 0.2, 0.1], rel=0.02)


def test_without_evidence_the_top_is_the_guess():
    cold = top_posterior(sums_of(np.zeros(3), np.zeros(3)))
    assert cold.mean == pytest.approx([0.1] * 3)
    assert cold.strength == pytest.approx([10.0] * 3)


@pytest.mark.parametrize("arms", [1, 2, 5, 25, 200])
def test_the_top_is_proper_for_any_number_of_channels(arms):
    generator = np.random.default_rng(arms)
    shown = generator.poisson(3, arms).astype(float)
    posterior = top_posterior(sums_of(shown, generator.poisson(2, arms) * 1.0, F=shown))
    assert ((posterior.mean > 0) & (posterior.mean < 1)).all()
    assert (posterior.strength > 0).all()
