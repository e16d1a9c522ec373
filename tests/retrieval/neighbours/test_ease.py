"""EASE against the regressions that it stands for, and against the published closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from rankloom.errors import InvalidInputError
from rankloom.retrieval import SimilarItems


@pytest.fixture
def engaged():
    rng = np.random.default_rng(2)
    return sparse.random(200, 30, 0.2, format="csr", dtype=np.float32, rng=rng)


def test_weights_are_those_of_ridge_regressions_of_each_document_on_the_others(engaged):
    model = SimilarItems("ease", n_neighbours=29, regularization=0.5).fit(engaged)
    weights = model.neighbours_.toarray()
    X = engaged.toarray().astype(np.float64)
    penalty = 0.5 * (X**2).sum(axis=0).mean()
    for document in (0, 7, 29):
        others = np.delete(np.arange(30), document)
        ridge = Ridge(penalty, fit_intercept=False).fit(X[:, others], X[:, document])
        np.testing.assert_allclose(weights[others, document], ridge.coef_, atol=1e-6)
        assert weights[document, document] == 0


def test_neighbours_are_those_whose_weight_is_furthest_from_0(engaged):
    every = SimilarItems("ease", n_neighbours=29).fit(engaged).neighbours_.toarray()
    some = SimilarItems("ease", n_neighbours=5).fit(engaged).neighbours_
    assert (np.diff(some.indptr) == 5).all()
    for row, weights in enumerate(every):
        largest = np.argsort(-np.abs(weights))[:5]
        assert set(some[[row]].indices) == set(largest)
        assert (np.diff(some[[row]].data) <= 0).all()


def test_similar_returns_positive_weights_only_and_blocks_join(engaged):
    wide = sparse.hstack([engaged] * 40, format="csr")  # 1,200 documents: more than two blocks
    model = SimilarItems("ease", n_neighbours=10).fit(wide)
    X = wide.toarray().astype(np.float64)
    gram = X.T @ X
    inverse = np.linalg.inv(gram + 3 * np.trace(gram) / 1200 * np.eye(1200))
    weights = -inverse / np.diag(inverse)
    found = model.similar(1199, 5)
    assert (found["score"] > 0).all()
    ids = found["feature_id"].to_numpy()
    np.testing.assert_allclose(found["score"], weights[1199, ids], rtol=1e-4)


def test_too_many_documents_are_refused_with_the_memory_they_take(engaged):
    with pytest.raises(InvalidInputError, match=r"takes about 0\.00 GB.*Raise the limit"):
        SimilarItems("ease", memory_limit=1000).fit(engaged)
    many = sparse.csr_matrix(([1.0], ([0], [0])), (1, 50_000))
    with pytest.raises(InvalidInputError, match=r"50,000 documents takes about 20\.\d+ GB"):
        SimilarItems("ease").fit(many)
