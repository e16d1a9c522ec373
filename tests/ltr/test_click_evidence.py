"""Which click model a log speaks for, and whether it speaks of documents at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr.choice import ModelEvidence
from rankloom.ltr.click_evidence import held_out_evidence, speaks_for_documents

CURVE = 1 / np.arange(1.0, 11.0)


def mean_relevance(_, clicks, exposure):
    """Stand in for what features say: the same of all documents."""
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


def test_clicks_by_position_speak_for_models_of_position(simulate):
    found = evidence(simulate("pbm"))
    assert best(found) in ("pbm", "ubm")
    assert speaks_for_documents(found[best(found)])
    assert found["dbn"].log_likelihood < found[best(found)].log_likelihood - 0.02


def test_clicks_from_the_top_down_speak_for_the_dbn(simulate):
    found = evidence(simulate("cascade"))
    assert best(found) == "dbn"
    assert speaks_for_documents(found["dbn"])


def test_random_clicks_speak_of_no_document(simulate):
    found = evidence(simulate("random"), np.ones(10))
    assert not any(map(speaks_for_documents, found.values()))


def test_clicks_that_the_position_explains_speak_of_no_document(simulate):
    found = evidence(simulate("last"))
    assert not any(map(speaks_for_documents, found.values()))


def test_every_gain_is_over_one_blind_account(simulate):
    """Of clicks that are all alike, the blind account is the entropy of a click."""
    pairs = simulate("random", 400)
    same = evidence(pairs)
    assert {type(found) for found in same.values()} == {ModelEvidence}
    blind = {found.log_likelihood - found.over_best_blind for found in same.values()}
    np.testing.assert_allclose(list(blind), next(iter(blind)))
    rate = pairs.clicked.mean()
    entropy = rate * np.log(rate) + (1 - rate) * np.log(1 - rate)
    assert next(iter(blind)) == pytest.approx(10 * entropy, rel=0.05)


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


def test_documents_that_were_never_seen_are_foretold_by_features(make_pairs):
    """Each query is asked once, so every held-out document is new."""
    world = make_pairs(600, queries=600)
    pairs = world.take(np.unique(world.query_code, return_index=True)[1])

    def told(*_):
        return lambda other: 1 / (1 + np.exp(1 - np.nan_to_num(other[:, :2]) @ [2.0, 1.4]))

    knowing = held_out_evidence(pairs, CURVE, told, 0)
    assert speaks_for_documents(knowing["pbm"])
    assert not speaks_for_documents(evidence(pairs)["pbm"])
