"""Rows to train on where the features of a document differ between executions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.ltr import Ranker
from rankloom.ltr.debias.training_rows import MAX_VARIANTS, variant_lists
from rankloom.ltr.exposure.feature_variants import feature_variants

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 60, "min_data_in_leaf": 20, "learning_rate": 0.1}


def test_every_list_has_each_document_of_a_query_at_most_once(personal):
    variants = feature_variants(personal(300, 0)[0])
    lists = variant_lists(variants, seed=0)
    starts = np.cumsum(lists.group) - lists.group
    query, document = variants.query[lists.variant], variants.document[lists.variant]
    number = np.repeat(np.arange(len(lists.group)), lists.group)
    np.testing.assert_array_equal(query, query[starts][number])
    assert len(np.unique(np.column_stack([number, document]), axis=0)) == len(document)
    count, of_query = np.bincount(variants.document), variants.documents.query
    mean = np.ceil(np.bincount(of_query, count) / np.bincount(of_query))
    np.testing.assert_array_equal(np.bincount(query[starts]), np.minimum(mean, MAX_VARIANTS))
    used = np.bincount(variants.document[np.unique(lists.variant)])
    np.testing.assert_array_equal(used, np.minimum(count, mean[of_query]))


def test_documents_with_one_variant_make_one_list_a_query(pairs):
    variants = feature_variants(pairs)
    lists = variant_lists(variants, seed=0)
    np.testing.assert_array_equal(lists.variant, np.arange(len(variants)))
    np.testing.assert_array_equal(lists.group, variants.documents.group)


def quality(pairs, wanted, scores):
    """Mean NDCG with the probability of a click as the gain."""
    shape = (pairs.n_executions, 10)
    discount = 1 / np.log2(np.arange(2, 12))
    order = np.argsort(-scores.reshape(shape), axis=1)
    gain = np.take_along_axis(wanted.reshape(shape), order, axis=1)
    ideal = -np.sort(-wanted.reshape(shape), axis=1)
    return float((gain @ discount / (ideal @ discount)).mean())


@pytest.fixture(scope="module")
def logs(personal):
    """Pairs to train on; later ones with the probability of a click on each document."""
    return personal(2500, 1)[0], personal(500, 2)


@pytest.fixture(scope="module")
def auto(logs):
    return Ranker("auto", examination=CURVE, **FAST).fit(logs[0])


@pytest.mark.slow
def test_features_that_differ_between_executions_are_learnt_in_every_mode(logs, auto):
    training, later = logs
    found = {"auto": quality(*later, auto.predict(later[0].X))}
    for debias in ("none", "position", "pairwise", "ips", "click_model"):
        ranker = Ranker(debias, examination=CURVE, **FAST).fit(training)
        found[debias] = quality(*later, ranker.predict(later[0].X))
    without = training.X.copy()
    without[:, -1] = 0
    blind = Ranker("auto", examination=CURVE, **FAST).fit(replace(training, X=without))
    assert min(found.values()) > quality(*later, blind.predict(later[0].X)) + 0.05
    assert found["auto"] > max(found.values()) - 0.005


def test_priors_of_large_logs_are_fitted_to_some_of_their_rows(logs, auto, monkeypatch):
    training, later = logs
    monkeypatch.setattr("rankloom.ltr.debias.auto.MAX_PRIOR_ROWS", 8000)
    some = Ranker("auto", examination=CURVE, **FAST).fit(training)
    assert (some.predict(later[0].X) != auto.predict(later[0].X)).any()
    expected = quality(*later, auto.predict(later[0].X))
    assert quality(*later, some.predict(later[0].X)) > expected - 0.01


def test_the_choice_names_the_features_that_differ(personal, pairs):
    ranker = Ranker("auto", examination=CURVE, **FAST).fit(personal(300, 0)[0])
    assert any("interest" in reason for reason in ranker.choice_.reasons)
    plain = Ranker("auto", examination=CURVE, **FAST).fit(pairs)
    assert not any("differ" in reason for reason in plain.choice_.reasons)
