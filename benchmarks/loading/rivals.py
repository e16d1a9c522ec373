"""The loader's job as one would write it with pandas, polars or DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rankloom.datasets import TrainingPairs, canonical_query

if TYPE_CHECKING:
    from collections.abc import Callable

HALF_LIFE = 30.0
GRADES = {
    **dict.fromkeys(("click", "dwell"), 1),
    **dict.fromkeys(("long_view", "share", "bookmark", "wishlist"), 2),
    **dict.fromkeys(("add_to_cart", "positive_feedback"), 3),
    "purchase": 4,
}
NEGATIVE = ["negative_feedback", "skip", "return_to_results"]
LIST_LEVEL = ["query_refinement", "zero_results", "filter_toggle"]
COLUMNS = [
    "execution_id",
    "feature_id",
    "interaction_type",
    "position",
    "document_score",
    "feature_uri",
    "result_set_size",
    "query_snapshot",
    "timestamp",
]
KEYS = ["execution_id", "feature_id"]


def bare_scan(files: list[str]) -> pl.DataFrame:
    """Read the needed columns and nothing else."""
    return pl.scan_parquet(files).select(COLUMNS).collect()


def with_pandas(files: list[str]) -> Any:
    """Explode, group, sort: plain pandas."""
    import pandas as pd

    rows = pd.concat([pd.read_parquet(file, columns=COLUMNS) for file in files], ignore_index=True)
    types = rows["interaction_type"].explode()
    by_row = (
        pd.DataFrame(
            {
                "grade": types.map(GRADES).fillna(0).astype(np.int32),
                "negative": types.isin(NEGATIVE),
                "returned": types.eq("return_to_results"),
                "document_level": ~types.isin(LIST_LEVEL),
            }
        )
        .groupby(level=0)
        .max()
    )
    rows = rows.drop(columns="interaction_type").join(by_row)
    rows = rows[rows["document_level"]].sort_values(["timestamp", "position"], kind="stable")
    pairs = (
        rows.groupby(KEYS, sort=False)
        .agg(
            grade=("grade", "max"),
            negative=("negative", "max"),
            returned=("returned", "max"),
            position=("position", "first"),
            document_score=("document_score", "first"),
            feature_uri=("feature_uri", "first"),
            result_set_size=("result_set_size", "first"),
            query_snapshot=("query_snapshot", "first"),
            timestamp=("timestamp", "min"),
        )
        .reset_index()
    )
    pairs["clicked"] = pairs["grade"] >= 1
    pairs.loc[(pairs["grade"] == 1) & pairs["returned"], "grade"] = 0
    pairs["time"] = pairs.groupby("execution_id", sort=False)["timestamp"].transform("min")
    pairs = pairs.sort_values(["time", "execution_id", "position", "feature_id"])
    snapshots = pairs["query_snapshot"].unique()
    pairs["query_id"] = pairs["query_snapshot"].map(
        dict(zip(snapshots, map(canonical_query, snapshots), strict=True))
    )
    channels = sorted(rows["feature_uri"].dropna().unique())
    codes = pd.Categorical(pairs["feature_uri"], channels).codes
    pairs["channel"] = np.where(codes < 0, np.nan, codes).astype(np.float32)
    age = (rows["timestamp"].max() - pairs["time"]) / pd.Timedelta(days=1)
    pairs["weight"] = np.exp2(-age / HALF_LIFE).astype(np.float32)
    return pairs


def with_polars(files: list[str]) -> pl.DataFrame:
    """One lazy query by streaming, then a sort."""
    types = pl.col("interaction_type")
    names = [*GRADES, "impression", "view", *NEGATIVE, *LIST_LEVEL]
    grade = types.list.eval(
        pl.element().replace_strict(
            names, [GRADES.get(name, 0) for name in names], return_dtype=pl.Int32
        )
    ).list.max()
    pairs = (
        pl.scan_parquet(files)
        .select(
            *KEYS,
            "position",
            "document_score",
            "feature_uri",
            "result_set_size",
            "query_snapshot",
            "timestamp",
            grade=grade,
            negative=types.list.eval(pl.element().is_in(NEGATIVE)).list.any(),
            returned=types.list.contains("return_to_results"),
            document_level=types.list.eval(~pl.element().is_in(LIST_LEVEL)).list.any(),
        )
        .filter("document_level")
        .group_by(KEYS)
        .agg(
            pl.col("grade", "negative", "returned").max(),
            pl.col("position", "document_score", "feature_uri", "result_set_size").get(
                pl.col("timestamp").arg_min()
            ),
            pl.col("query_snapshot").first(),
            pl.col("timestamp").min(),
        )
        .collect(engine="streaming")
    )
    snapshots = pairs["query_snapshot"].unique().to_list()
    channels = pairs["feature_uri"].drop_nulls().unique().sort()
    return (
        pairs.with_columns(
            time=pl.col("timestamp").min().over("execution_id"),
            clicked=pl.col("grade") >= 1,
            grade=pl.when((pl.col("grade") == 1) & pl.col("returned")).then(0).otherwise("grade"),
            query_id=pl.col("query_snapshot").replace_strict(
                snapshots, [canonical_query(s) for s in snapshots]
            ),
            channel=pl.col("feature_uri").cast(pl.Enum(channels)).to_physical().cast(pl.Float32),
        )
        .with_columns(weight=_weight_expr())
        .sort("time", "execution_id", "position", "feature_id")
    )


def _weight_expr() -> pl.Expr:
    age = (pl.col("timestamp").max() - pl.col("time")).dt.total_microseconds() / 86_400_000_000
    return (2.0 ** (-age / HALF_LIFE)).cast(pl.Float32)


def with_duckdb(files: list[str]) -> Any:
    """One SQL statement; the result as an Arrow table."""
    import duckdb

    grade = " ".join(f"WHEN '{name}' THEN {value}" for name, value in GRADES.items())
    listed = ", ".join(f"'{name}'" for name in NEGATIVE)
    lists = ", ".join(f"'{name}'" for name in LIST_LEVEL)
    connection = duckdb.connect(config={"threads": 2})
    connection.execute(
        f"""
        CREATE TEMP TABLE pairs AS
        SELECT execution_id, feature_id,
               max(list_max(list_transform(interaction_type,
                                           lambda x: CASE x {grade} ELSE 0 END))) AS grade,
               bool_or(list_has_any(interaction_type, [{listed}])) AS negative,
               bool_or(list_contains(interaction_type, 'return_to_results')) AS returned,
               arg_min(position, timestamp) AS position,
               arg_min(document_score, timestamp) AS document_score,
               arg_min(feature_uri, timestamp) AS feature_uri,
               arg_min(result_set_size, timestamp) AS result_set_size,
               any_value(query_snapshot) AS query_snapshot,
               min(timestamp) AS timestamp
        FROM read_parquet({files!r})
        WHERE len(list_filter(interaction_type, lambda x: x NOT IN ({lists}))) > 0
        GROUP BY execution_id, feature_id
        """  # noqa: S608 - our own constants
    )
    connection.create_function("canonical_query", canonical_query, [str], str)
    return connection.sql(
        f"""
        WITH queries AS (
            SELECT query_snapshot, canonical_query(query_snapshot) AS query_id
            FROM (SELECT DISTINCT query_snapshot FROM pairs)
        ), channels AS (
            SELECT feature_uri, row_number() OVER (ORDER BY feature_uri) - 1 AS channel
            FROM (SELECT DISTINCT feature_uri FROM pairs WHERE feature_uri IS NOT NULL)
        ), times AS (
            SELECT execution_id, min(timestamp) AS time FROM pairs GROUP BY execution_id
        )
        SELECT execution_id, feature_id, query_id, position, document_score, result_set_size,
               CASE WHEN grade = 1 AND returned THEN 0 ELSE grade END AS grade,
               grade >= 1 AS clicked, negative, channel::FLOAT AS channel,
               pow(2, -epoch((SELECT max(timestamp) FROM read_parquet({files!r})) - time)
                      / 86400 / {HALF_LIFE})::FLOAT AS weight
        FROM pairs JOIN queries USING (query_snapshot) JOIN times USING (execution_id)
             LEFT JOIN channels USING (feature_uri)
        ORDER BY time, execution_id, position, feature_id
        """  # noqa: S608 - our own constants
    ).to_arrow_table()


RIVALS: dict[str, Callable[[list[str]], Any]] = {
    "bare scan": bare_scan,
    "polars": with_polars,
    "duckdb": with_duckdb,
    "pandas": with_pandas,
}


def pairs_frame(result: Any) -> pl.DataFrame:
    """Bring any contender's result into one form for the comparison."""
    if isinstance(result, TrainingPairs):
        return pl.DataFrame(
            {
                "execution_id": result.execution_id.gather(result.execution_index),
                "feature_id": result.document_id,
                "query_id": result.query_id.gather(result.execution_index),
                "position": result.position,
                "grade": result.y.astype(np.int32),
                "clicked": result.clicked,
                "negative": result.negative,
                "document_score": result.document_score,
                "channel": result.X[:, result.feature_names.index("feature_uri")],
                "weight": result.weight,
            }
        )
    frame = pl.DataFrame(result)
    return frame.select(
        *KEYS,
        "query_id",
        pl.col("position").cast(pl.Int32),
        pl.col("grade").cast(pl.Int32),
        "clicked",
        "negative",
        "document_score",
        pl.col("channel").cast(pl.Float32),
        "weight",
    )
