"""The trust-biased position-based model: recovery, and what it becomes without false clicks."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.datasets.click_models import PBM, TrustPBM, click_counts
from rankloom.datasets.click_models.em_step import EMStep, Parameters

ALPHA = np.array([0.8, 0.5, 0.3, 0.2, 0.15])
BETA = np.array([0.18, 0.1, 0.05, 0.02, 0.01])


@pytest.fixture(scope="module")
def log(pairs_of):
    """60,000 lists of 30 queries, every order shown; a third of the documents is irrelevant."""
    rng = np.random.default_rng(0)
    relevance = rng.choice([0.0, 0.3, 1.0], size=(30, 5))
    query = rng.integers(0, 30, 60_000)
    shown = rng.permuted(np.tile(np.arange(5), (60_000, 1)), axis=1)
    chance = ALPHA * relevance[query[:, None], shown] + BETA
    return pairs_of(query, shown + 5 * query[:, None], rng.random(shown.shape) < chance)


def test_the_worth_of_relevance_by_position_is_recovered(log):
    model = TrustPBM(prior_strength=0).fit(log)
    np.testing.assert_allclose(model.examination_, ALPHA / ALPHA[0], rtol=0.1)
    assert model.identifiable_


def test_the_probability_of_a_click_is_recovered(log):
    """The affine freedom of alpha, beta and relevance leaves their mix alone."""
    model = TrustPBM().fit(log)
    counts = model.counts_
    fitted = model.click_probability(counts.state, model.relevance_[counts.document])
    error = np.sqrt(fitted * (1 - fitted) / counts.shown)
    assert (np.abs(counts.clicks / counts.shown - fitted) < 4.5 * error).all()
    np.testing.assert_allclose(model.beta_ + model.alpha_, model.click_probability(range(5), 1.0))
    np.testing.assert_allclose(model.beta_, model.click_probability(range(5), 0.0))


def test_it_explains_false_clicks_better_than_the_position_based_model(log):
    half = np.arange(log.n_executions) % 2 == 0
    found = [m().fit(log.take(half)).perplexity(log.take(~half)).overall for m in (TrustPBM, PBM)]
    assert found[0] < found[1]


def test_without_false_clicks_a_step_is_one_of_the_position_based_model(simulated):
    """beta = 0 stays 0 and the rest moves alike."""
    counts = click_counts(simulated(500))
    start = Parameters(np.linspace(0.9, 0.3, 5), np.zeros(5), np.full(len(counts), 0.4))
    settings = (counts, np.ones(len(counts)), None, 2.0, 0.0)
    trust, pbm = (EMStep(*settings, false).step(start) for false in (True, False))
    np.testing.assert_allclose(trust.relevant, pbm.relevant, rtol=1e-12)
    np.testing.assert_allclose(trust.relevance, pbm.relevance, rtol=1e-12)
    assert trust.irrelevant.max() <= 1.0001e-6


def test_on_clicks_without_false_ones_it_finds_few(simulated):
    pairs = simulated(40_000, seed=5)
    trust, pbm = TrustPBM().fit(pairs), PBM().fit(pairs)
    np.testing.assert_allclose(trust.examination_, pbm.examination_, rtol=0.05)
    assert (trust.beta_ < 0.05).all()
