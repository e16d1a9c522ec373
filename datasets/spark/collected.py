"""Rows of the results of tasks, brought to the driver and put together as one part."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl

from ...errors import IntegrityError
from ..loading.part import CHANNEL, Part
from ..pairs.executions import execution_order
from ..pairs.fold import NO_TIME, PairColumns
from ..pairs.text_codes import alphabetical_codes, index_among
from .result_rows import EXECUTION, PAIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from .facts import Facts
    from .result_rows import ResultSchema


def collect(df: DataFrame) -> pl.DataFrame:
    """Return a DataFrame of Spark on the driver."""
    import pyarrow as pa

    # Spark 4 has toArrow.
    table = df.toArrow() if hasattr(df, "toArrow") else pa.Table.from_pandas(df.toPandas())
    return cast(pl.DataFrame, pl.from_arrow(table))


def micros(name: str) -> str:
    """Return the expression of a time as microseconds, which no session's time zone changes."""
    return f"coalesce(unix_micros({name}), {NO_TIME}L)"


def collect_part(
    df: DataFrame, schema: ResultSchema, features: Sequence[str], facts: Facts
) -> Part:
    """Return the executions and pairs of all tasks as one part.

    `features`: those that the part gets, out of those of the schema.
    """
    chosen = [
        c
        for name, c in zip(schema.features, schema.feature_columns, strict=True)
        if name in features
    ]
    texts = ["execution_id", "query_id", "user_id", *schema.context_columns]
    of_pairs = ["document_id", "position", "y", "clicked", "negative", "document_score", *chosen]
    rows = collect(
        df.filter(f"kind IN ('{PAIR}', '{EXECUTION}')").selectExpr(
            "kind", *texts, "has_query", f"{micros('time')} AS first_time", *of_pairs
        )
    )
    described = rows.select(*texts, "has_query", "first_time")
    executions = described.unique("execution_id", keep="any")
    order = execution_order(executions["first_time"].to_numpy(), executions["execution_id"])
    executions = executions[order]
    pairs = rows.filter(pl.col("kind") == PAIR)
    execution = index_among(pairs["execution_id"], executions["execution_id"])
    documents = all_texts(pairs["document_id"], facts.texts.get("documents", []))
    document = index_among(pairs["document_id"], documents).astype(np.int32)
    by_list = np.lexsort((document, pairs["position"].to_numpy(), execution))
    pairs, document = pairs[by_list], document[by_list]
    group = np.bincount(execution, minlength=len(executions)).astype(np.int32)
    _check(int(np.count_nonzero(group)), len(pairs), facts)
    channels = all_texts(pl.Series([], dtype=pl.String), facts.texts.get("channels", []))
    named = executions["query_id"].set(~executions["has_query"], None)
    queries = all_texts(named, facts.texts.get("queries", []))
    user, users = alphabetical_codes(executions["user_id"].drop_nulls())
    return Part(
        ids=executions["execution_id"],
        first_time=executions["first_time"].to_numpy(),
        query=index_among(named, queries).astype(np.int32),
        user=_filled_in(user, executions["user_id"].is_not_null().to_numpy()),
        context={
            name: executions[column].alias(name)
            for name, column in zip(schema.context, schema.context_columns, strict=True)
        },
        pairs=PairColumns(
            group=group,
            document=document,
            grade=pairs["y"].to_numpy(),
            clicked=pairs["clicked"].to_numpy(),
            negative=pairs["negative"].to_numpy(),
            position=pairs["position"].to_numpy(),
            score=pairs["document_score"].fill_null(np.nan).to_numpy(),
            X=_matrix(pairs, dict(zip(features, chosen, strict=True)), channels),
        ),
        features=tuple(features),
        documents=documents,
        queries=queries,
        channels=channels,
        users=users,
        latest=facts.latest,
        counts=facts.counts,
        positions=facts.positions,
        met=None,
    )


def all_texts(used: pl.Series, others: list[str]) -> pl.Series:
    """Return the distinct texts of both, sorted."""
    beside = pl.Series(others, dtype=pl.String)
    return pl.concat([used.drop_nulls().alias(""), beside]).unique().sort()


def _filled_in(codes: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.int32]:
    found = np.full(len(known), -1, np.int32)
    found[known] = codes
    return found


def _matrix(
    pairs: pl.DataFrame, columns: Mapping[str, str], channels: pl.Series
) -> NDArray[np.float32]:
    """Return the features as columns of a matrix; `columns`: feature -> column of the pairs."""
    X = np.full((len(pairs), len(columns)), np.nan, np.float32)
    for number, (name, column) in enumerate(columns.items()):
        if name == CHANNEL:
            codes = index_among(pairs[column], channels)
            X[codes >= 0, number] = codes[codes >= 0]
        else:
            X[:, number] = pairs[column].fill_null(np.nan).to_numpy()
    return X


def _check(executions: int, pairs: int, facts: Facts) -> None:
    """Raise if the rows are not those that the tasks counted."""
    counted = facts.lists
    if (executions, pairs) != (counted.executions, counted.pairs):
        msg = (
            f"{executions:,} executions with {pairs:,} pairs came from Spark, where its tasks "
            f"counted {counted.executions:,} with {counted.pairs:,}: the source returned other "
            "rows when it was read again. Give build_pairs(checkpoint=FOLDER)"
        )
        raise IntegrityError(msg)
