"""Effects of executions on labels: those of the time of day, not those of single documents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.ltr import Ranker, ndcg
from rankloom.ltr.debias.execution_effects import execution_effects, without_execution_effects
from rankloom.ltr.exposure.feature_variants import feature_variants


@pytest.fixture(scope="module")
def log(make_pairs):
    """Pairs whose last feature differs in every row, so that rows are variants."""
    pairs = make_pairs(400, queries=10)
    X = pairs.X.copy()
    X[:, -1] = np.random.default_rng(0).permutation(len(X))
    return replace(pairs, X=X)


def of_variants(variants, rows):
    """Values of variants by those of rows: every row is a variant."""
    return rows[variants.row]


def test_effects_of_executions_are_recovered(log):
    generator = np.random.default_rng(1)
    variants = feature_variants(log)
    effect = generator.normal(0, 1, log.n_executions)[log.execution_index]
    document = generator.normal(0, 3, len(variants.documents))[variants.documents.of_row]
    noise = generator.normal(0, 0.1, len(log))
    found = execution_effects(
        variants, log.execution_index, of_variants(variants, document + effect + noise)
    )
    # A constant of each query cannot be separated from its documents.
    query = log.query_code[log.execution_index][variants.row]
    error = found - of_variants(variants, effect)
    error -= (np.bincount(query, error) / np.bincount(query))[query]
    assert np.abs(error).max() < 0.2
    labels = np.exp(of_variants(variants, document + effect))
    corrected = np.log(without_execution_effects(variants, log.execution_index, labels))
    left = corrected - of_variants(variants, document)
    left -= (np.bincount(query, left) / np.bincount(query))[query]
    assert np.abs(left).max() < 0.1


def test_what_differs_between_documents_is_not_taken_for_an_effect(log):
    """Means over ten documents vary by chance: they are shrunk to 0."""
    variants = feature_variants(log)
    values = np.random.default_rng(1).normal(size=len(variants))
    found = execution_effects(variants, log.execution_index, values)
    assert np.abs(found).max() < 0.25
    assert np.corrcoef(values - found, values)[0, 1] > 0.99


def test_documents_of_one_execution_have_no_effect(make_pairs):
    pairs = make_pairs(300, queries=300)
    once = pairs.take(np.unique(pairs.query_code, return_index=True)[1])
    variants = feature_variants(once)
    values = np.random.default_rng(1).normal(size=len(variants))
    np.testing.assert_allclose(execution_effects(variants, once.execution_index, values), 0)


@pytest.mark.parametrize("debias", ["auto", "click_model", "ips"])
def test_a_feature_of_the_execution_does_not_change_the_order(make_pairs, debias):
    """Half of the users click four times as often; the feature says which ones."""
    pairs = make_pairs(2500)
    generator = np.random.default_rng(0)
    eager = generator.random(pairs.n_executions) < 0.5
    clicked = pairs.clicked & (eager[pairs.execution_index] | (generator.random(len(pairs)) < 0.25))
    thinned = replace(pairs, clicked=clicked, y=clicked.astype(np.float32))
    eagerness = eager[pairs.execution_index].astype(np.float32)[:, None]
    informed = replace(
        thinned,
        X=np.ascontiguousarray(np.hstack([pairs.X, eagerness])),
        feature_names=(*pairs.feature_names, "eager"),
    )
    judged = make_pairs(200, judged=True, random_state=5, shuffled=True)
    options = {"n_jobs": 1, "n_estimators": 50, "examination": 1 / np.arange(1, 11)}
    found = []
    for log in (thinned, informed):
        X = judged.X if log is thinned else np.column_stack([judged.X, np.ones(len(judged))])
        scores = Ranker(debias, **options).fit(log).predict(X)
        found.append(np.nanmean(ndcg(judged.y, scores, judged.group)))
    assert found[1] > found[0] - 0.01
