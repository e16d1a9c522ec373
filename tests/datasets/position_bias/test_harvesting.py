"""Every estimator: closed forms, exact recovery, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import PositionBias
from rankloom.datasets.counts.pair_counts import PairCounts, count_pairs
from rankloom.datasets.counts.swap_graph import count_swaps
from rankloom.datasets.position_bias.swap_estimators import ESTIMATORS, make_estimator

HARVESTING = ("all_pairs", "pivot", "adjacent")
TRUTH = 1 / np.arange(1, 6)


def expected_counts(curve=TRUTH, *, scale=1e9, seed=0):
    """Return counts without noise: clicks = shown * examination * relevance, at random swaps."""
    rng = np.random.default_rng(seed)
    counts = simulated_counts(rng, len(curve))
    relevance = rng.uniform(0.1, 0.9, len(counts))
    shown = np.round(scale * rng.uniform(0.1, 1.0, len(counts.position)))
    clicks = shown * np.asarray(curve)[counts.position] * relevance[counts.pair]
    return PairCounts(
        counts.offsets, counts.position, shown, clicks, counts.query, counts.n_positions
    )


def simulated_counts(rng, n_positions, n_pairs=60):
    sizes = rng.integers(2, n_positions + 1, n_pairs)
    places = [np.sort(rng.choice(n_positions, size, replace=False)) for size in sizes]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cells = np.concatenate(places).astype(np.int64)
    ones = np.ones(len(cells))
    return PairCounts(offsets, cells, ones, ones, np.arange(n_pairs), n_positions)


@pytest.mark.parametrize("name", HARVESTING)
@pytest.mark.parametrize("seed", range(5))
def test_recovers_the_curve_exactly_from_clicks_without_noise(name, seed):
    counts = expected_counts(seed=seed)
    log_curve = make_estimator(name)(counts, np.ones(len(counts)))
    np.testing.assert_allclose(np.exp(log_curve), TRUTH, rtol=1e-8)


def test_em_recovers_the_curve_from_clicks_without_noise_up_to_its_tolerance():
    counts = expected_counts(scale=1e3)
    log_curve = make_estimator("em")(counts, np.ones(len(counts)))
    np.testing.assert_allclose(np.exp(log_curve), TRUTH, rtol=2e-3)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_multiplying_all_counts_changes_nothing(name):
    counts = expected_counts(scale=20)
    more = PairCounts(
        counts.offsets,
        counts.position,
        counts.shown * 7,
        counts.clicks * 7,
        counts.query,
        counts.n_positions,
    )
    one, seven = (make_estimator(name)(c, np.ones(len(c))) for c in (counts, more))
    np.testing.assert_allclose(one, seven, atol=1e-8)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_all_pairs_is_finite_wherever_the_swap_graph_is_connected(seed, n_positions):
    """Also from counts of one or two clicks, where most ratios of rates are 0 or infinite."""
    rng = np.random.default_rng(seed)
    shape = simulated_counts(rng, n_positions, n_pairs=8)
    clicks = rng.integers(0, 2, len(shape.position)).astype(float)
    counts = PairCounts(
        shape.offsets, shape.position, shape.shown, clicks, shape.query, n_positions
    )
    component = count_swaps(counts).component()
    connected = counts.at_positions(component)
    log_curve = make_estimator("all_pairs")(connected, np.ones(len(connected)))
    assert len(log_curve) == len(component)
    assert np.isfinite(log_curve).all()
    assert np.abs(log_curve).max() < 15


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_pairs_weight_of_two_is_the_pair_counted_twice(simulated, name):
    pairs = simulated(3000)
    counts = count_pairs(pairs, 5).informative()
    weight = np.random.default_rng(0).integers(1, 3, len(counts)).astype(float)
    twice = np.repeat(np.arange(len(counts)), weight.astype(int))
    cells = [np.arange(counts.offsets[i], counts.offsets[i + 1]) for i in twice]
    sizes = np.array([len(c) for c in cells])
    cell = np.concatenate(cells)
    doubled = PairCounts(
        np.concatenate([[0], np.cumsum(sizes)]),
        counts.position[cell],
        counts.shown[cell],
        counts.clicks[cell],
        counts.query[twice],
        5,
    )
    estimate = make_estimator(name)
    weighted = estimate(counts, weight)
    repeated = make_estimator(name)(doubled, np.ones(len(doubled)))
    tolerance = 2e-3 if name == "em" else 1e-8
    np.testing.assert_allclose(weighted, repeated, atol=tolerance)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_positions_and_one_swap_give_the_ratio_of_click_rates(swapped_lists, name):
    """With equal exposures at both positions the curve is clicks at 1 over clicks at 0."""
    pairs = swapped_lists(100, (40, 10, 20, 20))
    bias = PositionBias(name, n_bootstrap=0).fit(pairs)
    tolerance = 1e-3 if name == "em" else 1e-9
    np.testing.assert_allclose(bias.examination_, [1.0, 30 / 60], rtol=tolerance)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_of_a_simulated_log_are_near_the_truth(simulated, name):
    bias = PositionBias(name, n_bootstrap=0).fit(simulated(60_000, n_queries=60))
    bound = {"all_pairs": 0.06, "pivot": 0.12, "adjacent": 0.12, "em": 0.15}[name]
    assert np.abs(bias.examination_ / TRUTH - 1).max() < bound


def test_all_pairs_is_the_maximum_of_the_conditional_likelihood(simulated):
    from scipy.optimize import minimize

    counts = count_pairs(simulated(1500), 5).informative()

    def loss(free):
        curve = np.exp(np.concatenate([[0.0], free]))
        exposure = counts.shown * curve[counts.position]
        share = exposure / counts.pair_sums(exposure)[counts.pair]
        return -(counts.clicks @ np.log(share))

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-6}).x
    log_curve = make_estimator("all_pairs")(counts, np.ones(len(counts)))
    np.testing.assert_allclose(log_curve[1:], best, atol=1e-5)
