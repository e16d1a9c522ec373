"""The position-based model: probabilities, likelihood, EM, sampling."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from rankloom.datasets import PBM
from rankloom.datasets.counts.pair_counts import PairCounts
from rankloom.errors import InvalidInputError

THETA = np.array([0.9, 0.5, 0.3])


@pytest.fixture(scope="module")
def counts():
    """Counts of 80 pairs at all three positions, drawn from the model."""
    rng = np.random.default_rng(0)
    relevance = rng.uniform(0.2, 0.9, 80)
    shown = rng.integers(100, 300, (80, 3))
    clicks = rng.binomial(shown, relevance[:, None] * THETA)
    return PairCounts(
        np.arange(0, 241, 3),
        np.tile(np.arange(3), 80),
        shown.ravel().astype(float),
        clicks.ravel().astype(float),
        np.arange(80),
        3,
    )


@pytest.fixture(scope="module")
def fitted(counts):
    return PBM(prior_strength=0, tolerance=1e-8, max_iterations=3000).fit(counts)


def test_clicks_are_drawn_with_the_stated_probability():
    model = PBM.from_examination(THETA)
    relevance = np.array([0.8, 0.4, 1.0])
    n = 20_000
    frequency = model.sample(np.tile(relevance, (n, 1)), random_state=0).mean(axis=0)
    chance = model.click_probability(np.arange(3), relevance)
    np.testing.assert_allclose(chance, THETA * relevance)
    assert (np.abs(frequency - chance) < 4 * np.sqrt(chance * (1 - chance) / n)).all()


def test_positions_beyond_the_model_are_examined_like_its_last():
    model = PBM.from_examination(THETA)
    np.testing.assert_allclose(model.click_probability([2, 7], [1.0, 1.0]), [0.3, 0.3])


def test_sampling_is_deterministic_given_its_seed():
    model = PBM.from_examination(THETA)
    draws = [model.sample(np.full((50, 3), 0.5), random_state=s) for s in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_the_fit_recovers_the_examination(fitted):
    np.testing.assert_allclose(fitted.examination_, THETA / THETA[0], rtol=0.05)
    assert fitted.examination_[0] == 1.0


def test_log_likelihood_is_the_binomial_one_without_coefficients(fitted, counts):
    chance = fitted.click_probability(counts.position, fitted.relevance_[counts.pair])
    binomial = stats.binom.logpmf(counts.clicks, counts.shown, chance)
    coefficients = stats.binom.logpmf(counts.clicks, counts.shown, 0.5) - counts.shown * np.log(0.5)
    expected = (binomial - coefficients).sum()
    assert fitted.log_likelihood(counts) == pytest.approx(expected, rel=1e-10)


def test_the_fit_is_a_maximum_of_the_likelihood(fitted, counts):
    """No small move of one theta or of the relevances raises it."""
    best = fitted.log_likelihood(counts)
    for position in range(3):
        for factor in (0.99, 1.01):
            moved = PBM.from_examination(np.minimum(fitted.theta_, 1.0))
            moved.theta_[position] *= factor
            assert moved.log_likelihood(counts, fitted.relevance_) < best
    for factor in (0.99, 1.01):
        assert fitted.log_likelihood(counts, np.minimum(fitted.relevance_ * factor, 1)) < best


def test_the_relevance_posterior_repeats_the_fits_own_relevance(fitted, counts):
    np.testing.assert_allclose(fitted.relevance_posterior(counts), fitted.relevance_, atol=1e-4)


def test_with_every_position_examined_the_posterior_is_the_beta_mean(counts):
    """theta = 1 makes it (clicks + strength * mean) / (shown + strength)."""
    model = PBM.from_examination([1.0, 1.0, 1.0])
    model.prior_mean, model.prior_strength = 0.3, 10.0
    clicks, shown = counts.pair_sums(counts.clicks), counts.pair_sums(counts.shown)
    expected = (clicks + 3) / (shown + 10)
    np.testing.assert_allclose(model.relevance_posterior(counts), expected, atol=1e-5)


def test_starting_from_a_fit_ends_at_once(fitted, counts):
    again = PBM(prior_strength=0, tolerance=1e-4).fit(counts, start=fitted)
    assert again.n_iterations_ == 1
    np.testing.assert_allclose(again.theta_, fitted.theta_, rtol=1e-3)


@pytest.mark.parametrize("examination", [[], [0.0, 1.0], [1.5], [[1.0]], [np.nan]])
def test_a_known_examination_must_be_probabilities(examination):
    with pytest.raises(InvalidInputError, match="examination"):
        PBM.from_examination(examination)


def test_a_known_examination_says_nothing_of_a_logs_documents(counts, simulated):
    model = PBM.from_examination(THETA)
    pairs = simulated(20)
    for use in (model.perplexity, model.log_likelihood, model.row_click_probability):
        with pytest.raises(InvalidInputError, match="was given its examination"):
            use(pairs)
    with pytest.raises(InvalidInputError, match="was given its examination"):
        model.log_likelihood(counts)
    with pytest.raises(InvalidInputError, match="was given its examination"):
        model.intervals()


def test_each_context_value_gets_its_curve_from_documents_that_both_saw(simulated):
    """Phones and desktops show the same documents, phones are left sooner."""
    curves = {"desktop": np.array([1, 0.8, 0.7, 0.6, 0.5]), "phone": 1 / np.arange(1, 6) ** 1.5}
    device = np.where(np.arange(40_000) % 4 == 0, "desktop", "phone")
    curve = np.array([curves[name] for name in device])
    pairs = simulated(40_000, curve=curve, n_queries=40, context={"device": pl.Series(device)})
    model = PBM(by="device", prior_strength=0).fit(pairs)
    assert model.theta_.shape == (2, 5)
    for value, truth in curves.items():
        np.testing.assert_allclose(model.curves_[value], truth, rtol=0.1)
        chance = model.click_probability(range(5), 1.0, value=value)
        np.testing.assert_allclose(chance / chance[0], model.curves_[value])
    mean = model.click_probability(range(5), 1.0)
    assert ((mean >= model.theta_.min(axis=0)) & (mean <= model.theta_.max(axis=0))).all()
    assert set(model.intervals(n_bootstrap=20)) == {
        "examination",
        "examination[desktop]",
        "examination[phone]",
    }


def test_on_a_sparse_log_the_prior_predicts_better(simulated):
    pairs = simulated(4000, n_queries=1000, seed=2)
    half = np.arange(pairs.n_executions) % 2 == 0
    models = [PBM(prior_strength=k).fit(pairs.take(half)) for k in (0, 2)]
    found = [model.perplexity(pairs.take(~half)).overall for model in models]
    assert found[1] < 0.95 * found[0]


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say(simulated):
    """Thirty dense logs, four positions each, nominal 90 %."""
    inside = []
    for seed in range(30):
        model = PBM(prior_strength=0).fit(simulated(20_000, seed=seed, n_queries=40))
        lower, upper = model.intervals(0.9, n_bootstrap=40)["examination"]
        truth = 1 / np.arange(1, 6)
        inside.append(((lower <= truth) & (truth <= upper))[1:])
    assert 0.78 <= np.mean(inside) <= 0.98
