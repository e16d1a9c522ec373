"""Logs of retrievers with planted truth: users of unequal activity, queries of unequal quality."""

import json

import numpy as np
import polars as pl

START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday
SIZE = 4
CURVE = 1.0 / (1.0 + np.arange(SIZE))


def searches_of_users(rng, users, searches, tail=2.0, spread=5.0):
    """User of every search, Pareto in number, and every user's own rate of engagement."""
    activity = rng.pareto(tail, users) + 0.05
    rate = rng.beta(0.4 * spread, 0.6 * spread, users)
    return rng.choice(users, searches, p=activity / activity.sum()), rate


def world(
    seed,
    *,
    users=400,
    searches=3000,
    lift=0.0,
    by_user=True,
    queries=12,
    days=28,
    query_of=None,
    day_of=None,
    steps=(),
    latency=False,
):
    """Return a log of the retrievers "old" and "new".

    `lift`: by how much "new" is better, relative. `by_user`: whether users or searches are split.
    `query_of(rng, new)`, `day_of(rng, new)`: queries and days of the searches, instead of the same
    for both. `steps`: pairs of a day and a factor of engagement from there on.
    """
    rng = np.random.default_rng(seed)
    user, rate = searches_of_users(rng, users, searches)
    new = (rng.random(users) < 0.5)[user] if by_user else rng.random(searches) < 0.5
    query = rng.integers(0, queries, searches) if query_of is None else query_of(rng, new)
    day = rng.integers(0, days, searches) if day_of is None else day_of(rng, new)
    quality = 0.5 + np.arange(queries) / queries
    attracts = rate[user] * quality[query] * (1.0 + lift * new)
    for first, factor in steps:
        attracts *= np.where(day >= first, factor, 1.0)
    clicked = rng.random((searches, SIZE)) < np.minimum(attracts[:, None], 1.0) * CURVE
    time = START + (day * 86_400 + rng.integers(0, 86_400, searches)) * np.timedelta64(1, "s")
    metadata = None
    if latency:
        took = np.where(new, 80.0, 100.0) * rng.lognormal(0, 0.3, searches)
        metadata = [json.dumps({"latency_ms": round(value, 3)}) for value in took.tolist()]
    search = np.repeat(np.arange(searches), SIZE)
    document = rng.integers(0, 5, searches)[search] * SIZE + np.tile(np.arange(SIZE), searches)
    frame = pl.DataFrame(
        {
            "execution_id": pl.Series(search).cast(pl.String),
            "feature_id": "d" + pl.Series(document).cast(pl.String),
            "position": np.tile(np.arange(SIZE), searches),
            "user_id": "u" + pl.Series(user[search]).cast(pl.String),
            "retriever_id": pl.Series(np.where(new, "new", "old")[search]),
            "query_snapshot": pl.Series([f"q{code}" for code in range(queries)]).gather(
                query[search]
            ),
            "occurred_at": pl.Series(time[search]),
            "clicked": clicked.ravel(),
        }
    )
    kinds = (
        pl.when("clicked").then(pl.lit(["impression", "click"])).otherwise(pl.lit(["impression"]))
    )
    frame = frame.with_columns(kinds.alias("interaction_type")).drop("clicked")
    return (
        frame
        if metadata is None
        else frame.with_columns(pl.Series("metadata", metadata).gather(search))
    )
