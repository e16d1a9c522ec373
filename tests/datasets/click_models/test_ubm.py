"""The user browsing model: states, recovery, and what it becomes without memory."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.datasets.click_models import PBM, UBM, click_counts

from .conftest import SHOWN


def theta_of(position, last_click):
    """Examination falls with the position, and rises after a click close above."""
    return 0.9 / (1 + 0.25 * position) * np.where(last_click < 0, 0.6, 1 / (position - last_click))


@pytest.fixture(scope="module")
def log(pairs_of):
    """40,000 lists of 40 queries, every order shown, clicks by theta_of."""
    rng = np.random.default_rng(0)
    relevance = rng.uniform(0.1, 0.9, (40, 6))
    query = rng.integers(0, 40, 40_000)
    shown = rng.permuted(np.tile(np.arange(6), (40_000, 1)), axis=1)[:, :SHOWN]
    clicked = np.zeros(shown.shape, dtype=bool)
    last = np.full(len(query), -1)
    for place in range(SHOWN):
        chance = theta_of(place, last) * relevance[query, shown[:, place]]
        clicked[:, place] = rng.random(len(query)) < chance
        last[clicked[:, place]] = place
    return pairs_of(query, shown + 6 * query[:, None], clicked)


def test_the_fit_recovers_theta_by_position_and_last_click(log):
    model = UBM(prior_strength=0).fit(log)
    position, last = np.array([(k, j) for k in range(SHOWN) for j in range(-1, k)]).T
    truth = theta_of(position, last) / theta_of(0, -1)
    shown = model.counts_.by_state(model.counts_.shown)
    assert shown.min() > 500
    found = model.theta(position, last) / model.theta(0)
    np.testing.assert_allclose(found, truth, rtol=0.12)
    np.testing.assert_allclose(found, model.theta_ / model.theta_[0])


def test_it_predicts_its_world_better_than_a_model_without_memory(log):
    half = np.arange(log.n_executions) % 2 == 0
    found = [m().fit(log.take(half)).perplexity(log.take(~half)).overall for m in (UBM, PBM)]
    assert found[0] < found[1]


def test_without_memory_it_is_the_position_based_model(simulated):
    """On clicks of a PBM, theta does not depend on the last click but for noise."""
    pairs = simulated(40_000, seed=3)
    ubm, pbm = UBM().fit(pairs), PBM().fit(pairs)
    np.testing.assert_allclose(ubm.examination_, pbm.examination_, rtol=0.03)
    np.testing.assert_allclose(ubm.relevance_, pbm.relevance_, atol=0.05)


def test_a_strong_lean_makes_it_the_position_based_model(simulated):
    """All states of a position share one theta then, exactly."""
    pairs = simulated(3000)
    ubm = UBM(state_strength=1e9, tolerance=1e-8, max_iterations=2000).fit(pairs)
    pbm = PBM(tolerance=1e-8, max_iterations=2000).fit(pairs)
    position = ubm.counts_.position_of_state
    relative = pbm.theta_[position] / pbm.theta_[0]
    np.testing.assert_allclose(ubm.theta_ / ubm.theta_[0], relative, rtol=1e-4)


def test_states_that_never_occurred_take_their_positions_examination(pairs_of):
    """Position 1 was never clicked, so no state has its last click there."""
    rng = np.random.default_rng(1)
    clicked = rng.random((400, 3)) < 0.4
    clicked[:, 1] = False
    shown = rng.permuted(np.tile(np.arange(3), (400, 1)), axis=1)
    model = UBM().fit(pairs_of(np.zeros(400), shown, clicked))
    theta = [model.theta(2, last) for last in (-1, 0, 1)]
    assert min(theta[:2]) <= theta[2] <= max(theta[:2])


def test_positions_and_last_clicks_beyond_the_fit_are_those_at_its_end(simulated):
    model = UBM().fit(simulated(1000))
    assert model.theta(9, 2) == model.theta(4, 2)
    assert model.theta(9, 8) == model.theta(4, 3)


def test_the_likelihood_of_counts_is_that_of_their_rows(simulated):
    pairs = simulated(1000)
    model = UBM().fit(pairs)
    counts = click_counts(pairs, "last_click")
    assert model.log_likelihood(counts) == pytest.approx(model.log_likelihood(pairs))
