"""Beta posteriors: closed forms, scipy's distribution, monotone draws, limits of shrinkage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rankloom.bandit.posterior.beta import BetaPosterior, beta_draw
from rankloom.bandit.posterior.noise import STEPS, FixedNoise, Noise

NONE = np.zeros(1)


def many_numbers(count, seed=0):
    generator = np.random.default_rng(seed)
    return Noise(
        generator.standard_normal((2, count)), generator.standard_exponential((STEPS, 2, count))
    )


def one(value):
    return np.array([float(value)])


@pytest.mark.parametrize(
    ("a", "b"),
    [(0.05, 1), (0.2, 3), (1, 1), (1, 9), (2, 2), (7, 0.5), (20, 80), (3e3, 7e3)],
)
def test_draws_have_the_distribution_that_scipy_says(a, b):
    draws = beta_draw(np.full(200_000, float(a)), np.full(200_000, float(b)), many_numbers(200_000))
    assert stats.kstest(draws, stats.beta(a, b).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("a", "b"), [(1e8, 1e8), (30.0, 1e8), (1e8, 0.5), (0.3, 1e8)])
def test_huge_parameters_keep_the_distribution(a, b):
    draws = beta_draw(np.full(100_000, a), np.full(100_000, b), many_numbers(100_000))
    assert stats.kstest(stats.beta(a, b).cdf(draws), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("a", "b"), [(1e-3, 1e-3), (1e-3, 1.0), (1e-3, 1e8)])
def test_tiny_parameters_keep_the_distribution_where_doubles_can_tell_it(a, b):
    draws = beta_draw(np.full(100_000, a), np.full(100_000, b), many_numbers(100_000))
    assert np.isfinite(draws).all()
    for level in (1e-250, 1e-100, 1e-30, 1e-12, 1e-8):
        chance = stats.beta(a, b).cdf(level)
        assert np.mean(draws <= level) == pytest.approx(chance, abs=5 * np.sqrt(0.25 / 100_000))


def test_fixed_noise_over_users_draws_the_posterior():
    posterior = BetaPosterior(np.array([0.2, 0.35]), np.array([10.0, 400.0]))
    source = FixedNoise(["text", "image"])
    draws = np.array([posterior.draw(source.of(f"user:{n}")) for n in range(3000)])
    for arm, law in enumerate((stats.beta(2, 8), stats.beta(140, 260))):
        assert stats.kstest(draws[:, arm], law.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(draws, rowvar=False)[0, 1]) < 5 / np.sqrt(3000)


def test_a_draw_never_falls_with_successes_nor_rises_with_failures_whatever_the_dice():
    noise = many_numbers(1000, seed=1)
    noise.normal[:, :400] = np.linspace(-6.8, 6.8, 400)
    noise.normal[1, :300] *= -1
    steps = np.concatenate([np.geomspace(1e-3, 1e6, 400), np.linspace(0.5, 60, 400)])
    steps.sort()
    for other in (1e-3, 0.3, 8.0, 1e6):
        fixed = np.full(1000, other)
        up = np.array([beta_draw(np.full(1000, a), fixed, noise) for a in steps])
        down = np.array([beta_draw(fixed, np.full(1000, b), noise) for b in steps])
        assert np.diff(up, axis=0).min() >= -1e-15
        assert np.diff(down, axis=0).max() <= 1e-15


def test_the_posterior_mean_is_that_of_the_conjugate_update():
    parent = BetaPosterior(one(0.2), one(500))
    child = parent.child(N=one(30), S=one(12), F=one(3), k=10)
    assert child.mean[0] == pytest.approx((10 * 0.2 + 12) / (10 + 30 + 3))
    more_rewards_than_exposures = parent.child(N=one(0.5), S=one(2), F=NONE, k=10)
    assert more_rewards_than_exposures.mean[0] == pytest.approx((10 * 0.2 + 2) / (10 + 2))


def test_the_strength_adds_the_parents_uncertainty_and_the_childs_sampling_error():
    parent = BetaPosterior(one(0.2), one(500))
    child = parent.child(N=one(30), S=one(12), F=NONE, k=10)
    assert 1 / child.strength[0] == pytest.approx((10 / 40) ** 2 / 500 + (30 / 40) / 40)


def test_a_child_without_evidence_is_its_parent():
    parent = BetaPosterior(np.array([0.1, 0.3]), np.array([77.7, 1234.5]))
    nothing = np.zeros(2)
    assert parent.child(nothing, nothing, nothing, 50.0) is parent


def test_an_arm_without_evidence_draws_its_parents_draw_bit_for_bit():
    parent = BetaPosterior(np.array([0.1, 0.3]), np.array([77.7, 1234.5]))
    child = parent.child(np.array([5.0, 0.0]), np.array([1.0, 0.0]), np.zeros(2), k=31.7)
    noise = FixedNoise(["a", "b"]).of("user")
    assert child.draw(noise)[1] == parent.draw(noise)[1]
    assert child.draw(noise)[0] != parent.draw(noise)[0]


def test_a_grain_of_evidence_moves_the_draw_by_a_grain():
    """There is no threshold at which a context's own evidence suddenly counts."""
    parent = BetaPosterior(one(0.2), one(3000))
    source = FixedNoise(["text"])
    for user in range(200):
        noise = source.of(str(user))
        draws = [
            parent.child(one(n), one(0.2 * n), NONE, k=20.0).draw(noise)[0]
            for n in (0, 1e-9, 1e-6, 1e-4)
        ]
        assert draws == pytest.approx([draws[0]] * 4, rel=0.05)
        assert draws[1] == pytest.approx(draws[0], rel=1e-6)


