"""Logs drawn from each click model itself, with known truth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rankloom.datasets.click_models import DBN, PBM, UBM, Cascade, SimplifiedDBN, TrustPBM

MODELS = [PBM, UBM, TrustPBM, Cascade, SimplifiedDBN, DBN]
CANDIDATES, SHOWN = 8, 5


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def model_class(request):
    """Every click model."""
    return request.param


@pytest.fixture(scope="session")
def own_log(simulated, pairs_of):
    """Function: class, lists, seed -> the model that drew a log, and the log."""

    @cache
    def draw(model_class, lists, *, seed=0, queries=100):
        truth = model_class(prior_mean=0.3).fit(simulated(3000, seed=9))
        world, rng = np.random.default_rng(0), np.random.default_rng(seed + 1)
        relevance = world.choice([0.1, 0.3, 0.8], p=[0.4, 0.35, 0.25], size=(queries, CANDIDATES))
        score = relevance + world.normal(scale=0.5, size=(3, queries, CANDIDATES))
        order = np.argsort(-score, axis=2)[:, :, :SHOWN]
        query = rng.integers(0, queries, lists)
        documents = order[rng.integers(0, 3, lists), query]
        clicked = truth.sample(relevance[query[:, None], documents], random_state=rng)
        return truth, pairs_of(query, documents + CANDIDATES * query[:, None], clicked)

    return draw
