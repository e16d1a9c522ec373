"""The log of `rankloom demo`: what a search engine logs beside lists and clicks, made up, too."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from .retrievers import RETRIEVER, TRIAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIAL_SHARE: Final = 0.3
TRIAL_NOISE: Final = 1.6
"""Standard deviation of the trial's scores around the true grades."""

GROWTH_DAY: Final = 20
GROWTH: Final = 0.4
"""From this day on there are so many more searches, as a share."""

TASTES: Final = 100
"""Groups of users who search for the same things: a session's first query is one of their own."""

MISSPELT: Final = 12
"""Queries that people first write in a way that finds nothing."""
MISSPELT_SHARE: Final = 0.2
"""Of the searches of such a query, those that come after the misspelling."""


def demo_log(catalogue: pl.DataFrame, executions: int, seed: int) -> pl.DataFrame:
    """Return a log of two retrievers, with tastes, misspelt queries and growth from one day on.

    Parameters
    ----------
    catalogue : polars.DataFrame
        As of `simulate_catalogue`.
    executions : int
        Result lists to show.
    seed : int

    Returns
    -------
    polars.DataFrame
        The canonical columns, ordered by time; ``latency_ms`` is in the metadata.
    """
    rng = np.random.default_rng(seed)
    trial = catalogue["grade"].to_numpy()[:, None] + rng.normal(0, TRIAL_NOISE, (len(catalogue), 3))
    parts = [
        *_grown(catalogue, round(executions * (1 - TRIAL_SHARE)), seed, RETRIEVER, 3, executions),
        *_grown(catalogue, round(executions * TRIAL_SHARE), seed + 10, TRIAL, trial, executions),
    ]
    log = _with_tastes(pl.concat(parts).sort("occurred_at", maintain_order=True))
    return _with_latency(_with_misspellings(log, rng), rng)


def _grown(
    catalogue: pl.DataFrame,
    executions: int,
    seed: int,
    retriever: str,
    rankers: int | NDArray[np.float64],
    users: int,
) -> list[pl.DataFrame]:
    """Return the searches of all 30 days, and those that come on top in the last ones."""
    from ...datasets import simulate_interactions
    from ...datasets.simulation.simulate import DEFAULT_START

    last_days = 30 - GROWTH_DAY
    extra = round(executions * GROWTH * last_days / (30 + GROWTH * last_days))
    parts = ((executions - extra, 0, 30.0), (extra, GROWTH_DAY, float(last_days)))
    return [
        simulate_interactions(
            catalogue,
            n_executions=number,
            # The same production rankers in both parts.
            random_state=seed,
            rankers=rankers,
            duplicates=0.02,
            dirty=0.005,
            start=DEFAULT_START + timedelta(days=day),
            days=days,
            n_users=max(users // 5, 1),
            retriever_id=retriever,
            id_prefix=f"{retriever[-1]}{day}-",
        )
        for number, day, days in parts
    ]


def _with_tastes(log: pl.DataFrame) -> pl.DataFrame:
    """Give every session a user whose group is that of the session's first query."""
    queries = log["query_snapshot"].drop_nulls().unique().sort()
    first = pl.col("query_snapshot").drop_nulls().first().over("session_id")
    taste = first.replace_strict(queries, np.arange(len(queries)) % TASTES, return_dtype=pl.Int64)
    number = pl.col("user_id").str.slice(5).cast(pl.Int64)
    user = "user-" + (number // TASTES * TASTES + taste).cast(pl.String).str.zfill(6)
    return log.with_columns(user.alias("user_id"))


def _with_misspellings(log: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Add searches that found nothing, shortly before a search for the same thing."""
    queries = log["query_snapshot"].drop_nulls().unique().sort()
    chosen = queries.gather(np.linspace(0, len(queries) - 1, MISSPELT).astype(int)).unique()
    firsts = (
        log.filter(
            pl.col("query_snapshot").is_in(chosen.to_list()),
            pl.col("interaction_type").list.contains("impression"),
            pl.col("feature_id").is_not_null(),
            pl.col("position") == 0,
        )
        .unique("execution_id", keep="first", maintain_order=True)
        .drop_nulls("execution_id")
    )
    firsts = firsts.filter(pl.Series(rng.random(len(firsts)) < MISSPELT_SHARE))
    before = pl.lit(
        pl.Series(rng.integers(10, 90, len(firsts)) * 1_000_000).cast(pl.Duration("us"))
    )
    empty = firsts.with_columns(
        pl.lit("list").alias("feature_id"),
        pl.lit(["zero_results"]).alias("interaction_type"),
        pl.lit(0, pl.Int32).alias("result_set_size"),
        pl.lit(None, pl.Float64).alias("document_score"),
        pl.lit(None, pl.String).alias("feature_uri"),
        pl.col("metadata").str.replace(r', "features": .*$', "}"),
        pl.col("query_snapshot").replace({text: misspelt(text) for text in chosen}),
        ("empty-" + pl.col("execution_id")).alias("execution_id"),
        ("empty-" + pl.col("interaction_id")).alias("interaction_id"),
        pl.col("occurred_at") - before,
        pl.col("timestamp") - before,
    )
    return pl.concat([log, empty.select(log.columns)]).sort("occurred_at", maintain_order=True)


def misspelt(snapshot: str) -> str:
    """Return the snapshot of a query with two characters of its first word exchanged.

    >>> misspelt('{"query": "query 0001"}')
    '{"query": "qurey 0001"}'
    """
    words = json.loads(snapshot)["query"]
    return json.dumps({"query": words[:2] + words[3:1:-1] + words[4:]})


def _with_latency(log: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Write the latency of every execution into its rows' metadata, in steps of 20 ms."""
    names = log["execution_id"].unique(maintain_order=True)
    steps = np.round(np.exp(rng.normal(np.log(120), 0.4, len(names))) / 20).astype(int) * 20
    table = pl.DataFrame({"execution_id": names, "latency": steps.clip(20)})
    latency = log.join(table, on="execution_id", how="left", nulls_equal=True)["latency"]
    head = '{"latency_ms": ' + latency.cast(pl.String) + ", "
    return log.with_columns((pl.lit(head) + pl.col("metadata").str.slice(1)).alias("metadata"))
