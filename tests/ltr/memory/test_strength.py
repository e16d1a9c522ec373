from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.ltr.memory.calibration import Calibration, calibrate
from rankloom.ltr.memory.estimates import CountingRules
from rankloom.ltr.memory.strength import (
    BANDS,
    STRENGTHS,
    Strength,
    band_of,
    estimate_strength,
    left_out_predictions,
)
from rankloom.ltr.memory.units import no_units


def world(k, seed, queries=300, documents=8, exposure=12.0):
    """Relevance drawn from a Gamma prior of strength k around p, and two halves of clicks."""
    generator = np.random.default_rng(seed)
    m = queries * documents
    query = np.repeat(np.arange(queries), documents)
    prior = generator.choice([0.1, 0.3, 0.5], m)
    relevance = generator.gamma(k * prior, 1 / k)
    e = generator.exponential(exposure, (2, m)) + 0.1
    clicks = generator.poisson(e * relevance).astype(float)
    return (clicks[0], e[0]), (clicks[1], e[1]), prior, query


def estimated(earlier, later, prior, query, impressions):
    """Each half is one display, predicted by the other."""
    clicks, exposure = (np.concatenate(each) for each in zip(earlier, later, strict=True))
    cell = np.tile(np.arange(len(prior)), 2)
    nothing = np.zeros((2, len(prior)))
    every = np.ones(len(cell), dtype=bool)
    predictions = left_out_predictions(
        cell, clicks, exposure, every, nothing, prior, query, impressions
    )
    return estimate_strength(predictions, earlier, later, prior, query, impressions)


@pytest.mark.parametrize("k", [2.0, 8.0, 32.0])
def test_the_strength_that_the_world_was_drawn_with_is_found_within_a_factor_of_two(k):
    found = []
    for seed in range(5):
        earlier, later, prior, query = world(k, seed)
        impressions = np.full(300, 10.0)
        found.append(estimated(earlier, later, prior, query, impressions).common)
    assert k / 2 <= np.median(found) <= 2 * k


def test_it_predicts_where_relevance_varies_and_not_where_it_does_not():
    flat = 0
    for seed in range(40):
        earlier, later, prior, query = world(1e6, seed, queries=60)
        flat += estimated(earlier, later, prior, query, np.full(60, 10.0)).predicts
    assert flat <= 6
    earlier, later, prior, query = world(4.0, 0, queries=60)
    assert estimated(earlier, later, prior, query, np.full(60, 10.0)).predicts


def test_the_largest_strength_is_the_prior_alone_whatever_the_later_half_says():
    earlier, later, prior, query = world(4.0, 0, queries=60)
    found = estimated(earlier, later, prior, query, np.full(60, 10.0))
    assert found.predicts
    assert not replace(found, common=float(STRENGTHS[-1])).predicts


def test_a_band_has_a_strength_of_its_own_only_where_that_is_clearly_better():
    a, b = world(0.7, 1), world(64.0, 2)
    both = [np.concatenate(each) for each in zip(*(x[0] for x in (a, b)), strict=True)]
    later = [np.concatenate(each) for each in zip(*(x[1] for x in (a, b)), strict=True)]
    prior, query = np.concatenate([a[2], b[2]]), np.concatenate([a[3], b[3] + 300])
    impressions = np.repeat([2.0, 50.0], 300)
    found = estimated(tuple(both), tuple(later), prior, query, impressions)
    assert found.bands[0].strength < 3
    assert found.bands[2].strength > 20
    assert (found.bands[0].queries, found.bands[1].queries) == (300, 0)
    assert found.bands[1].strength == found.common
    alike = estimated(*world(8.0, 3), np.repeat([2.0, 50.0], 150))
    assert {band.strength for band in alike.bands} == {alike.common}


def test_without_a_query_in_both_halves_nothing_is_claimed():
    nothing = (np.zeros(3), np.zeros(3))
    found = estimated(nothing, nothing, np.full(3, 0.2), np.arange(3), np.ones(3))
    assert not found.predicts
    assert found.common == STRENGTHS[-1]
    assert Strength.from_dict(found.to_dict()) == found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.floats(0.1, 1.0)), min_size=1),
    st.lists(st.floats(0, 3), min_size=4, max_size=4),
    st.integers(1, 3),
)
def test_every_display_is_predicted_by_the_others_and_judgements_of_its_document(
    displays, judged, every
):
    predicted = np.arange(len(displays)) % every == 0
    cell, gain, exposure = (np.array(column) for column in zip(*displays, strict=True))
    prior, query = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1])
    known = 0.4 * np.array(judged), np.array(judged)
    impressions = np.array([1.0, 30.0])
    found = left_out_predictions(
        cell, gain * 1.0, exposure, predicted, known, prior, query, impressions
    )
    expected, informed = np.zeros((2, len(STRENGTHS))), set()
    for i, (d, c, e) in enumerate(displays):
        others = [j for j in range(len(displays)) if displays[j][0] == d and j != i]
        C, E = (sum(displays[j][n] for j in others) + known[n - 1][d] for n in (1, 2))
        if E <= 1e-4 or not predicted[i]:
            continue
        informed.add(query[d])
        rate = np.maximum((C + STRENGTHS * prior[d]) / (E + STRENGTHS), 1e-4)
        alone = c * np.log(prior[d]) - e * prior[d]
        expected[query[d]] += c * np.log(rate) - e * rate - alone
    np.testing.assert_allclose(found.gains, expected[sorted(informed)].T, atol=1e-9)
    assert found.band.tolist() == [2 * q for q in sorted(informed)]


