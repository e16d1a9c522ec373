"""Training pairs of a simulated world whose relevance and examination are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import TrainingPairs

MakePairs = Callable[..., TrainingPairs]


@dataclass(frozen=True)
class World:
    """Features and relevance of every document of every query."""

    X: np.ndarray
    relevance: np.ndarray

    @classmethod
    def make(cls, queries: int, documents: int, features: int) -> World:
        generator = np.random.default_rng(12345)
        X = generator.normal(size=(queries, documents, features)).astype(np.float32)
        X[generator.random(X.shape) < 0.05] = np.nan
        value = np.nan_to_num(X[..., 0]) + 0.7 * np.nan_to_num(X[..., 1])
        return cls(X, 1 / (1 + np.exp(-2 * value + 1)))


def build(
    n_executions: int = 300,
    *,
    per_execution: int = 10,
    features: int = 5,
    queries: int = 40,
    documents: int = 25,
    random_state: int = 0,
    shuffled: bool = False,
    judged: bool = False,
    **changes: Any,
) -> TrainingPairs:
    """Draw executions: production shows its best ten, clicks follow examination 1 / rank.

    `shuffled` shows random documents in random order; `judged` has grades 0-3 and no positions;
    `changes` replace fields of the pairs.
    """
    world = World.make(queries, documents, features)
    generator = np.random.default_rng(random_state)
    query = generator.integers(0, queries, n_executions)
    noise = generator.normal(0, 0.3, (n_executions, documents))
    order = np.argsort(noise if shuffled else -(world.relevance[query] + noise), axis=1)
    shown = order[:, :per_execution]
    rows = n_executions * per_execution
    relevance = world.relevance[query[:, None], shown].ravel()
    position = np.tile(np.arange(per_execution, dtype=np.int32), n_executions)
    clicked = generator.random(rows) < relevance / (position + 1)
    grades = np.floor(3.99 * relevance) if judged else clicked
    values: dict[str, Any] = {
        "X": np.ascontiguousarray(world.X[query[:, None], shown].reshape(rows, features)),
        "y": np.asarray(grades, dtype=np.float32),
        "clicked": np.asarray(grades) > 0,
        "negative": np.zeros(rows, dtype=bool),
        "group": np.full(n_executions, per_execution, dtype=np.int32),
        "position": np.full(rows, -1, dtype=np.int32) if judged else position,
        "document_score": np.full(rows, np.nan),
        "age_days": np.zeros(rows, dtype=np.float32),
        "weight": np.ones(rows, dtype=np.float32),
        "time": np.datetime64("2024-01-01", "us") + np.arange(n_executions) * 1_000_000,
        "execution_id": pl.Series([f"execution-{i}" for i in range(n_executions)]),
        "query_code": query.astype(np.int32),
        "queries": pl.Series([f"query-{i}" for i in range(queries)]),
        "document_code": (query[:, None] * documents + shown).ravel().astype(np.int32),
        "documents": pl.Series([f"document-{i}" for i in range(queries * documents)]),
        "feature_names": tuple(f"mixpeek://feature/{i}" for i in range(features)),
    }
    return TrainingPairs(**{**values, **changes})


@pytest.fixture(scope="session")
def make_pairs() -> MakePairs:
    return build


@pytest.fixture(scope="session")
def pairs() -> TrainingPairs:
    """Pairs that no test may change."""
    return build()


@pytest.fixture(scope="session")
def personal(make_pairs: MakePairs) -> Callable[..., tuple[TrainingPairs, np.ndarray]]:
    """Pairs whose last feature, the user's interest, matters as the document does; P(relevant)."""

    def personal(n_executions: int, seed: int) -> tuple[TrainingPairs, np.ndarray]:
        log = make_pairs(n_executions, random_state=seed)
        generator = np.random.default_rng(seed)
        interest = generator.normal(size=len(log)).astype(np.float32)
        value = np.nan_to_num(log.X[:, 0]) + 0.7 * np.nan_to_num(log.X[:, 1])
        wanted = 1 / (1 + np.exp(-(value + 1.5 * interest - 1)))
        clicked = generator.random(len(log)) < wanted / (log.position + 1)
        X = np.ascontiguousarray(np.column_stack([log.X, interest]))
        names = (*log.feature_names, "interest")
        y = clicked.astype(np.float32)
        return replace(log, X=X, y=y, clicked=clicked, feature_names=names), wanted

    return personal
