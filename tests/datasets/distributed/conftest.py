"""A log in several files, for all tests here."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import TrainingPairs, simulate_interactions


@pytest.fixture(scope="session")
def client(dask_client):
    return dask_client


_OF_PARTS = ("execution_id", "session_id")


@pytest.fixture(scope="package")
def log():
    """Rows of 1,500 executions in no order: with faults, repeats, and whatever may be missing."""
    rng = np.random.default_rng(5)
    rows = simulate_interactions(
        n_executions=1_500, random_state=1, duplicates=0.03, dirty=0.02, bots=0.01
    )
    late = rows.filter(pl.col("interaction_type").list.contains("purchase")).with_columns(
        position=pl.lit(None, rows["position"].dtype)
    )
    nowhere = late.head(20).with_columns(pl.lit("unknown").alias("execution_id"))
    # Refused, and alone in naming a document and a channel that come before all others.
    strange = nowhere.head(1).with_columns(
        feature_id=pl.lit("!"), feature_uri=pl.lit("!"), query_snapshot=pl.lit("!")
    )
    # Of a user's last displays, which lie in any partition.
    nameless = late.tail(60).with_columns(pl.lit(None, pl.String).alias(n) for n in _OF_PARTS)
    rows = pl.concat([rows, late, nowhere, strange, nameless])
    by_execution = (pl.col("execution_id").hash(seed=0) % 10).alias("tenth")
    future = pl.lit("2999-01-01T00:00:00Z")
    chosen = pl.Series("chosen", rng.random(len(rows)) < 0.01)
    times = [
        pl.when(chosen & pl.col("execution_id").is_not_null())
        .then(future)
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name in ("occurred_at", "timestamp")
    ]
    rows = rows.with_columns(by_execution, *times).with_columns(
        pl.when(pl.col("tenth") > 0).then("execution_id").alias("execution_id"),
        pl.when((pl.col("tenth") != 1) & ~chosen).then("query_snapshot").alias("query_snapshot"),
        pl.when(pl.col("tenth") != 2).then("user_id").alias("user_id"),
    )
    return rows.drop("tenth")[rng.permutation(len(rows))]


@pytest.fixture(scope="package")
def files(log, tmp_path_factory):
    """The log in five files of three formats; the rows of an execution are in several of them."""
    folder = tmp_path_factory.mktemp("log")
    bounds = np.linspace(0, len(log), 6).astype(int)
    pieces = [log[start:end] for start, end in pairwise(bounds)]
    paths = [folder / f"{n}.parquet" for n in range(3)]
    for path, piece in zip(paths, pieces, strict=False):
        piece.write_parquet(path)
    pieces[3].write_ndjson(folder / "3.jsonl")
    texts = pl.col("interaction_type").list.join("|")
    pieces[4].with_columns(texts).write_csv(folder / "4.csv")
    return [*map(str, paths), str(folder / "3.jsonl"), str(folder / "4.csv")]


@pytest.fixture(scope="package")
def assert_same():
    """Check that every field of two training pairs is the same."""

    def check(one, other):
        assert one.report == other.report
        for field in fields(TrainingPairs):
            values = [getattr(pairs, field.name) for pairs in (one, other)]
            assert _plain(values[0]) == _plain(values[1]), field.name

    return check


def _plain(value):
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, pl.Series):
        return value.name, value.to_list()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