@given(st.floats(0, 1e6))
def test_bands_begin_where_they_say(impressions):
    band = int(band_of(np.array([impressions]))[0])
    assert impressions < BANDS[0] or impressions >= BANDS[band] - 1e-6
    assert band == len(BANDS) - 1 or impressions < BANDS[band + 1]


def test_only_clicks_have_a_smallest_examination():
    examination = np.array([0.001, 0.001, 0.5, 0.5], dtype=np.float32)
    units = no_units()._replace(grade=np.array([0, 1, 0, 2], np.uint8), examination=examination)
    counted = CountingRules(None, (0.0, 1.0), 0.05).examination(units)
    np.testing.assert_allclose(counted, [0.001, 0.05, 0.5, 0.5])
    assert units.examination[1] == np.float32(0.001)


# Calibration


def clicks_by(score, position, curve, seed=0, rows=200_000):
    generator = np.random.default_rng(seed)
    s = score(generator.random(rows))
    k = position(generator, s)
    clicked = generator.random(rows) < curve[k] * (0.1 + 0.6 * s)
    return s, k, clicked.astype(float)


def halves(scores):
    return (np.arange(len(scores)) % 2).astype(np.uint8)


def test_calibration_finds_the_probability_and_the_factors_of_positions():
    true, assumed = 1 / np.sqrt(np.arange(1.0, 11)), 1 / np.arange(1.0, 11)
    s, k, clicked = clicks_by(lambda u: u, lambda g, s: g.integers(0, 10, len(s)), true)
    found = calibrate(s, k, clicked, assumed[k], halves(s))
    np.testing.assert_allclose(found.factor / found.factor[0], true / assumed, rtol=0.1)
    scores = np.array([0.1, 0.5, 0.9])
    level = found.factor[0]
    np.testing.assert_allclose(level * found(scores), 0.1 + 0.6 * scores, rtol=0.08)


def test_a_right_curve_keeps_factors_near_one_although_scores_follow_positions():
    curve = 1 / np.arange(1.0, 11)
    place = lambda g, s: np.clip(((1 - s) * 10 + g.normal(0, 2, len(s))), 0, 9).astype(int)  # noqa: E731
    s, k, clicked = clicks_by(lambda u: u, place, curve)
    found = calibrate(s, k, clicked, curve[k], halves(s))
    np.testing.assert_allclose(found.factor, 1, atol=0.12)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.integers(0, 99))
def test_it_never_turns_the_order_of_scores(scores, seed):
    generator = np.random.default_rng(seed)
    s = np.array(scores, dtype=np.float32)
    clicks = generator.integers(0, 2, len(s)).astype(float)
    examined = np.full(len(s), 0.5)
    found = calibrate(s, generator.integers(0, 3, len(s)), clicks, examined, halves(s))
    ordered = np.unique(s).astype(np.float64)
    assert (np.diff(found(ordered)) >= 0).all()
    assert (found(s) > 0).all()
    assert (found.factor >= 0.25).all()
    assert (found.factor <= 4).all()
    again = Calibration.from_dict(found.to_dict())
    np.testing.assert_array_equal(again(s), found(s))


def test_an_unknown_score_has_the_mean():
    s, clicks = np.array([0.0, 1.0, np.nan, 2.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = calibrate(s, np.zeros(4, int), clicks, np.ones(4), halves(s))
    assert found(np.array([np.nan]))[0] == found.mean == 0.5
    unknown = calibrate(np.full(4, np.nan), np.zeros(4, int), clicks, np.ones(4), halves(s))
    np.testing.assert_allclose(unknown(np.array([0.0, 5.0])), 0.5, rtol=0.02)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_few_clicks_that_grow_exponentially_with_the_score_are_predicted(rate):
    errors = []
    for seed in range(5):
        generator = np.random.default_rng(seed)
        s = generator.normal(0, 1, 4000)
        clicks = (generator.random(len(s)) < 0.1 * np.exp(rate * s)).astype(float)
        found = calibrate(s, np.zeros(len(s), int), clicks, np.ones(len(s)), halves(s))
        points = np.array([-1.5, -0.5, 0.0, 1.0, 1.5])
        errors.append(np.log(found(points) / (0.1 * np.exp(rate * points))))
    assert np.abs(np.median(errors, axis=0)).max() < 0.25


def test_steps_of_the_click_rate_are_found_where_clicks_show_them():
    generator = np.random.default_rng(0)
    s = generator.random(200_000)
    true = lambda score: np.where(score < 0.7, 0.1, 0.5)  # noqa: E731
    clicks = (generator.random(len(s)) < true(s)).astype(float)
    found = calibrate(s, np.zeros(len(s), int), clicks, np.ones(len(s)), halves(s))
    points = np.array([0.05, 0.3, 0.6, 0.8, 0.95])
    np.testing.assert_allclose(found(points), true(points), rtol=0.05)
