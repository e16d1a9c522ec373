"""How click models read a log: examination by state, exposures and likelihoods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets.click_models.counts import click_counts
from rankloom.ltr.click_readings import (
    documents_of,
    group_sizes,
    log_likelihood,
    read_dbn,
    read_pbm,
    read_ubm,
    state_examination,
)

PLACES = 5
CURVE = 1 / np.arange(1.0, PLACES + 1)
STATE_OF_PLACE = np.repeat(np.arange(PLACES), np.arange(PLACES) + 1)


def ubm_theta():
    """Examination by position and last click above: a click close above helps."""
    theta = CURVE[STATE_OF_PLACE].copy()
    for place in range(1, PLACES):
        for last in range(place):
            state = place * (place + 1) // 2 + last + 1
            theta[state] = min(1.0, theta[state] * (1.0 + 1.0 / (place - last)))
    return theta


def clicks_by(theta, pairs, relevance, seed=0):
    """Draw clicks from the top down, each document examined with the probability of its state."""
    generator = np.random.default_rng(seed)
    shape = (pairs.n_executions, PLACES)
    chance, clicked = relevance.reshape(shape), np.zeros(shape, dtype=bool)
    last = np.full(len(chance), -1)
    for place in range(PLACES):
        state = place * (place + 1) // 2 + last + 1
        clicked[:, place] = generator.random(len(chance)) < theta[state] * chance[:, place]
        last[clicked[:, place]] = place
    return replace(pairs, clicked=clicked.ravel(), y=clicked.ravel().astype(np.float32))


def lists(make_pairs, n_executions=30_000):
    return make_pairs(n_executions, per_execution=PLACES, queries=4, documents=8, shuffled=True)


def relevance_of(pairs, seed=3):
    by_document = np.random.default_rng(seed).uniform(0.1, 0.9, len(pairs.documents))
    return by_document[pairs.document_code]


@pytest.fixture(scope="module")
def browsed(make_pairs):
    pairs = lists(make_pairs)
    return clicks_by(ubm_theta(), pairs, relevance_of(pairs))


def test_examination_of_a_log_that_browsers_made_is_found(browsed):
    found = state_examination(click_counts(browsed, "last_click"), CURVE)
    assert found[0] == 1.0
    np.testing.assert_allclose(found, ubm_theta(), rtol=0.15)
    assert np.abs(found - CURVE[STATE_OF_PLACE]).max() > 0.3


def test_where_clicks_above_do_not_matter_it_is_the_curve(make_pairs):
    pairs = lists(make_pairs)
    log = clicks_by(CURVE[STATE_OF_PLACE], pairs, relevance_of(pairs))
    found = state_examination(click_counts(log, "last_click"), CURVE)
    np.testing.assert_allclose(found, CURVE[STATE_OF_PLACE], rtol=0.15)


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


def exposures(pairs, values):
    """Sum values of rows over every document, the slow way."""
    found = {}
    for key, value in zip(pairs.query_document.tolist(), values, strict=True):
        found[key] = found.get(key, 0.0) + value
    return [found[key] for key in sorted(found)]


def test_exposures_are_sums_of_examination_times_weight(make_pairs):
    pairs = lists(make_pairs, 200)
    weight = np.where(pairs.execution_index < 100, 0.25, 1.0).astype(np.float32)
    log = replace(clicks_by(ubm_theta(), pairs, relevance_of(pairs)), weight=weight)
    _, counts = documents_of(log)
    expected = exposures(log, weight * CURVE[log.position])
    np.testing.assert_allclose(read_pbm(counts, CURVE).exposure, expected)
    states = click_counts(log, "last_click")
    theta = state_examination(states, CURVE)
    expected = []
    for start in log.offsets[:-1]:
        last = -1
        for place in range(PLACES):
            expected.append(theta[place * (place + 1) // 2 + last + 1] * weight[start])
            last = place if log.clicked[start + place] else last
    np.testing.assert_allclose(read_ubm(log, CURVE).exposure, exposures(log, expected))


def test_positions_beyond_the_curve_take_its_last_value(make_pairs):
    pairs = lists(make_pairs, 100)
    _, counts = documents_of(pairs)
    short = np.array([1.0, 0.4])
    expected = exposures(pairs, np.where(pairs.position == 0, 1.0, 0.4))
    np.testing.assert_allclose(read_pbm(counts, short).exposure, expected)


def test_down_to_the_last_click_the_dbn_counts_every_showing(make_pairs):
    pairs = lists(make_pairs, 500)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    shape = (log.n_executions, PLACES)
    last = np.where(log.clicked.reshape(shape), np.arange(PLACES), -1).max(axis=1)
    surely = (np.arange(PLACES) <= last[:, None]).ravel()
    exposure = read_dbn(log).exposure
    assert (exposure >= np.array(exposures(log, surely)) - 1e-9).all()
    assert (exposure <= np.array(exposures(log, np.ones(len(log)))) + 1e-9).all()
    foot = log.clicked | (log.position == PLACES - 1)
    whole = read_dbn(replace(log, clicked=foot, y=foot.astype(np.float32)))
    np.testing.assert_allclose(whole.exposure, exposures(log, np.ones(len(log))))


@pytest.mark.parametrize("name", ["pbm", "ubm", "dbn"])
def test_an_execution_of_weight_two_counts_like_two(make_pairs, name):
    pairs = lists(make_pairs, 300)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    weight = np.where(log.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = log.take(np.sort(np.append(np.arange(300), np.arange(0, 300, 2))))
    readers = {
        "pbm": lambda pairs: read_pbm(documents_of(pairs)[1], CURVE),
        "ubm": lambda pairs: read_ubm(pairs, CURVE),
        "dbn": read_dbn,
    }
    one, two = readers[name](replace(log, weight=weight)), readers[name](twice)
    np.testing.assert_allclose(one.exposure, two.exposure, rtol=1e-6)
    clicks = documents_of(replace(log, weight=weight))[0].clicks
    np.testing.assert_allclose(clicks, documents_of(twice)[0].clicks)


def test_documents_that_count_nothing_have_no_exposure_and_harm_nobody(make_pairs):
    pairs = lists(make_pairs, 60)
    log = clicks_by(ubm_theta(), pairs, relevance_of(pairs))
    weight = np.where(log.query_code[log.execution_index] == 0, 0, 1).astype(np.float32)
    reading = read_ubm(replace(log, weight=weight), CURVE)
    documents, _ = documents_of(replace(log, weight=weight))
    assert np.isfinite(reading.exposure).all()
    np.testing.assert_array_equal(reading.exposure == 0, documents.query == 0)


def test_chances_are_examination_times_relevance(browsed):
    log = browsed.take(np.arange(50))
    relevance = np.random.default_rng(0).uniform(size=len(log))
    _, counts = documents_of(browsed)
    chance = read_pbm(counts, CURVE).chance(log, relevance)
    np.testing.assert_allclose(chance, CURVE[log.position] * relevance)
    found = read_ubm(browsed, CURVE).chance(log, relevance) / relevance
    assert np.ptp(found[log.position == 0]) == 0
    assert np.ptp(found[log.position == 1]) > 0.3
    first = read_dbn(browsed).chance(log, relevance)[log.position == 0]
    np.testing.assert_allclose(first, relevance[log.position == 0])


def test_the_likelihood_is_that_of_every_row_summed_over_executions(pairs):
    few = pairs.take([0, 1])
    chance = np.random.default_rng(0).uniform(0.1, 0.9, len(few))
    rows = [np.log(p if c else 1 - p) for p, c in zip(chance, few.clicked, strict=True)]
    np.testing.assert_allclose(log_likelihood(few, chance), [sum(rows[:10]), sum(rows[10:])])
    impossible = np.where(few.clicked, -1.0, 7.0)
    np.testing.assert_allclose(log_likelihood(few, impossible), 10 * np.log(0.001))


def test_documents_are_told_apart_by_query_and_ordered_by_it(pairs):
    documents, _ = documents_of(pairs)
    assert documents.group.sum() == len(documents) == len(np.unique(pairs.query_document))
    np.testing.assert_array_equal(documents.group, group_sizes(documents.query))
    assert (np.diff(documents.query) >= 0).all()
    keys = pairs.query_document
    np.testing.assert_array_equal(keys[documents.row][documents.of_row], keys)
    for document in range(0, len(documents), 60):
        assert documents.row[document] == np.flatnonzero(documents.of_row == document).max()
    np.testing.assert_allclose(documents.total(pairs.clicked.astype(float)), documents.clicks)
