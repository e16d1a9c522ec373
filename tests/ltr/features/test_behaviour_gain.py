"""What features of past behaviour brought is in a ranker's report."""

from __future__ import annotations

import pytest

from rankloom.datasets import (
    behaviour_features,
    load_pairs,
    simulate_catalogue,
    simulate_interactions,
)
from rankloom.ltr import Ranker


def test_the_report_names_the_share_of_gain_by_level(tmp_path):
    documents = simulate_catalogue(n_queries=10, n_documents=12, random_state=0)
    log = simulate_interactions(documents, n_executions=600, days=20, random_state=0)
    table = behaviour_features(log, windows=["7d"], examination=[1, 0.5, 0.3])
    with_own = table.join(documents.drop("query", "grade"), on="feature_id", how="left")
    ranker = Ranker("none", n_estimators=10, n_jobs=1).fit(load_pairs(log, features=with_own))
    shares = ranker.training_report_["behaviour_gain"]
    assert list(shares) == ["document", "query_document", "user_document"]
    gains = ranker.feature_importances()
    total = sum(gains.values())
    for level, share in shares.items():
        of_level = [g for name, g in gains.items() if name.startswith(f"behaviour_{level}_")]
        assert share == pytest.approx(sum(of_level) / total)
    assert 0 < sum(shares.values()) < 1
    ranker.save(tmp_path / "model")
    assert Ranker.load(tmp_path / "model").training_report_["behaviour_gain"] == shares


def test_without_such_features_it_is_empty():
    documents = simulate_catalogue(n_queries=10, random_state=0)
    log = simulate_interactions(documents, n_executions=300, random_state=0)
    ranker = Ranker("none", n_estimators=5, n_jobs=1).fit(load_pairs(log))
    assert ranker.training_report_["behaviour_gain"] == {}
