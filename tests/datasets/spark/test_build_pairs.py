"""Pairs that Spark's tasks fold are those of `load_pairs` on the same rows."""

from __future__ import annotations

import doctest
import json
import re
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.datasets.click_models import click_counts
from rankloom.datasets.spark import build_pairs
from rankloom.datasets.spark.collected import collect
from rankloom.errors import IntegrityError, InvalidInputError

from .logs import FUTURE, START, assert_same, in_spark, outcome, rough_log

pytestmark = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning"
)
OPTIONS = [
    {},
    {"context": ["device", "user_id"], "now": datetime(2026, 1, 1, 5, tzinfo=UTC)},
    {"half_life": 0.5, "grades": {"clik": 2}},
    {"query_key": lambda snapshot: str(snapshot)[:3]},
    {"query_key": "device", "builtin_features": ["feature_uri"], "context": ["session_id"]},
    {"types": {"clik": "click"}, "position_base": 1},
]


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_any_log_gives_the_same_pairs_and_report(spark, number):
    log, options = rough_log(number), OPTIONS[number]
    built = build_pairs(in_spark(spark, log), partitions=3, **options)
    assert_same(built.to_training_pairs(), load_pairs(log, **options))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_logs_give_the_same_pairs_and_report(spark, seed):
    log, options = rough_log(seed, rows=30 + 5 * (seed % 60)), OPTIONS[seed % len(OPTIONS)]
    ours = outcome(
        lambda: build_pairs(
            in_spark(spark, log), partitions=1 + seed % 5, **options
        ).to_training_pairs()
    )
    assert_same(ours, outcome(partial(load_pairs, log, **options)))


@pytest.mark.slow
def test_two_million_rows_give_the_same_pairs_counts_and_report(spark, tmp_path):
    log = simulate_interactions(n_executions=155_000, random_state=0)
    assert len(log) > 2_000_000
    log.write_parquet(tmp_path / "log.parquet")
    df = spark.read.parquet(str(tmp_path / "log.parquet"))
    built = build_pairs(df, partitions=8, checkpoint=str(tmp_path / "checkpoint"))
    oracle = load_pairs(log)
    assert_same(built.to_training_pairs(), oracle)
    for states in ("position", "last_click"):
        ours, expected = built.click_counts(states), click_counts(oracle, states)
        for name in ("key", "offsets", "state", "shown", "clicks"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))


def test_features_judgements_and_bots_join_on_the_driver(spark):
    catalogue = simulate_catalogue(n_queries=20, random_state=0)
    log = simulate_interactions(catalogue, n_executions=300, random_state=0)
    bots = log.filter(pl.col("execution_id").is_in(log["execution_id"].unique().sort().head(15)))
    log = pl.concat([log, bots.with_columns(interaction_type=pl.lit(["click"]))])
    tables = {
        "features": catalogue.drop("query", "grade"),
        "judgments": pl.DataFrame(
            {
                "query": ["query 0001"] * 2,
                "feature_id": ["q0001-d000", "q0001-d001"],
                "grade": [2, 0],
            }
        ),
    }
    built = build_pairs(in_spark(spark, log))
    ours = built.to_training_pairs(**tables, drop_bots=True)
    oracle = load_pairs(log, **tables, drop_bots=True)
    assert oracle.report.bot_executions
    assert_same(ours, oracle)
    np.testing.assert_array_equal(ours.judgments.grade, oracle.judgments.grade)


def test_pairs_are_columns_that_spark_queries(spark):
    log = simulate_interactions(n_executions=100, random_state=1)
    options = {"half_life": 3.0, "context": ["device", "position"]}
    built = build_pairs(in_spark(spark, log), partitions=2, **options)
    oracle = pl.from_pandas(load_pairs(log, **options).to_pandas())
    keys = ["execution_id", "position"]
    ours = collect(built.pairs).sort(keys).rename({"device": "device of ours"})
    exact = [
        *("execution_id", "query_id", "document_id", "y", "clicked", "negative", "position"),
        *("document_score", "feature:document_score", "feature:feature_uri"),
    ]
    expected = oracle.sort(keys)
    for name in exact:
        assert ours[name].cast(pl.String).to_list() == expected[name].cast(pl.String).to_list(), (
            name
        )
    assert ours["device of ours"].to_list() == expected["device"].to_list()
    assert ours["context:position"].is_not_null().all()
    assert (
        ours["time"].dt.timestamp("us").to_list() == expected["time"].dt.timestamp("us").to_list()
    )
    for name in ("age_days", "weight"):
        np.testing.assert_allclose(ours[name], expected[name], rtol=2e-7)
    last = -1
    for place, clicked, above in ours.select("position", "clicked", "last_click").rows():
        last = -1 if place == 0 else last
        assert above == (None if last < 0 else last)
        last = place if clicked else last


