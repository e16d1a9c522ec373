"""The closed forms of the simulated click models, and that what is drawn follows them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rankloom.datasets import click_probability, relevance_of_grade, true_examination
from rankloom.datasets.simulation.clicks import CLICK_MODELS, sample_clicks
from rankloom.errors import InvalidInputError

RELEVANCE = np.array([1 / 3, 0.0, 1.0, 0.0, 1 / 3, 1.0, 0.0, 0.2])


def enumerated(relevance, satisfaction, abandons):
    """Add up the probabilities of every course that reading a list may take."""
    n = len(relevance)
    clicked = np.zeros(n)
    for course in itertools.product(range(4), repeat=n):
        # 0 no click, goes on; 1 click, goes on; 2 no click, leaves; 3 click, leaves
        probability, reading = 1.0, True
        clicks = np.zeros(n)
        for k, step in enumerate(course):
            if not reading:
                probability *= step == 0
                continue
            attraction = 0.1 + 0.9 * relevance[k]
            satisfied = satisfaction[k]
            probability *= {
                0: (1 - attraction) * (1 - abandons),
                1: attraction * (1 - satisfied) * (1 - abandons),
                2: (1 - attraction) * abandons,
                3: attraction * (1 - (1 - satisfied) * (1 - abandons)),
            }[step]
            clicks[k] = step in (1, 3)
            reading = step < 2
        clicked += probability * clicks
    return clicked


def test_relevance_of_three_grades_is_zero_a_third_and_one():
    assert relevance_of_grade([0, 1, 2, 1]) == pytest.approx([0, 1 / 3, 1, 1 / 3])


def test_relevance_is_scaled_by_the_grade_that_counts_as_highest():
    assert relevance_of_grade([0, 2], max_grade=4) == pytest.approx([0, 3 / 15])
    assert relevance_of_grade([0, 0]).tolist() == [0, 0]


@pytest.mark.parametrize(("grade", "top"), [([-1, 2], None), ([0, 3], 2)])
def test_grade_out_of_range_is_refused(grade, top):
    with pytest.raises(InvalidInputError, match="grade"):
        relevance_of_grade(grade, max_grade=top)


def test_examination_defaults_to_one_over_rank_and_holds_its_last_value():
    assert true_examination(5) == pytest.approx(1 / np.arange(1, 6))
    assert true_examination(5, 2.0) == pytest.approx(1 / np.arange(1, 6) ** 2)
    assert true_examination(5, [1.0, 0.7, 0.2]).tolist() == [1.0, 0.7, 0.2, 0.2, 0.2]


@pytest.mark.parametrize("curve", [[1.0, 1.2], [0.5, -0.1], [np.nan], [[1.0]], [], -1.0])
def test_impossible_examination_is_refused(curve):
    with pytest.raises(InvalidInputError, match="examination"):
        true_examination(4, curve)


def test_pbm_and_trust_closed_forms_written_out():
    k = np.arange(1, 9)
    pbm = (1 / k) * (0.1 + 0.9 * RELEVANCE)
    trust = (1 / k) * ((1 - k / 100) * RELEVANCE + 0.65 / k * (1 - RELEVANCE))
    assert click_probability(RELEVANCE) == pytest.approx(pbm)
    assert click_probability(RELEVANCE, click_model="trust") == pytest.approx(trust)


def test_marginals_of_cascade_and_dbn_equal_the_sum_over_all_courses_of_reading():
    relevance = RELEVANCE[:5]
    for name, satisfaction, abandons in [
        ("cascade", np.ones(5), 0.0),
        ("dbn", 0.2 + 0.7 * relevance, 0.1),
    ]:
        expected = enumerated(relevance, satisfaction, abandons)
        assert click_probability(relevance, click_model=name) == pytest.approx(expected)


def test_the_first_click_of_a_cascade_ends_the_list_and_nothing_else_does():
    """Craswell et al. 2008: P(click at k) = a_k (1 - a_1) ... (1 - a_k-1), and never a second."""
    relevance = np.tile(RELEVANCE, (20_000, 1))
    curve = np.ones_like(relevance)
    clicks = sample_clicks("cascade", relevance, curve, (0.1, 0.8), np.random.default_rng(1))
    assert clicks.sum(axis=1).max() == 1
    attraction = 0.1 + 0.7 * RELEVANCE
    unclicked = (~clicks.any(axis=1)).mean()
    assert unclicked == pytest.approx(np.prod(1 - attraction), abs=0.01)
    alone = click_probability(RELEVANCE, click_model="cascade", attractiveness=(0.1, 0.8))
    examined = alone / attraction
    assert examined[0] == pytest.approx(1)
    assert examined[1:] == pytest.approx(np.cumprod(1 - attraction)[:-1])


@pytest.mark.parametrize("model", CLICK_MODELS)
def test_sampled_frequencies_match_the_closed_form(model):
    n = 40_000
    relevance = np.tile(RELEVANCE, (n, 1))
    curve = np.tile(true_examination(len(RELEVANCE)), (n, 1))
    clicks = sample_clicks(model, relevance, curve, (0.1, 1.0), np.random.default_rng(3))
    expected = click_probability(RELEVANCE, click_model=model)
    error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(clicks.mean(axis=0) - expected) <= 4.5 * error).all()


def test_dbn_goes_on_after_a_satisfying_click_in_one_case_of_ten():
    """With relevance 1 a click ends the list with 0.2 + 0.7: clicks after a click are rarer."""
    n = 20_000
    relevance, curve = np.ones((n, 2)), np.ones((n, 2))
    clicks = sample_clicks("dbn", relevance, curve, (0.1, 1.0), np.random.default_rng(0))
    assert clicks[:, 0].all()
    assert clicks[:, 1].mean() == pytest.approx(0.1 * 0.9, abs=0.01)


@pytest.mark.parametrize("model", CLICK_MODELS)
def test_nothing_is_clicked_beyond_the_end_of_a_short_list(model):
    relevance = np.ones((500, 6))
    relevance[:, 4:] = np.nan
    curve = np.ones((500, 6))
    clicks = sample_clicks(model, relevance, curve, (0.1, 1.0), np.random.default_rng(0))
    assert clicks[:, :4].any()
    assert not clicks[:, 4:].any()
    probability = click_probability(relevance, click_model=model)
    assert np.isnan(probability[:, 4:]).all()
    assert not np.isnan(probability[:, :4]).any()


def test_last_clicks_the_last_shown_document_alone():
    relevance = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, np.nan]])
    probability = click_probability(relevance, click_model="last")
    assert np.nan_to_num(probability).tolist() == [[0, 0, 0.5], [0, 0.5, 0]]


def test_a_function_as_click_model_gets_curves_and_is_masked_to_the_list():
    arguments = {}

    def everything(relevance, examination, rng):
        arguments["examination"] = examination
        assert isinstance(rng, np.random.Generator)
        return np.ones(relevance.shape, dtype=bool)

    relevance = np.array([[0.0, 1.0, np.nan]])
    curve = np.array([[1.0, 0.5, 0.25]])
    clicks = sample_clicks(everything, relevance, curve, (0.1, 1.0), np.random.default_rng(0))
    assert clicks.tolist() == [[True, True, False]]
    assert arguments["examination"].tolist() == curve.tolist()


def test_a_function_that_returns_something_else_is_refused():
    with pytest.raises(InvalidInputError, match="booleans of shape"):
        sample_clicks(
            lambda r, _e, _rng: r,
            np.ones((1, 2)),
            np.ones((1, 2)),
            (0.1, 1),
            np.random.default_rng(),
        )


def test_unknown_click_model_is_refused_with_a_hint():
    with pytest.raises(InvalidInputError, match="Did you mean 'cascade'"):
        click_probability([1.0], click_model="cascad")


@pytest.mark.parametrize("bounds", [(0.5, 0.1), (-0.1, 1.0), (0.1, 1.1)])
def test_impossible_attractiveness_is_refused(bounds):
    with pytest.raises(InvalidInputError, match="attractiveness"):
        click_probability([1.0], attractiveness=bounds)
