"""Recommendations judged on later engagement, against ir_measures and by hand."""

from __future__ import annotations

import ir_measures
import numpy as np
import polars as pl
import pytest
from scipy import sparse, stats

from rankloom.errors import InvalidInputError
from rankloom.retrieval import EngagementMatrix, SimilarItems, SimilarUsers

K = 5


@pytest.fixture
def parts():
    rng = np.random.default_rng(5)
    return [sparse.csr_matrix((rng.random((60, 40)) < 0.1).astype(np.float32)) for _ in range(2)]


@pytest.mark.parametrize("kind", [SimilarItems, SimilarUsers])
def test_metrics_are_those_of_ir_measures(kind, parts):
    earlier, later = parts
    model = kind("cosine").fit(earlier)
    report = model.evaluate(later, k=K)
    new = later.toarray() * (earlier.toarray() == 0)
    users = np.flatnonzero(new.any(axis=1))
    assert report.users == len(users)
    assert report.users_without_new == 60 - len(users)
    relevant = {str(u): {str(d): 1 for d in np.flatnonzero(new[u])} for u in users}
    runs = {str(u): {str(d): s for d, s in model.recommend(int(u), K).rows()} for u in users}
    wanted = dict.fromkeys(runs, 0.0)
    for found in ir_measures.iter_calc([ir_measures.nDCG @ K], relevant, runs):
        wanted[found.query_id] = found.value
    assert report.ndcg.mean == pytest.approx(np.mean(list(wanted.values())))
    hits = [len(runs[u].keys() & relevant[u]) / min(K, len(relevant[u])) for u in runs]
    assert report.recall.mean == pytest.approx(np.mean(hits))
    limits = stats.t.interval(0.95, len(hits) - 1, np.mean(hits), stats.sem(hits))
    assert report.recall[1:] == pytest.approx(limits)
    assert f"recall@{K}" in str(report)
    assert report.to_dict()["ndcg"]["mean"] == report.ndcg.mean


def test_gains_are_the_confidence_of_later_engagement_unless_binary():
    earlier = sparse.csr_matrix([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    # Of documents 2 and 3, which tie, 2 is recommended first.
    later = sparse.csr_matrix([[0, 0, 0, 0], [9, 0, 1, 3], [0, 0, 0, 0]])
    model = SimilarItems("cosine").fit(earlier)
    report = model.evaluate(later, k=1)
    assert report.recall.mean == pytest.approx(1 / 3)
    assert report.ndcg.mean == pytest.approx(1 / 3)
    assert model.evaluate(later, k=1, binary=True).recall.mean == 1
    assert model.evaluate(later, k=2).ndcg.mean == pytest.approx(
        (1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3))
    )
    assert np.isnan(report.recall.low)


def test_users_and_documents_are_matched_by_id():
    def matrix(entries, users, documents):
        engagement = sparse.csr_matrix(np.array(entries, np.float32))
        return EngagementMatrix(engagement, 0 * engagement, pl.Series(users), pl.Series(documents))

    earlier = matrix([[1, 1, 1], [0, 1, 0]], ["ann", "bob"], ["a", "b", "c"])
    later = matrix([[0, 0, 1, 1], [1, 0, 0, 0]], ["bob", "dan"], ["0", "b", "c", "new"])
    report = SimilarItems("cosine").fit(earlier).evaluate(later, k=2)
    assert (report.users, report.users_unknown, report.users_without_new) == (1, 1, 0)
    assert report.recall.mean == 1
    model = SimilarItems("cosine").fit(earlier)
    with pytest.raises(InvalidInputError, match="EngagementMatrix where"):
        model.evaluate(earlier.engagement)
    with pytest.raises(InvalidInputError, match="no user engaged"):
        model.evaluate(earlier)


def test_wrong_input_is_refused(parts):
    model = SimilarItems().fit(parts[0])
    with pytest.raises(InvalidInputError, match="shape"):
        model.evaluate(parts[1][:5])
    with pytest.raises(InvalidInputError, match="k: expected"):
        model.evaluate(parts[1], k=0)
    with pytest.raises(InvalidInputError, match="confidence"):
        model.evaluate(parts[1], confidence=1)