def test_a_log_has_times_if_rows_of_another_task_have(spark):
    shown = {"interaction_type": ["impression"], "position": 0}
    log = pl.DataFrame(
        [
            {
                **shown,
                "execution_id": f"e{e}",
                "feature_id": d,
                "occurred_at": START if not e else None,
            }
            for e in range(8)
            for d in "ab"
        ]
    )
    built = build_pairs(in_spark(spark, log), partitions=8)
    assert built.report.quarantined == 14
    assert_same(built.to_training_pairs(), load_pairs(log))


def _refused(df):
    msg = "[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute"
    raise NotImplementedError(msg)


@pytest.mark.parametrize("persists", [True, False])
def test_rows_of_the_future_are_dated_as_the_latest_other_row_of_any_task(
    spark, monkeypatch, persists
):
    shown = {"interaction_type": ["impression"], "position": 0}
    log = pl.DataFrame(
        [
            {**shown, "execution_id": f"e{e}", "feature_id": d, "occurred_at": time}
            for e, time in enumerate([START, FUTURE, datetime(2026, 1, 9, tzinfo=UTC)])
            for d in "ab"
        ]
    )
    df = in_spark(spark, log)
    if not persists:  # serverless compute refuses both
        for name in ("persist", "unpersist"):
            monkeypatch.setattr(type(df), name, _refused)
    pairs = build_pairs(df, partitions=3).to_training_pairs()
    assert pairs.time.max() == np.datetime64("2026-01-09")
    assert_same(pairs, load_pairs(log))


def test_refused_rows_are_named_by_their_ids(spark):
    log = rough_log(3)
    built = build_pairs(
        in_spark(spark, log.rename({"feature_id": "sku"})),
        partitions=3,
        columns={"feature_id": "sku"},
    )
    refused = collect(built.quarantine)
    assert refused.height == built.report.quarantined > 0
    kept = load_pairs(log).report
    reasons = dict(refused.group_by(pl.concat_str("field", pl.lit(": "), "reason")).len().rows())
    assert reasons == kept.quarantine_reasons
    of_row = {row["interaction_id"]: row for row in log.to_dicts()}
    negative = refused.filter(pl.col("value") == "-1")
    late = refused.filter(pl.col("field") == "position", pl.col("value").is_null())
    assert len(negative) > 0
    assert len(late) > 0
    for row in negative["row"].to_list():
        assert of_row[json.loads(row)["interaction_id"]]["position"] == -1
    for row in late["row"].to_list():
        own = of_row[json.loads(row)["interaction_id"]]
        assert own["position"] is None
        assert json.loads(row)["sku"] == own["feature_id"]


def test_types_of_spark_are_read_as_those_of_other_tables(spark):
    rows = 40
    table = pa.table(
        {
            "request": pa.array([Decimal(i % 5) for i in range(rows)], pa.decimal128(12, 2)),
            "feature_id": pa.array([b"doc-%d" % (i % 8) for i in range(rows)], pa.binary()),
            "kind": pa.array([i % 2 for i in range(rows)], pa.int16()),
            "rank": pa.array([float(i % 8) for i in range(rows)], pa.float32()),
            "at": pa.array([1_760_000_000 + i for i in range(rows)], pa.int64()),
            "user_id": pa.array([i % 3 for i in range(rows)], pa.int8()),
            "query_snapshot": pa.array([{"query": f"q{i % 5}"} for i in range(rows)]),
            "metadata": pa.array(
                [[("tier", "a" if i % 5 else "b")] for i in range(rows)],
                pa.map_(pa.string(), pa.string()),
            ),
            "not read": pa.array([{"x": i} for i in range(rows)]),
        }
    )
    options = {
        "columns": {
            "execution_id": "request",
            "interaction_type": "kind",
            "position": "rank",
            "occurred_at": "at",
        },
        "types": {"0": "impression", "1": "click"},
        "time_unit": "s",
        "context": ["tier"],
    }
    built = build_pairs(spark.createDataFrame(table), partitions=2, **options)
    assert_same(built.to_training_pairs(), load_pairs(table, **options))


def test_ids_as_floats_that_equal_each_other_are_one_execution(spark):
    log = pl.DataFrame(
        {
            "execution_id": [0.0, -0.0, float("nan"), None],
            "session_id": ["s", "t", "u", "u"],
            "feature_id": list("abab"),
            "interaction_type": [["impression"]] * 4,
            "position": [0, 1, 0, 1],
            "query_snapshot": ["q"] * 4,
        }
    )
    built = build_pairs(in_spark(spark, log), partitions=16)
    assert built.report.executions == 2
    assert_same(built.to_training_pairs(), load_pairs(log))


def test_a_checkpoint_is_computed_once(spark, tmp_path):
    log = simulate_interactions(n_executions=50, random_state=2)
    log.write_parquet(tmp_path / "log.parquet")
    df = spark.read.parquet(str(tmp_path / "log.parquet"))
    folder = tmp_path / "checkpoint"
    built = build_pairs(df, checkpoint=str(folder))
    (tmp_path / "log.parquet").unlink()
    assert_same(built.to_training_pairs(), load_pairs(log))
    assert built.click_counts().shown.sum() == 500
    shutil.rmtree(folder)


