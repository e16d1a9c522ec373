"""Similarity within the strongest directions, against the dense singular vectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from rankloom.errors import InvalidInputError
from rankloom.retrieval import SimilarItems
from rankloom.retrieval.neighbours.weighting import RowWeighting


def dense_weights(X, rank):
    vectors = RowWeighting.bm25(sparse.csr_matrix(X.T), 1.2, 0.75).vectors(sparse.csr_matrix(X.T))
    directions = np.linalg.svd(vectors.toarray().astype(np.float64))[0][:, :rank]
    users = np.sqrt(np.maximum((X > 0).sum(axis=0), 1))
    weights = directions @ directions.T * users / users[:, None]
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("shape", [(80, 30), (25, 60)])
def test_weights_are_those_of_dense_singular_vectors(shape):
    rng = np.random.default_rng(7)
    engaged = sparse.random(*shape, 0.2, format="csr", dtype=np.float32, rng=rng)
    engaged.data[engaged.indices == 3] = 0  # nobody engages with it
    engaged.eliminate_zeros()
    model = SimilarItems("low_rank", rank=6, n_neighbours=shape[1] - 1).fit(engaged)
    wanted = dense_weights(engaged.toarray().astype(np.float64), 6)
    np.testing.assert_allclose(model.neighbours_.toarray(), wanted, atol=1e-5)
    again = SimilarItems("low_rank", rank=6, n_neighbours=shape[1] - 1).fit(engaged)
    assert (model.neighbours_ != again.neighbours_).nnz == 0


def test_clusters_are_found_though_single_documents_share_few_users():
    rng = np.random.default_rng(8)
    taste, cluster = rng.integers(4, size=400), np.repeat(np.arange(4), 50)
    engages = np.where(taste[:, None] == cluster, 0.08, 0.01)
    engaged = sparse.csr_matrix(rng.random(engages.shape) < engages, dtype=np.float32)
    same = {}
    for method in ("cosine", "low_rank"):
        model = SimilarItems(method, rank=4, n_neighbours=20).fit(engaged)
        entries = model.neighbours_.tocoo()
        kept = entries.data > 0
        same[method] = (cluster[entries.row] == cluster[entries.col])[kept].mean()
    assert same["low_rank"] > 0.95
    assert same["low_rank"] > same["cosine"] + 0.1


def test_a_rank_beyond_the_matrix_and_too_much_memory_are_refused():
    engaged = sparse.csr_matrix(np.eye(5, 8))
    with pytest.raises(InvalidInputError, match="rank: expected a whole number from 1 to 4"):
        SimilarItems("low_rank", rank=5).fit(engaged)
    with pytest.raises(InvalidInputError, match="a lower rank"):
        SimilarItems("low_rank", rank=2, memory_limit=1000).fit(engaged)