def test_with_much_evidence_the_parent_plays_no_part():
    child = BetaPosterior(one(0.2), one(3000)).child(one(1e7), one(4e6), NONE, k=100.0)
    own = stats.beta(4e6, 6e6)
    draws = beta_draw(
        np.full(20_000, child.mean[0] * child.strength[0]),
        np.full(20_000, (1 - child.mean[0]) * child.strength[0]),
        many_numbers(20_000),
    )
    assert draws.mean() == pytest.approx(own.mean(), rel=1e-4)
    assert draws.std() == pytest.approx(own.std(), rel=0.02)


@given(
    mean=st.floats(0.001, 0.999),
    strength=st.floats(1.0, 1e6),
    exposures=st.floats(0.0, 1e5),
    share=st.floats(0.0, 1.0),
    more=st.floats(0.0, 1.0),
    minus=st.floats(0.0, 1e3),
    k=st.floats(2.0, 1e4),
    user=st.integers(0, 10_000),
)
def test_more_successes_never_lower_a_users_theta(
    mean, strength, exposures, share, more, minus, k, user
):
    parent, noise = BetaPosterior(one(mean), one(strength)), FixedNoise(["text"]).of(str(user))
    few, many = share * exposures, (share + (1 - share) * more) * exposures
    before = parent.child(one(exposures), one(few), one(minus), k)
    after = parent.child(one(exposures), one(many), one(minus), k)
    assert after.mean[0] >= before.mean[0] - 1e-15
    assert after.draw(noise)[0] >= before.draw(noise)[0] - 1e-12


@given(
    st.lists(st.tuples(*[st.floats(0, 1e9)] * 3), min_size=1, max_size=8),
    st.floats(2.0, 1e4),
)
def test_posteriors_are_proper_whatever_the_evidence(evidence, k):
    N, S, F = np.array(evidence).T
    parent = BetaPosterior(np.full(len(N), 0.1), np.full(len(N), 100.0))
    child = parent.child(N, S, F, k)
    assert ((child.mean > 0) & (child.mean < 1)).all()
    assert ((child.strength > 0) & np.isfinite(child.strength)).all()
    draw = child.draw(FixedNoise([str(arm) for arm in range(len(N))]).of("u"))
    assert ((draw >= 0) & (draw <= 1)).all()
