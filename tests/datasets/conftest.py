"""Small logs with known truth that several tests of position bias share."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import TrainingPairs

TRUTH = 1 / np.arange(1, 6)


def make_pairs(query, documents, clicked, *, position=None, context=None):
    """Return training pairs of lists: query (e,), documents and clicked (e, k)."""
    documents, clicked = np.asarray(documents), np.asarray(clicked, dtype=bool)
    lists, shown = documents.shape
    rows = lists * shown
    places = np.tile(np.arange(shown), lists) if position is None else np.ravel(position)
    return TrainingPairs(
        X=np.zeros((rows, 0), dtype=np.float32),
        y=clicked.ravel().astype(np.float32),
        clicked=clicked.ravel(),
        negative=np.zeros(rows, dtype=bool),
        group=np.full(lists, shown, dtype=np.int32),
        position=places.astype(np.int32),
        document_score=np.full(rows, np.nan),
        age_days=np.full(rows, np.nan, dtype=np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=np.full(lists, np.datetime64("NaT"), dtype="datetime64[us]"),
        execution_id=pl.Series([f"e{i}" for i in range(lists)]),
        query_code=np.asarray(query, dtype=np.int32),
        queries=pl.Series([f"q{i}" for i in range(int(np.max(query)) + 1)]),
        document_code=documents.ravel().astype(np.int32),
        documents=pl.Series([f"d{i}" for i in range(int(documents.max()) + 1)]),
        feature_names=(),
        context=context or {},
    )


def simulate(n_lists, *, seed=0, curve=TRUTH, rankers=3, n_queries=150, context=None):
    """Simulate PBM clicks on lists of noisy rankers; curve is one row for all lists or each."""
    rng = np.random.default_rng(seed)
    shown, candidates = np.shape(curve)[-1], 8
    relevance = rng.choice([0.1, 0.4, 1.0], p=[0.6, 0.25, 0.15], size=(n_queries, candidates))
    score = relevance[None] + rng.normal(scale=0.7, size=(rankers, n_queries, candidates))
    order = np.argsort(-score, axis=2)[:, :, :shown]
    query = rng.integers(0, n_queries, n_lists)
    documents = order[rng.integers(0, rankers, n_lists), query]
    chance = np.asarray(curve) * relevance[query[:, None], documents]
    clicked = rng.random((n_lists, shown)) < chance
    return make_pairs(query, documents + candidates * query[:, None], clicked, context=context)


def make_swapped_lists(times, clicks):
    """One query, documents A and B in both orders; clicks on A, B as AB, then on B, A as BA."""
    documents = np.array([[0, 1]] * times + [[1, 0]] * times)
    clicked = np.zeros((2 * times, 2), dtype=bool)
    for column, (offset, count) in enumerate(zip((0, 0, times, times), clicks, strict=True)):
        clicked[offset : offset + count, column % 2] = True
    return make_pairs(np.zeros(2 * times), documents, clicked)


@pytest.fixture(scope="session")
def pairs_of():
    """The function make_pairs."""
    return make_pairs


@pytest.fixture(scope="session")
def simulated():
    """The function simulate."""
    return simulate


@pytest.fixture(scope="session")
def swapped_lists():
    """The function make_swapped_lists."""
    return make_swapped_lists
