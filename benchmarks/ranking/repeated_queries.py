"""Searches that repeat: what the benchmark of query memory shares - data, production, logs.

Data: robust03 (five systems' scores) and MQ2007-agg (five systems fused by production, all 21 ranks
as features). Production fuses min-max scores by weights drawn around those that least squares
learnt from 20 impressions a query, so lists vary from impression to impression. One query in five
is never logged.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from letor_protocol import load_parts

from rankloom.datasets import TrainingPairs, load_pairs
from rankloom.ltr.metrics.ranking import ndcg

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SHOWN = 10
SETS = ("robust03", "mq2007agg")
WORLDS = ("pbm", "trust", "cascade", "wrong curve", "noisy", "random")
SIZES = (10, 50, 200)
RANK = np.arange(1, SHOWN + 1)
ATTRACTION = {"noisy": (0.3, 0.45, 0.6), "random": (0.3, 0.3, 0.3)}
RELEVANCE = np.array([0.0, 1 / 3, 1.0])
ASSUMED = 1 / RANK
_SYSTEMS = (0, 5, 10, 15, 20)
_QUERIES, _SPREAD, _FIRST = 250, 0.08, 20


@dataclass(frozen=True)
class Query:
    """Candidates of one query."""

    name: str
    scores: Floats  # shape (candidates, systems): what production fuses
    features: Floats  # shape (candidates, features): what a ranker sees
    grade: NDArray[np.int64]


@dataclass(frozen=True)
class Searches:
    """One simulated log, and all candidates of all queries as judged lists."""

    pairs: TrainingPairs
    judged: TrainingPairs
    logged: NDArray[np.bool_]  # by judged list: whether the query was ever searched for
    impressions: NDArray[np.int64]  # by judged list
    world: str

    def ndcg(self, scores: Floats) -> Floats:
        """Return NDCG@10 of every judged list."""
        return ndcg(self.judged.y, scores, self.judged.group, k=SHOWN)


@cache
def queries_of(data: Path, name: str) -> tuple[Query, ...]:
    """Return the queries of a set that have a relevant candidate."""
    return _robust(data) if name == "robust03" else _mq2007(data)


def _robust(data: Path) -> tuple[Query, ...]:
    sys.path.append(str(Path(__file__).resolve().parents[1] / "fusion"))
    from robust2003_protocol import load_queries

    found = load_queries(data)
    made = []
    for i, size in enumerate(found.size):
        scores = found.scores[i, :size]
        grade = np.log2(found.gain[i, :size] + 1).round().astype(np.int64)
        made.append(Query(f"robust {i}", scores, scores, grade))
    return tuple(query for query in made if query.grade.any())


def _mq2007(data: Path) -> tuple[Query, ...]:
    lists = load_parts(data, (1, 2, 3, 4, 5))
    made: list[Query] = []
    for i, (start, end) in enumerate(zip(lists.offsets, lists.offsets[1:], strict=False)):
        X, grade = lists.X[start:end].astype(np.float64), lists.y[start:end].astype(np.int64)
        if grade.any() and len(grade) >= SHOWN and len(made) < _QUERIES:
            made.append(Query(f"mq {i}", _from_ranks(X[:, _SYSTEMS]), X, grade))
    return tuple(made)


def _from_ranks(ranks: Floats) -> Floats:
    order = np.argsort(np.argsort(ranks, axis=0, kind="stable"), axis=0, kind="stable")
    return np.where(np.isnan(ranks), 0.0, 1 / (1 + 0.05 * order))


def simulate(data: Path, name: str, world: str, size: int, seed: int) -> Searches:
    """Return a log of `size` impressions of every logged query; size 0: 10, 50 or 200 by turns."""
    rng = np.random.default_rng([seed, size])
    queries = queries_of(data, name)
    logged = rng.permutation(len(queries)) % 5 > 0
    counts = np.where(logged, size or np.resize(SIZES, len(queries)), 0)
    weights = _learnt_weights(queries, logged, world, rng)
    parts = [
        _impressions(query, count, lambda n: _drawn(weights, n, rng), world, rng)
        for query, count in zip(queries, counts, strict=True)
        if count
    ]
    pairs = _load(parts, queries, rng)
    if world == "wrong curve":
        pairs.examination = ASSUMED[pairs.position].astype(np.float32)
    return Searches(pairs, _judged(queries, weights), logged, counts, world)


def _drawn(weights: Floats, n: int, rng: np.random.Generator) -> Floats:
    return np.maximum(weights + rng.normal(0, _SPREAD, (n, len(weights))), 0) + 1e-6


def _learnt_weights(
    queries: tuple[Query, ...], logged: NDArray[np.bool_], world: str, rng: np.random.Generator
) -> Floats:
    """Return weights by least squares on clicks over 1 / rank, from lists by random weights."""
    channels = queries[0].scores.shape[1]
    A, b = 5 * np.eye(channels), np.zeros(channels)
    for query, used in zip(queries, logged, strict=True):
        if not used:
            continue
        drawn = rng.dirichlet(np.full(channels, 5.0), _FIRST)
        found = _impressions(query, _FIRST, lambda _, drawn=drawn: drawn, world, rng)
        shown = query.scores[found["document"].to_numpy()]
        A += (shown * ASSUMED[found["position"].to_numpy()][:, None]).T @ shown
        b += shown.T @ found["clicked"].to_numpy()
    theta = np.maximum(np.linalg.solve(A, b), 0)
    return theta / theta.sum()


def _impressions(
    query: Query,
    n: int,
    weights: Callable[[int], Floats],
    world: str,
    rng: np.random.Generator,
) -> pl.DataFrame:
    fused = weights(n) @ query.scores.T
    top = np.argsort(-fused, axis=1, kind="stable")[:, :SHOWN]
    clicked = _clicks(query.grade[top], world, rng)
    return pl.DataFrame(
        {
            "query": query.name,
            "execution": np.repeat(np.arange(n), SHOWN),
            "document": top.ravel(),
            "position": np.tile(RANK - 1, n),
            "document_score": np.take_along_axis(fused, top, 1).ravel(),
            "clicked": clicked.ravel(),
        }
    )


def _clicks(grade: NDArray[np.int64], world: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return clicks by rank; the models of protocol A, with attractions .1/.4/.8 for the PBM."""
    uniform = rng.random(grade.shape)
    r = RELEVANCE[grade]
    if world == "trust":
        return uniform < (r * (1 - RANK / 100) + (1 - r) * 0.65 / RANK) / RANK
    if world == "cascade":
        clicked, going = uniform < 0.1 + 0.9 * r, np.ones(len(grade), dtype=bool)
        for k in range(SHOWN):
            clicked[:, k] &= going
            satisfied = clicked[:, k] & (rng.random(len(grade)) < 0.2 + 0.7 * r[:, k])
            going &= ~satisfied & (rng.random(len(grade)) >= 0.1)
        return clicked
    power = 0.5 if world == "wrong curve" else 1.0
    return uniform < RANK**-power * np.array(ATTRACTION.get(world, (0.1, 0.4, 0.8)))[grade]


