"""Logs of one deterministic ranker whose documents have features."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def one_ranker(pairs_of):
    """Return a maker of such logs: relevance depends on features, positions on another score.

    `swaps`: share of the lists whose second and third results are exchanged. `hidden`: how far
    relevance varies beyond the features, up and down, as a factor of 1 +- hidden.
    """

    def make(
        n_lists, *, seed=0, curve=(1.0, 0.5, 0.4, 0.3, 0.25), swaps=0.0, hidden=0.5, n_queries=300
    ):
        rng = np.random.default_rng(seed)
        shown, candidates = len(curve), 8
        X = rng.normal(size=(n_queries, candidates, 3)).astype(np.float32)
        X[rng.random(X.shape) < 0.1] = np.nan
        known = np.nan_to_num(X)
        beyond = rng.choice([1 - hidden, 1 + hidden], size=known.shape[:2])
        relevance = 0.6 / (1 + np.exp(1.2 - 1.5 * known[..., 0] - known[..., 1])) * beyond
        score = known[..., 0] + known[..., 1] + 0.5 * known[..., 2]
        order = np.argsort(-score, axis=1)[:, :shown]
        query = np.arange(n_lists) % n_queries
        place = order[query]
        swapped = rng.random(n_lists) < swaps
        place[swapped, 1:3] = place[swapped, 2:0:-1]
        chance = np.asarray(curve) * relevance[query[:, None], place]
        documents = place + candidates * query[:, None]
        pairs = pairs_of(query, documents, rng.random(place.shape) < chance)
        pairs.X = X.reshape(-1, 3)[pairs.document_code]
        pairs.feature_names = ("a", "b", "c")
        return pairs

    return make
