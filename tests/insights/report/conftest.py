"""Logs of the report's tests: with everything, with hardly anything, with hostile texts."""

import json

import polars as pl
import pytest

from rankloom.datasets import simulate_catalogue, simulate_interactions
from rankloom.insights import build_report

HOSTILE = '<script>alert("x\'$5$\\frac")</script>'
IMAGE = '"><img src=x onerror=alert(1)>'
OPTIONAL = (
    "user_id",
    "session_id",
    "retriever_id",
    "occurred_at",
    "timestamp",
    "metadata",
    "feature_uri",
    "document_score",
    "result_set_size",
)


@pytest.fixture(scope="session")
def catalogue():
    return simulate_catalogue(n_queries=40, random_state=3)


@pytest.fixture(scope="session")
def log(catalogue):
    """Searches of two retrievers by the same users: 240 lists."""
    parts = [
        simulate_interactions(
            catalogue,
            n_executions=120,
            random_state=seed,
            duplicates=0.02,
            dirty=0.01,
            n_users=100,
            retriever_id=name,
            id_prefix=name,
        )
        for seed, name in enumerate(("search", "other"))
    ]
    return pl.concat(parts).sort("occurred_at")


@pytest.fixture(scope="session")
def features(catalogue):
    return catalogue.drop("query", "grade")


@pytest.fixture(scope="session")
def report(log):
    """Everything but what needs features."""
    return build_report(log, n_jobs=1)


@pytest.fixture(scope="session")
def full_report(log, features):
    """Everything: for slow tests, because it trains a ranker."""
    return build_report(log, features=features, n_jobs=1)


@pytest.fixture(scope="session")
def bare(log):
    """The same searches without users, sessions, retrievers, times, channels and metadata."""
    return log.drop(*OPTIONAL)


@pytest.fixture(scope="session")
def hostile(log):
    """The same searches with markup in every text of the log that a page may show."""
    even = pl.col("position") % 2 == 0
    return log.with_columns(
        query_snapshot=pl.col("query_snapshot").str.replace(
            "query 0", json.dumps(HOSTILE)[1:-1], literal=True
        ),
        feature_uri=pl.when(even).then(pl.lit(HOSTILE)).otherwise(pl.lit(IMAGE)),
        metadata=pl.lit(json.dumps({"device": HOSTILE})),
        feature_id=pl.col("feature_id") + IMAGE,
        user_id=pl.col("user_id") + HOSTILE,
        retriever_id=pl.col("retriever_id") + IMAGE,
    )
