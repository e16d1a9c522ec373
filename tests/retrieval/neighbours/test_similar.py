"""SimilarItems and SimilarUsers against dense linear algebra and scikit-learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestNeighbors

from rankloom.errors import InvalidInputError
from rankloom.retrieval import EngagementMatrix, SimilarItems, SimilarUsers


def bm25_of(rows, k1=1.2, b=0.75):
    n, count = (rows > 0).any(axis=1).sum(), (rows > 0).sum(axis=0)
    idf = np.log(1 + (n - count + 0.5) / (count + 0.5))
    length = rows.sum(axis=1, keepdims=True)
    scale = k1 * (1 - b + b * length / (length.sum() / n))
    return idf * rows * (k1 + 1) / np.where(rows > 0, rows + scale, 1)


def similarity_of(rows, method):
    similarity = cosine_similarity(bm25_of(rows) if method == "bm25" else rows)
    np.fill_diagonal(similarity, 0)
    return similarity


def engaged_of(seed, users=30, documents=20):
    rng = np.random.default_rng(seed)
    shape = (users, documents)
    return (rng.random(shape) * (rng.random(shape) < 0.3)).astype(np.float32)


def largest(similarity, k):
    """Only the k largest entries of each row."""
    kept = np.argsort(-similarity, axis=1)[:, :k]
    found = np.zeros_like(similarity)
    np.put_along_axis(found, kept, np.take_along_axis(similarity, kept, axis=1), axis=1)
    return found


def dense_of(ranked, width):
    found = np.zeros(width)
    found[ranked[:, 0].to_numpy()] = ranked["score"].to_numpy()
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from(["cosine", "bm25"]), st.integers(1, 25))
def test_items_are_as_similar_as_their_columns(seed, method, k):
    X = engaged_of(seed)
    model = SimilarItems(method, n_neighbours=k).fit(sparse.csr_matrix(X))
    wanted = largest(similarity_of(X.T.astype(np.float64), method), k)
    np.testing.assert_allclose(model.neighbours_.toarray(), wanted, atol=1e-5)
    scores = X @ wanted
    for user in (0, 7):
        if not X[user].any():
            continue
        np.testing.assert_allclose(
            dense_of(model.recommend(user, 20, filter_seen=False), 20), scores[user], atol=1e-4
        )
        new = np.where(X[user] > 0, 0, scores[user])
        np.testing.assert_allclose(dense_of(model.recommend(user, 20), 20), new, atol=1e-4)
        found = model.recommend(user, 3)["score"].to_list()
        assert found == sorted(found, reverse=True)
        assert len(found) <= 3


@given(st.integers(0, 2**32 - 1), st.sampled_from(["cosine", "bm25"]), st.integers(1, 25))
def test_users_are_as_similar_as_their_rows(seed, method, k):
    X = engaged_of(seed)
    X[0, :3] = 1.0
    model = SimilarUsers(method, n_neighbours=k).fit(sparse.csr_matrix(X))
    wanted = largest(similarity_of(X.astype(np.float64), method), k)
    np.testing.assert_allclose(dense_of(model.similar(0, k), 30), wanted[0], atol=1e-5)
    scores = np.where(X[0] > 0, 0, (wanted @ X)[0])
    np.testing.assert_allclose(dense_of(model.recommend(0, 20), 20), scores, atol=1e-4)


def test_cosine_neighbours_are_those_of_scikit_learn():
    X = sparse.random(300, 80, 0.1, format="csr", dtype=np.float32, rng=np.random.default_rng(3))
    distance, nearest = NearestNeighbors(n_neighbors=6, metric="cosine").fit(X.T).kneighbors()
    model = SimilarItems("cosine", n_neighbours=6).fit(X)
    for document in range(80):
        found = model.similar(document, 6)
        np.testing.assert_allclose(found["score"], 1 - distance[document][: len(found)], atol=1e-5)
        assert set(found["feature_id"].head(3)) <= set(nearest[document])


@pytest.fixture
def named():
    engagement = sparse.csr_matrix(np.array([[2, 1, 0], [1, 1, 1], [0, 0, 0]], np.float32))
    users, documents = pl.Series(["ann", "bob", "cem"]), pl.Series(["a", "b", "7"])
    return EngagementMatrix(engagement, 0 * engagement, users, documents)


@pytest.mark.parametrize("kind", [SimilarItems, SimilarUsers])
def test_ids_are_taken_and_returned(kind, named):
    model = kind("cosine").fit(named)
    assert model.recommend("ann")["feature_id"].to_list() == ["7"]
    assert model.recommend("cem").is_empty()
    assert model.recommend(["a", "unknown"], 1)["feature_id"].to_list() == ["b"]
    assert model.recommend(["a", "b", 7]).is_empty()
    assert model.recommend(["a"], filter_seen=False)["feature_id"].to_list()
    with pytest.raises(InvalidInputError, match="'dan' is unknown"):
        model.recommend("dan")
    with pytest.raises(InvalidInputError, match="at least one that the model knows"):
        model.recommend(["x", "y"])


def test_neighbours_of_named_rows_have_names(named):
    items, users = SimilarItems("cosine").fit(named), SimilarUsers("cosine").fit(named)
    assert items.similar("a")["feature_id"].to_list() == ["b", "7"]
    assert users.similar("bob").columns == ["user_id", "score"]
    assert users.similar("bob")["user_id"].to_list() == ["ann"]
    assert users.similar(["7"], 1)["user_id"].to_list() == ["bob"]


@pytest.mark.parametrize("model", [SimilarItems("ease"), SimilarUsers("bm25", n_neighbours=3)])
def test_models_are_estimators_of_scikit_learn(model, named):
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(InvalidInputError, match="not fitted"):
        copy.recommend("ann")
    assert "not fitted" in copy._repr_html_()
    assert copy.set_params(n_neighbours=2).fit(named) is copy
    assert "not fitted" not in copy._repr_html_()
    assert "documents" in copy._repr_html_()


@pytest.mark.parametrize("kind", [SimilarItems, SimilarUsers])
def test_wrong_input_is_refused(kind, named):
    with pytest.raises(InvalidInputError, match="method: expected one of"):
        kind("cosin").fit(named)
    for name, value in (("n_neighbours", 0), ("k1", 0), ("b", 2), ("memory_limit", -1)):
        with pytest.raises(InvalidInputError, match=name):
            kind(**{name: value}).fit(named)
    with pytest.raises(InvalidInputError, match="memory_limit: .* GB"):
        kind(memory_limit=10).fit(named)
    with pytest.raises(InvalidInputError, match="SciPy sparse matrix"):
        kind().fit(np.eye(3))
    with pytest.raises(InvalidInputError, match="at least one user"):
        kind().fit(sparse.csr_matrix((3, 3)))
    with pytest.raises(InvalidInputError, match="finite values of at least 0"):
        kind().fit(sparse.csr_matrix([[1.0, -1.0]]))
    model = kind().fit(sparse.csr_matrix([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(InvalidInputError, match="numbers are expected"):
        model.recommend("ann")
    with pytest.raises(InvalidInputError, match="expected 0 to 1"):
        model.recommend(2)
    with pytest.raises(InvalidInputError, match="n: expected"):
        model.recommend(0, 0)


def test_a_sparse_matrix_is_not_changed_by_a_fit():
    given_matrix = sparse.coo_matrix(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), (2, 2)).tocsr()
    before = given_matrix.copy()
    model = SimilarItems("cosine").fit(given_matrix)
    assert (given_matrix != before).nnz == 0
    assert given_matrix.nnz == before.nnz
    assert model.interactions_.engagement.nnz == 1


@pytest.mark.parametrize("kind", [SimilarItems, SimilarUsers])
def test_recommendations_of_many_users_are_those_of_each(kind, named):
    model = kind("cosine").fit(named)
    found = model.recommend_all(n=2)
    assert found.columns == ["user_id", "feature_id", "score"]
    for user in ("ann", "bob", "cem"):
        own = found.filter(user_id=user).drop("user_id")
        assert own.equals(model.recommend(user, 2))
    assert model.recommend_all(["ann"]).equals(found.filter(user_id="ann"))
    seen = model.recommend_all(["bob"], filter_seen=False).drop("user_id")
    assert seen.equals(model.recommend("bob", filter_seen=False))
    with pytest.raises(InvalidInputError, match="'dan' is unknown"):
        model.recommend_all(["ann", "dan"])
