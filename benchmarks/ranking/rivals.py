"""The rivals in unbiased learning to rank, and what full information reaches; called without us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import xgboost
from letor_protocol import SHOWN
from simulated_log import LEAVES, RATE, ROUNDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltr_world import World
    from numpy.typing import NDArray

    from rankloom.datasets import TrainingPairs


def train_lightgbm(world: World, judged: TrainingPairs) -> NDArray[np.float64]:
    """Full information: the true grades of the given lists."""
    data = lightgbm.Dataset(judged.X, judged.y, group=judged.group)
    booster = lightgbm.train(world.lightgbm_options(50), data, ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads))


def shown_only(world: World) -> NDArray[np.float64]:
    """Train on true grades, but only of documents that were ever shown."""
    shown = set(world.pairs.document_id.unique())
    query = world.judged.query_id.gather(world.judged.execution_index)
    ids = [f"{q}/{d}" for q, d in zip(query, world.judged.document_id, strict=True)]
    mask = np.array([name in shown for name in ids])
    sizes = np.add.reduceat(mask, world.judged.offsets[:-1], dtype=np.int64)
    data = lightgbm.Dataset(world.judged.X[mask], world.judged.y[mask], group=sizes[sizes > 0])
    booster = lightgbm.train(world.lightgbm_options(50), data, ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads))


def lightgbm_sessions(
    world: World, *, position: bool, at: Any = None, **options: Any
) -> NDArray[np.float64]:
    """LightGBM on sessions, called without us; scores of the test rows, or of those given."""
    found = world.learnable()
    places = found.position if position else None
    data = lightgbm.Dataset(found.X, found.y, group=found.group, position=places)
    booster = lightgbm.train({**world.lightgbm_options(world.leaf()), **options}, data, ROUNDS)
    rows = world.test.X if at is None else at
    return np.asarray(booster.predict(rows, num_threads=world.threads), np.float32)


def of_two_seeds(fit: Callable[..., NDArray[Any]], world: World, **names: str) -> NDArray[Any]:
    """Return the mean of the standardised scores of two fits that differ by their draws."""
    scores = [
        fit(world, **{names["seed"]: seed, names["rows"]: 0.9, names["columns"]: 0.8})
        for seed in (2 * world.seed, 2 * world.seed + 1)
    ]
    return standard(scores[0]) + standard(scores[1])


def lightgbm_twice(world: World, *, position: bool) -> NDArray[Any]:
    """Ensemble of two of LightGBM's fits."""

    def fit(world: World, **drawn: Any) -> NDArray[Any]:
        by_list = {"bagging_by_query": True, "bagging_freq": 1}
        return lightgbm_sessions(world, position=position, **by_list, **drawn)

    names = {"seed": "seed", "rows": "bagging_fraction", "columns": "feature_fraction"}
    return of_two_seeds(fit, world, **names)


def xgboost_twice(world: World) -> NDArray[Any]:
    """Ensemble of two of XGBoost's fits."""
    names = {"seed": "seed", "rows": "subsample", "columns": "colsample_bytree"}
    return of_two_seeds(xgboost_unbiased, world, **names)


def standard(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return scores less their mean, over their spread."""
    return np.asarray((scores - scores.mean()) / scores.std(), np.float64)


def rivals_distilled(world: World) -> NDArray[np.float64]:
    """Train one model on the rivals' mean on the shown documents, as auto does with its members."""
    X = world.pairs.X[np.unique(world.pairs.query_document, return_index=True)[1]]
    blend = standard(lightgbm_sessions(world, position=True, at=X))
    blend += standard(xgboost_unbiased(world, at=X))
    options = {**world.lightgbm_options(20), "objective": "regression"}
    booster = lightgbm.train(options, lightgbm.Dataset(X, blend), ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads))


def xgboost_unbiased(world: World, *, at: Any = None, **options: Any) -> NDArray[np.float64]:
    """XGBoost's Unbiased LambdaMART; scores of the test rows, or of those given."""
    found = world.learnable()
    data = xgboost.DMatrix(found.X, found.y, qid=found.execution_index)
    settings = {
        "objective": "rank:ndcg",
        "eta": RATE,
        "max_leaves": LEAVES,
        "grow_policy": "lossguide",
        "max_depth": 0,
        "tree_method": "hist",
        "nthread": world.threads,
        "seed": world.seed,
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": SHOWN,
        "lambdarank_unbiased": True,
        "lambdarank_bias_norm": 1,
    }
    booster = xgboost.train({**settings, **options}, data, ROUNDS)
    rows = world.test.X if at is None else at
    return np.asarray(booster.predict(xgboost.DMatrix(rows)))
