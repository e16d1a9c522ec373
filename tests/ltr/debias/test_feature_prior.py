"""What features say of relevance, and of the gain of a click."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.ltr.boosting.trainer import Trainer
from rankloom.ltr.debias.feature_prior import gain_per_click, relevance_from_features

PARAMS = {
    "num_iterations": 100,
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 20,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
    "seed": 0,
}
RATES = np.array([0.05, 0.2, 0.5, 0.9])


@pytest.fixture
def trainer():
    return Trainer(PARAMS, ("kind", "noise"), ())


def world(n=4000, seed=0):
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 4, n)
    X = np.column_stack([kind, generator.normal(size=n)]).astype(np.float32)
    return generator, kind, X


def test_a_known_poisson_rate_is_found(trainer):
    generator, kind, X = world()
    exposure = generator.uniform(0.5, 50, len(X))
    clicks = generator.poisson(exposure * RATES[kind]).astype(float)
    prior = relevance_from_features(trainer, X, clicks, exposure)
    for k, rate in enumerate(RATES):
        assert prior(X)[kind == k].mean() == pytest.approx(rate, rel=0.08)


def test_it_is_the_ratio_of_clicks_to_exposure_however_they_are_spread(trainer):
    """The same clicks and exposure of each kind, on a few documents or on many."""
    generator, kind, X = world()
    few = np.where(generator.random(len(X)) < 0.2, 100.0, 0.0) + 1e-3
    expected = relevance_from_features(trainer, X, few * RATES[kind], few)(X)
    even = np.ones(len(X))
    found = relevance_from_features(trainer, X, 20 * RATES[kind], 20 * even)(X)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    np.testing.assert_allclose(found, RATES[kind], rtol=0.05)


def test_documents_without_exposure_say_nothing(trainer):
    _, kind, X = world()
    exposure = np.where(np.arange(len(X)) < 2000, 30.0, 0.0)
    clicks = exposure * RATES[kind]
    prior = relevance_from_features(trainer, X, clicks, exposure)
    np.testing.assert_allclose(prior(X), RATES[kind], rtol=0.1)


@pytest.mark.parametrize("rows", [1, 3, 30])
def test_rows_too_few_to_split_share_their_rate(trainer, rows, capfd):
    _, _, X = world(rows)
    prior = relevance_from_features(trainer, X, np.full(rows, 2.0), np.full(rows, 8.0))
    np.testing.assert_allclose(prior(X), 0.25, rtol=1e-6)
    assert capfd.readouterr() == ("", "")


def per_click(trainer, X, clicks, gains):
    """Gain of a click on documents with one variant each."""
    return gain_per_click(trainer, X, clicks, gains, np.arange(len(X)))


def test_equal_gains_give_that_gain(trainer):
    generator, _, X = world(500)
    clicks = generator.poisson(1.0, 500).astype(float)
    np.testing.assert_array_equal(per_click(trainer, X, clicks, 3 * clicks), np.full(500, 3.0))
    np.testing.assert_array_equal(per_click(trainer, X, 0 * clicks, clicks), np.ones(500))


def test_the_gain_of_a_click_is_learnt_from_features_and_from_own_clicks(trainer):
    """Kind 3 sells: seven of its clicks in ten end in a purchase, worth 7 instead of 1."""
    generator, kind, X = world()
    clicks = generator.poisson(2.0, len(X)).astype(float)
    bought = generator.binomial(clicks.astype(int), np.where(kind == 3, 0.7, 0.0))
    found = per_click(trainer, X, clicks, clicks + 6 * bought)
    unclicked = clicks == 0
    assert found[unclicked & (kind == 3)].mean() == pytest.approx(1 + 6 * 0.7, rel=0.1)
    assert found[unclicked & (kind != 3)].mean() == pytest.approx(1, rel=0.1)
    many, gains = np.append(clicks[1:], 10_000.0), np.append((clicks + 6 * bought)[1:], 25_000.0)
    assert per_click(trainer, X, many, gains)[-1] == pytest.approx(2.5, rel=0.01)
