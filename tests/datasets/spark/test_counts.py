"""Counts that Spark sums are those of `click_counts`."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import load_pairs
from rankloom.datasets.click_models import click_counts
from rankloom.datasets.spark import build_pairs
from rankloom.datasets.spark.collected import collect
from rankloom.errors import InvalidInputError

from .logs import assert_same, in_spark, rough_log

pytestmark = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning"
)
OPTIONS = {"half_life": 0.2, "context": ["device"]}


@pytest.fixture(scope="module")
def log():
    """A log with executions that name no query, and others that make no pairs."""
    log = rough_log(7, rows=500).drop_nulls("occurred_at").filter(pl.col("position") >= 0)
    without_query = pl.col("execution_id").str.ends_with("3")
    return log.with_columns(
        query_snapshot=pl.when(~without_query).then("query_snapshot"),
    )


@pytest.fixture(scope="module")
def built(spark, log):
    return build_pairs(in_spark(spark, log), partitions=3, **OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("states", "by", "max_position"),
    [("position", None, None), ("last_click", None, 4), ("last_click", "device", None)],
)
def test_counts_are_those_of_the_pairs(built, log, states, by, max_position, weighted):
    given = {"by": by, "weighted": weighted, "max_position": max_position}
    pairs = load_pairs(log, **OPTIONS)
    assert pairs.report.executions_without_query > 1
    ours, oracle = built.click_counts(states, **given), click_counts(pairs, states, **given)
    for name in ("document", "state", "offsets", "key", "position_of_state"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(oracle, name), err_msg=name)
    for name in ("states", "by", "values", "n_positions"):
        assert getattr(ours, name) == getattr(oracle, name)
    for name in ("queries", "documents"):
        assert getattr(ours, name).to_list() == getattr(oracle, name).to_list()
    for name in ("shown", "clicks"):
        found, expected = getattr(ours, name), getattr(oracle, name)
        if weighted:
            np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_texts_of_executions_without_pairs_keep_their_codes(spark):
    row = {"interaction_type": ["impression"], "position": 0}
    only_clicks = {**row, "interaction_type": ["click"]}
    log = pl.DataFrame(
        [
            {**row, "execution_id": "e2", "feature_id": "b", "query_snapshot": "m"},
            {**row, "execution_id": "e3", "feature_id": "c", "query_snapshot": None},
            {**only_clicks, "execution_id": "e1", "feature_id": "a", "query_snapshot": None},
            {**only_clicks, "execution_id": "e4", "feature_id": "a", "query_snapshot": "a"},
        ]
    )
    built, pairs = build_pairs(in_spark(spark, log), partitions=3), load_pairs(log)
    assert_same(built.to_training_pairs(), pairs)
    assert collect(built.pairs)["age_days"].to_list() == [None] * 2
    ours, oracle = built.click_counts(), click_counts(pairs)
    assert oracle.queries.to_list() == ['"a"', '"m"', "execution:e1", "execution:e3"]
    assert ours.queries.to_list() == oracle.queries.to_list()
    np.testing.assert_array_equal(ours.key, oracle.key)


def test_cells_are_columns_that_spark_queries(built):
    counts = built.click_counts("last_click", by="device", weighted=False)
    cells = collect(built.count_cells("last_click", by="device", weighted=False))
    assert cells.columns == [
        *("query_id", "has_query", "document_id", "position", "last_click", "context"),
        *("shown", "clicks"),
    ]
    assert len(cells) == len(counts.state)
    assert cells.select("shown", "clicks").sum().row(0) == (
        counts.shown.sum(),
        counts.clicks.sum(),
    )


def test_parameters_are_checked(built):
    with pytest.raises(InvalidInputError, match="states: got 'rank'"):
        built.click_counts("rank")
    with pytest.raises(InvalidInputError, match=r"build_pairs\(\.\.\., context=.*'device'"):
        built.count_cells(by="devise")
    with pytest.raises(InvalidInputError, match="max_position"):
        built.count_cells(max_position=-1)