def test_a_source_that_changes_between_two_uses_is_noticed(spark, tmp_path):
    path = tmp_path / "log.parquet"
    simulate_interactions(n_executions=50, random_state=2).write_parquet(path)
    built = build_pairs(spark.read.parquet(str(path)))
    simulate_interactions(n_executions=40, random_state=2).write_parquet(path)
    with pytest.raises(IntegrityError, match=r"its tasks counted 50 .*\(checkpoint=FOLDER\)"):
        built.to_training_pairs()


@pytest.mark.filterwarnings("ignore:The copy keyword is deprecated:DeprecationWarning")
def test_spark_3_collects_by_pandas(spark):
    log = simulate_interactions(n_executions=20, random_state=2)
    pairs = build_pairs(in_spark(spark, log)).pairs.drop("time", "last_click")

    class Spark3:
        toPandas = staticmethod(pairs.toPandas)  # noqa: N815 - PySpark names it so

    by_pandas, by_arrow = collect(Spark3()), collect(pairs)
    assert by_pandas.equals(by_arrow.cast(dict(by_pandas.schema)))


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda log: log.rename({"feature_id": "sku"}), {}),
        (lambda log: log.with_columns(document_score=pl.lit("high")), {}),
        (lambda log: log.with_columns(interaction_type=pl.lit(["click"])), {}),
        (lambda log: log.with_columns(interaction_type=pl.lit(["query_refinement"])), {}),
        (lambda log: log.with_columns(position=pl.lit(-1)), {}),
        (lambda log: log.drop("occurred_at", "timestamp"), {"half_life": 3.0}),
        (lambda log: log, {"context": ["divice"]}),
        (lambda log: log, {"columns": {"feature_id": "skuu"}}),
        (lambda log: log, {"builtin_features": ["score"]}),
    ],
)
def test_errors_are_those_of_load_pairs(spark, change, options):
    log = change(simulate_interactions(n_executions=10, random_state=0))
    expected = outcome(partial(load_pairs, log, **options))
    assert isinstance(expected, tuple)
    assert outcome(lambda: build_pairs(in_spark(spark, log), **options)) == expected


def test_a_log_without_rows_gives_the_error_of_load_pairs(spark):
    log = simulate_interactions(n_executions=1, random_state=0)
    empty = in_spark(spark, log).filter("feature_id = 'none'")
    assert outcome(lambda: build_pairs(empty)) == outcome(partial(load_pairs, log.clear()))


def test_what_is_no_dataframe_of_spark_is_refused(spark):
    with pytest.raises(InvalidInputError, match=r"polars.*rankloom\[spark\]"):
        build_pairs(pl.DataFrame())
    frame = spark.range(3)
    with pytest.raises(
        InvalidInputError, match="partitions: expected a whole number of at least 1"
    ):
        build_pairs(frame, partitions=0)
    with pytest.raises(InvalidInputError, match="attribution: cannot be done on Spark"):
        build_pairs(frame, attribution="7d")
    with pytest.raises(InvalidInputError, match="several columns 'id'"):
        build_pairs(frame.selectExpr("id", "id + 1 AS id"))


@pytest.mark.parametrize("source", ["docstring", "docs/guide/scale.md"])
def test_the_examples_run_as_printed(spark, tmp_path, source):
    log = simulate_interactions(n_executions=100, random_state=0)
    in_spark(spark, log).createOrReplaceTempView("interactions")
    names = {"spark": spark}
    if source != "docstring":
        text = (Path(__file__).parents[3] / source).read_text(encoding="utf-8")
        blocks = re.findall(r"^```py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        (code,) = (block for block in blocks if "datasets.spark" in block)
        exec(code.replace("s3://bucket", str(tmp_path)), names)  # noqa: S102 - our own text
        assert_same(names["pairs"], load_pairs(log, context=["device"]))
    else:
        for example in doctest.DocTestParser().get_examples(build_pairs.__doc__):
            code = example.source.replace("s3://bucket", str(tmp_path))
            if example.want:
                assert f"{eval(code, names)!r}\n" == example.want  # noqa: S307 - our own text
            else:
                exec(code, names)  # noqa: S102
    assert spark.read.parquet(str(tmp_path / "pairs")).count() == 1_000


def test_no_time_zone_of_the_session_changes_a_time(spark):
    log = simulate_interactions(n_executions=30, random_state=4)
    log = log.with_columns(pl.col("occurred_at").dt.replace_time_zone("Asia/Kolkata"))
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        built = build_pairs(in_spark(spark, log), partitions=2)
        assert_same(built.to_training_pairs(), load_pairs(log))
        latest = built.pairs.selectExpr("max(unix_micros(time))").collect()[0][0]
        assert latest == load_pairs(log).time.max().astype("int64")
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