def _load(
    parts: list[pl.DataFrame], queries: tuple[Query, ...], rng: np.random.Generator
) -> TrainingPairs:
    """Put the impressions of all queries into random order of time, and load them."""
    rows = pl.concat(parts)
    keys = rows.select("query", "execution").unique(maintain_order=True)
    seconds = pl.Series("at", rng.permutation(len(keys)))
    start = pl.lit("2026-01-01").str.to_datetime(time_unit="us", time_zone="UTC")
    rows = rows.join(keys.with_columns(seconds), on=["query", "execution"]).select(
        "query",
        execution_id=pl.format("{}/{}", "query", "execution"),
        feature_id=pl.format("{}/{}", "query", "document"),
        position=pl.col("position").cast(pl.Int32),
        document_score="document_score",
        interaction_type=pl.when("clicked")
        .then(pl.lit(["impression", "click"]))
        .otherwise(pl.lit(["impression"])),
        timestamp=start + pl.duration(seconds=30 * pl.col("at")),
    )
    features = pl.concat(
        pl.DataFrame({f"f{j}": query.features[:, j] for j in range(query.features.shape[1])})
        .with_row_index("document")
        .select(pl.format("{}/{}", pl.lit(query.name), "document").alias("feature_id"), r"^f\d+$")
        for query in queries
    )
    return load_pairs(rows, features=features, builtin_features=(), query_key="query")


def _judged(queries: tuple[Query, ...], weights: Floats) -> TrainingPairs:
    """Return all candidates as judged lists, with the production score."""
    X = np.vstack([query.features for query in queries]).astype(np.float32)
    grade = np.concatenate([query.grade for query in queries])
    group = np.array([len(query.grade) for query in queries], dtype=np.int32)
    documents = [f"{q.name}/{i}" for q in queries for i in range(len(q.grade))]
    zeros = np.zeros(len(X))
    return TrainingPairs(
        X=X,
        y=grade.astype(np.float32),
        clicked=grade > 0,
        negative=zeros.astype(bool),
        group=group,
        position=np.full(len(X), -1, dtype=np.int32),
        document_score=np.concatenate([query.scores @ weights for query in queries]),
        age_days=zeros.astype(np.float32),
        weight=np.ones(len(X), dtype=np.float32),
        time=np.full(len(group), np.datetime64("NaT", "us")),
        execution_id=pl.Series([q.name for q in queries]),
        query_code=np.arange(len(group), dtype=np.int32),
        queries=pl.Series([q.name for q in queries]),
        document_code=np.arange(len(X), dtype=np.int32),
        documents=pl.Series(documents),
        feature_names=tuple(f"f{j}" for j in range(X.shape[1])),
    )
