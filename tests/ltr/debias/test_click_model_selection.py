"""Which click model predicts a log best, and whether documents matter for it at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr.debias.choice import ModelEvidence
from rankloom.ltr.debias.click_model_selection import documents_matter, held_out_evidence

CURVE = 1 / np.arange(1.0, 11.0)


def mean_relevance(_, clicks, exposure):
    """A prior that is the same for all documents."""
    mean = clicks.sum() / exposure.sum()
    return lambda other: np.full(len(other), mean)


def evidence(pairs, curve=CURVE, seed=0):
    return held_out_evidence(pairs, curve, mean_relevance, seed)


@pytest.fixture(scope="module")
def simulate():
    catalogue = simulate_catalogue(n_queries=20, random_state=0)

    def simulate(click_model, n_executions=2000):
        log = simulate_interactions(
            catalogue,
            n_executions=n_executions,
            click_model=click_model,
            interactions="clicks",
            random_state=0,
        )
        return load_pairs(log, features=catalogue.drop("query", "grade"), builtin_features=())

    return simulate


def best(found):
    return max(found, key=lambda name: found[name].log_likelihood)


def test_clicks_by_position_are_predicted_best_by_models_of_position(simulate):
    found = evidence(simulate("pbm"))
    assert best(found) in ("pbm", "ubm")
    assert documents_matter(found[best(found)])
    assert found["dbn"].log_likelihood < found[best(found)].log_likelihood - 0.02


def test_clicks_from_the_top_down_are_predicted_best_by_the_dbn(simulate):
    found = evidence(simulate("dbn"))
    assert best(found) == "dbn"
    assert documents_matter(found["dbn"])


def test_documents_do_not_matter_for_random_clicks(simulate):
    found = evidence(simulate("random"), np.ones(10))
    assert not any(map(documents_matter, found.values()))


def test_documents_do_not_matter_for_clicks_by_position_alone(simulate):
    found = evidence(simulate("last"))
    assert not any(map(documents_matter, found.values()))


def test_every_gain_is_over_one_baseline(simulate):
    """Where all clicks are equally likely, the baseline is the entropy of a click."""
    pairs = simulate("random", 400)
    same = evidence(pairs)
    assert {type(found) for found in same.values()} == {ModelEvidence}
    baseline = [found.log_likelihood - found.over_baseline for found in same.values()]
    np.testing.assert_allclose(baseline, baseline[0])
    rate = pairs.clicked.mean()
    entropy = rate * np.log(rate) + (1 - rate) * np.log(1 - rate)
    assert baseline[0] == pytest.approx(10 * entropy, rel=0.05)


def test_the_same_seed_holds_out_the_same_executions(simulate):
    pairs = simulate("pbm", 300)
    assert evidence(pairs) == evidence(pairs)
    assert evidence(pairs) != evidence(pairs, seed=1)


def test_the_pairs_stay_as_they_are(make_pairs):
    pairs, untouched = make_pairs(100), make_pairs(100)
    evidence(pairs)
    for name in ("X", "y", "clicked", "position", "weight"):
        np.testing.assert_array_equal(getattr(pairs, name), getattr(untouched, name))


def test_too_few_executions_give_no_evidence(make_pairs):
    pairs = make_pairs(300)
    assert evidence(pairs.take(np.arange(10))) == {}
    assert evidence(replace(pairs, weight=0 * pairs.weight)) == {}
    all_clicked = np.ones(len(pairs), dtype=bool)
    assert evidence(replace(pairs, clicked=all_clicked)) == {}


def test_documents_without_a_display_are_predicted_by_features(make_pairs):
    """Each query has one execution, so every held-out document is new."""
    world = make_pairs(600, queries=600)
    pairs = world.take(np.unique(world.query_code, return_index=True)[1])

    def fit_true_relevance(*_):
        return lambda other: 1 / (1 + np.exp(1 - np.nan_to_num(other[:, :2]) @ [2.0, 1.4]))

    informed = held_out_evidence(pairs, CURVE, fit_true_relevance, 0)
    assert documents_matter(informed["pbm"])
    assert not documents_matter(evidence(pairs)["pbm"])
