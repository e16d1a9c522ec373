"""Expectation-maximisation on counts: every step climbs, and is the one written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.datasets import PBM
from rankloom.datasets.click_models import UBM, TrustPBM, click_counts
from rankloom.datasets.click_models.em_step import EMStep, Parameters

KINDS = [("position", False), ("last_click", False), ("position", True)]
every_kind = pytest.mark.parametrize(("states", "false_clicks"), KINDS)


def start_for(counts, *, false_clicks, seed=0):
    rng = np.random.default_rng(seed)
    false = 0.1 * rng.uniform(size=counts.n_states) if false_clicks else np.zeros(counts.n_states)
    return Parameters(
        rng.uniform(0.2, 0.9, counts.n_states), false, rng.uniform(0.1, 0.9, len(counts))
    )


def objective(counts, here, mean, strength):
    """Log-likelihood plus the prior of the relevances, of which the step takes the mode."""
    r = here.relevance[counts.document]
    chance = here.relevant[counts.state] * r + here.irrelevant[counts.state] * (1 - r)
    missed = counts.shown - counts.clicks
    fit = counts.clicks @ np.log(chance) + missed @ np.log1p(-chance)
    prior = mean * np.log(here.relevance) + (1 - mean) * np.log1p(-here.relevance)
    return fit + strength * prior.sum()


@every_kind
@pytest.mark.parametrize("strength", [0.0, 5.0])
def test_no_step_goes_down(simulated, states, false_clicks, strength):
    counts = click_counts(simulated(1500), states)
    em = EMStep(counts, np.ones(len(counts)), 0.3, strength, 0.0, false_clicks)
    here = start_for(counts, false_clicks=false_clicks)
    values = [objective(counts, here, 0.3, strength)]
    for _ in range(30):
        here = em.step(here)
        values.append(objective(counts, here, 0.3, strength))
    assert (np.diff(values) > -1e-6 * abs(values[0])).all()
    assert values[-1] > values[0] + 10


@every_kind
def test_a_step_is_the_one_written_out(simulated, states, false_clicks):
    counts = click_counts(simulated(300), states)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(counts))
    old = start_for(counts, false_clicks=false_clicks)
    new = EMStep(counts, weight, 0.3, 4.0, 0.0, false_clicks).step(old)
    r = old.relevance[counts.document]
    p1, p0 = old.relevant[counts.state], old.irrelevant[counts.state]
    missed = counts.shown - counts.clicks
    if_clicked = p1 * r / (p1 * r + p0 * (1 - r))
    if_missed = (1 - p1) * r / ((1 - p1) * r + (1 - p0) * (1 - r))
    relevant = counts.clicks * if_clicked + missed * if_missed
    expected = (counts.by_document(relevant) + 0.3 * 4) / (counts.by_document(counts.shown) + 4)
    np.testing.assert_allclose(new.relevance, expected, rtol=1e-10)
    w = weight[counts.document]
    occurring = counts.by_state(counts.shown) > 0
    hits, shown = counts.by_state(w * counts.clicks * if_clicked), counts.by_state(w * relevant)
    np.testing.assert_allclose(
        new.relevant[occurring], (hits / shown)[occurring], rtol=1e-10, atol=2e-6
    )
    if false_clicks:
        hits = counts.by_state(w * counts.clicks * (1 - if_clicked))
        shown = counts.by_state(w * (counts.shown - relevant))
        np.testing.assert_allclose(new.irrelevant, hits / shown, rtol=1e-10, atol=2e-6)


def test_acceleration_ends_where_plain_steps_end(simulated):
    counts = click_counts(simulated(3000))
    fitted = PBM(prior_mean=0.3, prior_strength=5.0, tolerance=1e-9, max_iterations=3000)
    fitted.fit(counts)
    em = EMStep(counts, np.ones(len(counts)), 0.3, 5.0, 0.0, false_clicks=False)
    here = start_for(counts, false_clicks=False)
    for _ in range(4000):
        here = em.step(here)
    np.testing.assert_allclose(fitted.theta_, here.relevant, rtol=1e-3)
    np.testing.assert_allclose(fitted.relevance_, here.relevance, atol=1e-3)


@pytest.mark.parametrize("model_class", [PBM, UBM, TrustPBM])
def test_counts_of_another_kind_are_refused(simulated, model_class):
    other = "position" if model_class is UBM else "last_click"
    with pytest.raises(ValueError, match="needs click_counts"):
        model_class().fit(click_counts(simulated(50), other))


@pytest.mark.parametrize("model_class", [PBM, UBM, TrustPBM])
def test_fitting_counts_is_fitting_their_rows(simulated, model_class):
    pairs = simulated(500)
    by_rows = model_class().fit(pairs)
    by_counts = model_class().fit(click_counts(pairs, model_class.states))
    np.testing.assert_array_equal(by_rows.relevance_, by_counts.relevance_)


def test_identifiable_means_that_positions_are_tied(pairs_of, swapped_lists):
    assert PBM().fit(swapped_lists(20, (5, 5, 5, 5))).identifiable_
    rng = np.random.default_rng(0)
    fixed = pairs_of(np.zeros(50), [[0, 1]] * 50, rng.random((50, 2)) < 0.5)
    assert not PBM().fit(fixed).identifiable_
