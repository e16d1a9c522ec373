"""A search engine over three channels whose truth is known: documents, relevance, clicks."""

import json

import numpy as np
import polars as pl

ARMS = ("text", "image", "noise")
EXAMINATION = 1.0 / np.arange(1, 11)
DISCOUNT = 1.0 / np.log2(np.arange(2, 12))
CLICK = 1.0 / 3.0
"""Reward of a click, scaled so that a purchase is 1."""


class World:
    """Queries with 30 candidates each; text is good, image fair, noise knows nothing."""

    def __init__(self, seed=0, queries=60, documents=30, quality=(1.0, 2.0, None)):
        generator = np.random.default_rng(seed)
        hidden = generator.standard_normal((queries, documents))
        self.attraction = np.clip(0.05 + 0.9 / (1 + np.exp(3.0 - 2.5 * hidden)), 0, 1)
        scores = []
        for noise in quality:
            signal = 0.0 if noise is None else hidden
            raw = signal + (noise or 1.0) * generator.standard_normal(hidden.shape)
            low, high = raw.min(axis=1, keepdims=True), raw.max(axis=1, keepdims=True)
            normal = (raw - low) / (high - low)
            normal[generator.random(hidden.shape) < 0.15] = 0.0
            scores.append(normal.round(5))
        self.x = np.stack(scores, axis=2)

    def lists(self, query, weights):
        """Return the ten documents shown for queries under weights, shape (e, 10)."""
        fused = (self.x[query] * weights[:, None, :]).sum(axis=2)
        return np.argsort(-fused, axis=1, kind="stable")[:, :10]

    def value(self, weights, discount=DISCOUNT, reward=CLICK):
        """Return the true value of a list under fixed weights, every query as likely."""
        query = np.arange(len(self.x))
        shown = self.lists(query, np.tile(weights, (len(query), 1)))
        relevance = np.take_along_axis(self.attraction, shown, axis=1)
        return float((relevance * discount * reward).sum(axis=1).mean())


def served_weights(n, generator, *, centre=(0.4, 0.3, 0.3), explore=0.2, control=0.1, spread=30.0):
    """Draw weights and the name of the policy of every list."""
    place = generator.random(n)
    rest = np.where(place < explore + control, "control", "learned")
    policy = np.where(place < explore, "explore", rest)
    weights = generator.dirichlet(np.array(centre) * spread, n)
    exploring = policy == "explore"
    weights[exploring] = generator.dirichlet(np.ones(len(centre)), exploring.sum())
    weights[policy == "control"] = 1.0 / len(centre)
    return weights, policy


def log_of(world, n, seed, *, weights=None, policy=None, logged=True, size=300, **options):
    """Return a log of n lists: an impression for each document, and clicks (PBM)."""
    generator = np.random.default_rng(seed)
    if weights is None:
        weights, policy = served_weights(n, generator, **options)
    query = generator.integers(0, len(world.x), n)
    shown = world.lists(query, weights)
    chance = np.take_along_axis(world.attraction[query], shown, axis=1) * EXAMINATION
    clicked = generator.random(shown.shape) < chance
    start = np.datetime64("2026-01-05", "us") + np.arange(n) * np.timedelta64(3, "m")
    metadata = []
    for i in range(n):
        fusion = {"weights": dict(zip(ARMS, weights[i].tolist(), strict=True))}
        fusion["policy"] = str(policy[i]) if policy is not None else "learned"
        tail = {"fusion": fusion} if logged else {}
        for document in shown[i]:
            scores = world.x[query[i], document].tolist()
            features = {uri: {"score": s} for uri, s in zip(ARMS, scores, strict=True) if s}
            metadata.append(json.dumps({"features": features, **tail}))
    rows = np.repeat(np.arange(n), 10)
    best = world.x[query[rows], shown.ravel()].argmax(axis=1)
    base = pl.DataFrame(
        {
            "execution_id": [f"e{seed}-{i}" for i in rows],
            "user_id": [f"u{u}" for u in generator.integers(0, size, n)[rows]],
            "session_id": [f"s{seed}-{i}" for i in rows],
            "retriever_id": "default",
            "feature_id": [f"d{d:03d}" for d in shown.ravel()],
            "position": np.tile(np.arange(10, dtype=np.int32), n),
            "query_snapshot": [json.dumps({"query": f"q{q}"}) for q in query[rows]],
            "feature_uri": [ARMS[a] for a in best],
            "result_set_size": np.full(10 * n, 30, np.int32),
            "metadata": metadata,
            "timestamp": start[rows],
        }
    )
    impressions = base.with_columns(interaction_type=pl.lit(["impression"]))
    clicks = base.filter(pl.Series(clicked.ravel())).with_columns(
        interaction_type=pl.lit(["click"]), timestamp=pl.col("timestamp") + pl.duration(seconds=9)
    )
    return pl.concat([impressions, clicks])
