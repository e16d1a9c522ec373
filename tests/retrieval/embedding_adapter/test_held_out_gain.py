"""The gain on held-out queries: by hand, unbiased, and with an interval that covers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.retrieval.embedding_adapter.held_out_gain import (
    HeldOutDocuments,
    held_out_documents,
    held_out_gain,
)

lists = st.lists(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1_000)), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


@given(lists=lists, k=st.integers(1, 7))
def test_dcg_is_that_of_the_definition(lists, k):
    query = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
    relevance, score = (np.array([row[i] for each in lists for row in each], float) for i in (0, 1))
    score += np.arange(len(score)) * 1e-4  # no ties
    found = HeldOutDocuments(query, relevance).dcg(score, k)
    for i in range(len(lists)):
        ordered = relevance[query == i][np.argsort(-score[query == i])][:k]
        assert found[i] == pytest.approx((ordered / np.log2(np.arange(len(ordered)) + 2)).sum())


def test_a_document_examined_rarely_counts_for_ten_clicks_at_most():
    documents = held_out_documents(np.zeros(2, int), np.array([1.0, 1.0]), np.array([0.5, 0.01]))
    np.testing.assert_allclose(documents.relevance, [2, 10])


def test_the_gain_is_unbiased_and_its_interval_covers():
    """Clicks by the position-based model; the truth is the gain by relevance itself."""
    rng = np.random.default_rng(0)
    n, size = 80, 6
    relevance = rng.uniform(0, 0.8, (n, size))
    query = np.repeat(np.arange(n), size)
    baseline = rng.normal(size=n * size)
    adapted = baseline + relevance.ravel()
    truth = held_out_gain(HeldOutDocuments(query, relevance.ravel()), baseline, adapted, 3, 0.9)
    gains, covered = [], []
    examination = rng.choice([1.0, 0.5, 0.25], (n, size))
    for _ in range(200):
        clicks = rng.binomial(8, examination * relevance)
        documents = held_out_documents(query, clicks.ravel(), 8 * examination.ravel())
        found = held_out_gain(documents, baseline, adapted, 3, 0.9)
        gains.append(found.gain)
        covered.append(found.interval[0] <= truth.gain <= found.interval[1])
    error = np.std(gains) / np.sqrt(len(gains))
    assert np.mean(gains) == pytest.approx(truth.gain, abs=4 * error)
    # The interval also covers the draw of queries, which are the same here: it covers more.
    assert np.mean(covered) > 0.88
    assert found.passed


def test_too_few_queries_never_pass():
    nothing = held_out_gain(
        HeldOutDocuments(np.empty(0, int), np.empty(0)), *2 * [np.empty(0)], 10, 0.95
    )
    assert (nothing.queries, nothing.gain, nothing.passed) == (0, 0.0, False)
    one = HeldOutDocuments(np.zeros(2, int), np.array([0.0, 1.0]))
    found = held_out_gain(one, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 10, 0.95)
    assert found.gain == pytest.approx(1 - 1 / np.log2(3))
    assert not found.passed
    assert found.to_dict()["lower"] is None
