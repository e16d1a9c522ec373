"""Exposure by click models: examination by state, sums over documents and likelihoods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets.counts.click_counts import click_counts
from rankloom.datasets.pairs.row_blocks import of_array
from rankloom.ltr.exposure.click_exposure import (
    dbn_exposure,
    log_likelihood,
    pbm_exposure,
    state_examination,
    ubm_exposure,
)

POSITIONS = 5
CURVE = 1 / np.arange(1.0, POSITIONS + 1)
POSITION_OF_STATE = np.repeat(np.arange(POSITIONS), np.arange(POSITIONS) + 1)


def ubm_theta():
    """Examination by position and last click above: a click close above helps."""
    theta = CURVE[POSITION_OF_STATE].copy()
    for position in range(1, POSITIONS):
        for last in range(position):
            state = position * (position + 1) // 2 + last + 1
            theta[state] = min(1.0, theta[state] * (1.0 + 1.0 / (position - last)))
    return theta


def clicks_by(theta, pairs, relevance, seed=0):
    """Draw clicks from the top down, each document examined with the probability of its state."""
    generator = np.random.default_rng(seed)
    shape = (pairs.n_executions, POSITIONS)
    attracts, clicked = relevance.reshape(shape), np.zeros(shape, dtype=bool)
    last = np.full(len(attracts), -1)
    for k in range(POSITIONS):
        state = k * (k + 1) // 2 + last + 1
        clicked[:, k] = generator.random(len(attracts)) < theta[state] * attracts[:, k]
        last[clicked[:, k]] = k
    return replace(pairs, clicked=clicked.ravel(), y=clicked.ravel().astype(np.float32))


def lists(make_pairs, n_executions=30_000):
    return make_pairs(n_executions, per_execution=POSITIONS, queries=4, documents=8, shuffled=True)


def relevance_of(pairs, seed=3):
    by_document = np.random.default_rng(seed).uniform(0.1, 0.9, len(pairs.documents))
    return by_document[pairs.document_code]


@pytest.fixture(scope="module")
def browsed(make_pairs):
    pairs = lists(make_pairs)
    return clicks_by(ubm_theta(), pairs, relevance_of(pairs))


def test_the_examination_of_a_simulated_browsing_model_is_recovered(browsed):
    found = state_examination(click_counts(browsed, "last_click"), CURVE)
    assert found[0] == 1.0
    np.testing.assert_allclose(found, ubm_theta(), rtol=0.15)
    assert np.abs(found - CURVE[POSITION_OF_STATE]).max() > 0.3


def test_where_clicks_above_do_not_matter_it_is_the_curve(make_pairs):
    pairs = lists(make_pairs)
    log = clicks_by(CURVE[POSITION_OF_STATE], pairs, relevance_of(pairs))
    found = state_examination(click_counts(log, "last_click"), CURVE)
    np.testing.assert_allclose(found, CURVE[POSITION_OF_STATE], rtol=0.15)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_expected_clicks_relevance_does_not_matter_at_all(browsed, seed):
    counts = click_counts(browsed, "last_click")
    relevance = np.random.default_rng(seed).uniform(0.01, 1.0, len(counts))
    shown = 1000 * counts.shown
    clicks = shown * ubm_theta()[counts.state] * relevance[counts.document]
    found = state_examination(replace(counts, shown=shown, clicks=clicks), CURVE)
    np.testing.assert_allclose(found, ubm_theta(), rtol=0.03)


def test_states_with_little_evidence_stay_near_their_position(make_pairs):
    pairs = lists(make_pairs, 12)
    log = clicks_by(ubm_theta(), pairs, 0.3 * relevance_of(pairs))
    counts = click_counts(log, "last_click")
    empty = counts.by_state(counts.shown) == 0
    found = state_examination(counts, CURVE) / CURVE[counts.position_of_state]
    assert empty.any()
    np.testing.assert_allclose(found[empty], found[empty][0])
    assert found[empty][0] == pytest.approx(1, abs=0.3)


def test_examination_is_that_of_the_position_and_the_last_click_above(make_pairs):
    pairs = lists(make_pairs, 200)
    weight = np.where(pairs.execution_index < 100, 0.25, 1.0).astype(np.float32)
    log = replace(clicks_by(ubm_theta(), pairs, relevance_of(pairs)), weight=weight)
    np.testing.assert_array_equal(pbm_exposure(log, CURVE).examination, CURVE[log.position])
    given = np.full(len(log), 0.5)
    np.testing.assert_array_equal(pbm_exposure(log, CURVE, of_array(given)).examination, given)
    states = click_counts(log, "last_click")
    theta = state_examination(states, CURVE)
    expected = []
    for start in log.offsets[:-1]:
        last = -1
        for k in range(POSITIONS):
            expected.append(theta[k * (k + 1) // 2 + last + 1])
            last = k if log.clicked[start + k] else last
    np.testing.assert_allclose(ubm_exposure(log, CURVE).examination, expected)


def test_positions_beyond_the_curve_take_its_last_value(make_pairs):
    pairs = lists(make_pairs, 100)
    short = np.array([1.0, 0.4])
    expected = np.where(pairs.position == 0, 1.0, 0.4)
    np.testing.assert_array_equal(pbm_exposure(pairs, short).examination, expected)


def test_down_to_the_last_click_the_dbn_takes_every_row_as_examined(make_pairs):
    pairs = lists(make_pairs, 500)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    shape = (log.n_executions, POSITIONS)
    last = np.where(log.clicked.reshape(shape), np.arange(POSITIONS), -1).max(axis=1)
    certain = (np.arange(POSITIONS) <= last[:, None]).ravel()
    examination = dbn_exposure(log).examination
    np.testing.assert_allclose(examination[certain], 1)
    below = examination[~certain & (log.position > 0)]
    assert ((below > 0) & (below < 1)).all()
    to_the_end = log.clicked | (log.position == POSITIONS - 1)
    full = dbn_exposure(replace(log, clicked=to_the_end, y=to_the_end.astype(np.float32)))
    np.testing.assert_allclose(full.examination, 1)


@pytest.mark.parametrize("name", ["pbm", "ubm", "dbn"])
def test_an_execution_of_weight_two_counts_like_two(make_pairs, name):
    pairs = lists(make_pairs, 300)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    weight = np.where(log.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = log.take(np.sort(np.append(np.arange(300), np.arange(0, 300, 2))))
    models = {
        "pbm": lambda pairs: pbm_exposure(pairs, CURVE),
        "ubm": lambda pairs: ubm_exposure(pairs, CURVE),
        "dbn": dbn_exposure,
    }
    one, two = models[name](replace(log, weight=weight)), models[name](twice)
    of_rows = one.examination.reshape(300, POSITIONS)
    np.testing.assert_allclose(
        two.examination.reshape(-1, POSITIONS),
        of_rows[np.sort(np.append(np.arange(300), np.arange(0, 300, 2)))],
        rtol=1e-6,
    )


def test_queries_of_weight_zero_do_not_count(make_pairs):
    pairs = lists(make_pairs, 60)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    without = log.take(log.query_code > 0)
    weight = np.where(log.query_code[log.execution_index] == 0, 0, 1).astype(np.float32)
    examination = ubm_exposure(replace(log, weight=weight), CURVE).examination
    np.testing.assert_allclose(
        examination[weight > 0], ubm_exposure(without, CURVE).examination, rtol=1e-6
    )


def test_click_probabilities_are_examination_times_relevance(browsed):
    log = browsed.take(np.arange(50))
    relevance = np.random.default_rng(0).uniform(size=len(log))
    pbm = pbm_exposure(browsed, CURVE)
    np.testing.assert_allclose(
        pbm.click_probability(log, relevance), CURVE[log.position] * relevance
    )
    examined = ubm_exposure(browsed, CURVE).click_probability(log, relevance) / relevance
    assert np.ptp(examined[log.position == 0]) == 0
    assert np.ptp(examined[log.position == 1]) > 0.3
    first = dbn_exposure(browsed).click_probability(log, relevance)[log.position == 0]
    np.testing.assert_allclose(first, relevance[log.position == 0])


def test_the_likelihood_is_that_of_every_row_summed_over_executions(pairs):
    few = pairs.take([0, 1])
    probability = np.random.default_rng(0).uniform(0.1, 0.9, len(few))
    rows = [np.log(p if c else 1 - p) for p, c in zip(probability, few.clicked, strict=True)]
    np.testing.assert_allclose(log_likelihood(few, probability), [sum(rows[:10]), sum(rows[10:])])
    impossible = np.where(few.clicked, -1.0, 7.0)
    np.testing.assert_allclose(log_likelihood(few, impossible), 10 * np.log(0.001))
