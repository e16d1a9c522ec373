"""A ranker learns from mapped pairs what it learns from the same pairs in memory, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.datasets.pairs import row_blocks
from rankloom.datasets.pairs.array_storage import is_mapped
from rankloom.ltr import Ranker

MODES = ("ips", "click_model", "auto")


@pytest.fixture(scope="module")
def log():
    """Return what `load_pairs` takes: a log, features of documents, recency weights."""
    catalogue = simulate_catalogue(n_queries=15, n_documents=12, n_features=3, random_state=0)
    return {
        "source": simulate_interactions(catalogue, n_executions=1500, random_state=0),
        "features": catalogue.drop("query", "grade"),
        "half_life": 30.0,
    }


def model_of(pairs, mode):
    ranker = Ranker(mode, n_estimators=15, n_jobs=1, random_state=0).fit(pairs)
    return ranker.booster_.model_to_string(), ranker.training_report_, ranker.examination_


@pytest.mark.slow
@pytest.mark.parametrize(
    "builtin", [(), ("document_score", "feature_uri")], ids=["same", "varying"]
)
@pytest.mark.parametrize("mode", MODES)
def test_the_model_of_mapped_pairs_is_that_of_pairs_in_memory(
    log, mode, builtin, tmp_path, monkeypatch
):
    model, report, curve = model_of(load_pairs(**log, builtin_features=builtin), mode)
    monkeypatch.setattr(row_blocks, "ROWS", 1000)
    mapped = load_pairs(**log, builtin_features=builtin, memory_limit="1GB", workdir=tmp_path)
    assert is_mapped(mapped.y)
    own, own_report, own_curve = model_of(mapped, mode)
    assert own == model
    assert own_report == report
    np.testing.assert_array_equal(own_curve, curve)


def test_changes_of_mapped_pairs_are_learnt_from(log, tmp_path):
    whole, mapped = load_pairs(**log), load_pairs(**log, memory_limit="1GB", workdir=tmp_path)
    for pairs in (whole, mapped):
        pairs.y[pairs.clicked] += 1
        pairs.X[:, 0] *= -1
    assert model_of(mapped, "ips")[0] == model_of(whole, "ips")[0]
