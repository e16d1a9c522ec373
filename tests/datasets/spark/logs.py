"""Logs that break what can be broken, as Spark's and as ours, and what two loads of one have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from rankloom.errors import RankloomError

START = datetime(2026, 1, 1, tzinfo=UTC)
FUTURE = datetime(2190, 1, 1, tzinfo=UTC)
ARRAYS = (
    *("X", "y", "clicked", "negative", "group", "position", "document_score", "age_days"),
    *("weight", "time", "query_code", "document_code"),
)
TYPES = ["impression", "impression", "impression", "click", "purchase", "return_to_results"]


def rough_log(seed, rows=300):
    """Rows with every fault, absent value and late event that a log may have, in any order."""
    rng = np.random.default_rng(seed)

    def some(values, share):
        chosen = rng.choice(len(values), rows)
        odd = rng.random(rows) < share
        return [values[c] if o else None for c, o in zip(chosen, odd, strict=True)]

    def any_of(*columns):
        return [next((v for v in row if v is not None), None) for row in zip(*columns, strict=True)]

    minutes = [START + timedelta(minutes=int(m)) for m in rng.integers(0, 600, rows)]
    return pl.DataFrame(
        {
            "execution_id": any_of(
                some(["", "NULL", r"\N", "  ", "it's"], 0.1),
                some([f"e{i}" for i in range(25)], 0.7),
            ),
            "session_id": any_of(some(["nan", ""], 0.1), some([f"s{i}" for i in range(6)], 0.8)),
            "user_id": some(["u1", "u2", "u3", "NULL"], 0.6),
            "feature_id": any_of(some([f"d{i}" for i in range(9)], 0.97)),
            "feature_uri": some(["text", "image", "audio"], 0.5),
            "interaction_type": [
                [value]
                for value in any_of(
                    some(["clik", "query_refinement", "dwell"], 0.1), some(TYPES, 1.0)
                )
            ],
            "position": any_of(some([-1], 0.02), some(list(range(12)), 0.9)),
            "query_snapshot": some(["red shoes", '{"query":"Red Shoes"}', "NULL", "blue"], 0.6),
            "occurred_at": any_of(
                some([FUTURE], 0.03), [m if rng.random() < 0.97 else None for m in minutes]
            ),
            "document_score": some([0.5, 1.25, 2.5] * 6 + [float("nan"), float("inf")], 0.6),
            "result_set_size": some([10, 20, 30, 40] * 5 + [0], 0.5),
            "interaction_id": [f"i{i}" for i in range(rows)],
            "device": some(["mobile", "desktop"], 0.7),
        },
        schema_overrides={"position": pl.Int32, "result_set_size": pl.Int64},
    )


def in_spark(spark, frame):
    """Return a polars frame as a DataFrame of Spark."""
    return spark.createDataFrame(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))


def outcome(load):
    """Return what a load returns, or the error that it raises."""
    try:
        return load()
    except RankloomError as error:
        return type(error), str(error)


def assert_same(ours, oracle):
    """Compare two loads value by value, and their reports."""
    assert isinstance(ours, tuple) == isinstance(oracle, tuple), (ours, oracle)
    if isinstance(oracle, tuple):
        assert ours == oracle
        return
    for name in ARRAYS:
        found, expected = getattr(ours, name), getattr(oracle, name)
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
    for name in ("execution_id", "queries", "documents"):
        assert getattr(ours, name).to_list() == getattr(oracle, name).to_list(), name
    assert (ours.feature_names, ours.categories) == (oracle.feature_names, oracle.categories)
    assert {name: texts.to_list() for name, texts in ours.context.items()} == {
        name: texts.to_list() for name, texts in oracle.context.items()
    }
    assert ours.report.to_dict() == oracle.report.to_dict()
