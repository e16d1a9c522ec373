"""The pairwise loss: its gradient, its minimum against scikit-learn's, its scale."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from rankloom.retrieval.embedding_adapter import bilinear as module
from rankloom.retrieval.embedding_adapter.bilinear import (
    PairwiseLoss,
    Solution,
    TripletVectors,
    fit_map,
)

D = 5


def made(n=60, seed=0, *, zero_base=False):
    """Return random triplets; with `zero_base` the identity gives every margin 0."""
    rng = np.random.default_rng(seed)
    queries, documents = rng.normal(size=(12, D)), rng.normal(size=(20, D))
    if zero_base:
        queries[:, 2:], documents[:, :2] = 0, 0
    positive = rng.integers(0, 20, n)
    return TripletVectors(
        queries.astype(np.float32),
        documents.astype(np.float32),
        rng.integers(0, 12, n),
        positive,
        (positive + rng.integers(1, 20, n)) % 20,
        rng.uniform(0.5, 1, n),
    )


def test_the_gradient_is_that_of_the_loss(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)  # several blocks
    triplets = made()
    loss = PairwiseLoss(triplets, triplets.scale)
    flat = np.random.default_rng(1).normal(size=D * D + 1)

    def value(flat):
        return loss.value(Solution(flat[0], flat[1:].reshape(D, D)))

    def gradient(flat):
        found = loss.value_and_gradient(Solution(flat[0], flat[1:].reshape(D, D)))[1]
        return np.append(found.a, found.b.ravel())

    numeric = optimize.approx_fprime(flat, value, 1e-2)
    np.testing.assert_allclose(gradient(flat), numeric, rtol=0.05, atol=2e-3)


def test_margins_and_scale_are_those_of_their_definition():
    triplets = made()
    q = triplets.queries[triplets.query]
    difference = triplets.documents[triplets.positive] - triplets.documents[triplets.negative]
    margins = (q * difference).sum(axis=1)
    np.testing.assert_allclose(triplets.margins(triplets.queries), margins, atol=1e-5)
    t, s = triplets.scale
    assert t == pytest.approx(1 / margins.std(), rel=1e-4)
    lengths = (q**2).sum(axis=1) * (difference**2).sum(axis=1)
    assert s**2 == pytest.approx(lengths.mean(), rel=1e-4)


def test_the_minimum_is_that_of_logistic_regression_on_products():
    """Where the identity gives every margin 0, the model is a logistic regression on q (p - n)'."""
    triplets, ridge = made(zero_base=True), 1e-2
    loss = PairwiseLoss(triplets, triplets.scale)
    found = fit_map(loss, ridge, None)
    q = triplets.queries[triplets.query]
    difference = triplets.documents[triplets.positive] - triplets.documents[triplets.negative]
    products = np.einsum("ni,nj->nij", q, difference).reshape(len(q), -1) / loss.scale[1]
    weight = triplets.weight / triplets.weight.sum()
    model = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-8, max_iter=1_000)
    both = np.vstack([products, -products])
    label = np.repeat([1, 0], len(q))
    model.fit(both, label, sample_weight=np.tile(weight / 2, 2))
    np.testing.assert_allclose(found.b.ravel(), model.coef_.ravel(), atol=0.02)


def test_a_rank_bounds_the_map_and_a_higher_one_fits_better():
    triplets = made(200)
    loss = PairwiseLoss(triplets, triplets.scale)
    low = fit_map(loss, 1e-3, 1).b
    assert np.linalg.matrix_rank(low, tol=1e-6) == 1
    losses = [loss.value(fit_map(loss, 1e-4, rank)) for rank in (1, 2, D)]
    assert losses[0] > losses[1] > losses[2]
    # Warm starts from 0, the saddle point, move on.
    stuck = Solution(1.0, np.full((D, D), 1e-9))
    assert loss.value(fit_map(loss, 1e-3, 1, stuck)) == pytest.approx(
        loss.value(Solution(fit_map(loss, 1e-3, 1).a, low)), rel=1e-3
    )


def test_an_infinite_ridge_gives_the_identity():
    triplets = made()
    loss = PairwiseLoss(triplets, triplets.scale)
    np.testing.assert_array_equal(loss.map_of(fit_map(loss, np.inf, None)), np.eye(D))


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_length_of_embeddings_changes_nothing(factor):
    triplets = made()
    longer = TripletVectors(
        np.float32(factor) * triplets.queries,
        triplets.documents,
        triplets.query,
        triplets.positive,
        triplets.negative,
        triplets.weight,
    )
    maps = []
    for each in (triplets, longer):
        loss = PairwiseLoss(each, each.scale)
        maps.append(loss.map_of(fit_map(loss, 1e-2, None)))
    np.testing.assert_allclose(maps[0], maps[1], atol=2e-3)
