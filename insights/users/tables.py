"""A user's rows and searches by type, day, query, document and retriever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from ..searches.coded import Coded
    from ..searches.searches import Searches

TIME: Final = pl.Datetime("us")


class SearchTables(NamedTuple):
    """Tables of `UserMetrics`, which describes them."""

    types: pl.DataFrame
    days: pl.DataFrame
    queries: pl.DataFrame
    documents: pl.DataFrame
    retrievers: pl.DataFrame


def tables_of(rows: pl.DataFrame, searches: Searches | None) -> SearchTables:
    """Return the tables of a user's rows, and of the searches that they make, if any."""
    return SearchTables(
        types=_types(rows),
        days=_days(rows, searches),
        queries=_by_column("query", searches),
        documents=_documents(searches),
        retrievers=_by_column("retriever", searches),
    )


def _types(rows: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.select(pl.col("interaction_type").list.unique().alias("type"), "event_time")
        .explode("type")
        .group_by("type")
        .agg(
            pl.len().cast(pl.Int64).alias("rows"),
            pl.col("event_time").min().alias("first"),
            pl.col("event_time").max().alias("last"),
        )
        .sort("rows", "type", descending=[True, False])
    )


def _days(rows: pl.DataFrame, searches: Searches | None) -> pl.DataFrame:
    day = pl.col("event_time").dt.date().alias("day")
    table = rows.drop_nulls("event_time").group_by(day).agg(pl.len().cast(pl.Int64).alias("rows"))
    of_searches = (
        _frame(searches).drop_nulls("time").group_by(pl.col("time").dt.date().alias("day"))
    )
    counts = of_searches.agg(*_COUNTS)
    joined = table.join(counts, on="day", how="full", coalesce=True)
    return joined.fill_null(0).sort("day")


_COUNTS: Final = (
    pl.len().cast(pl.Int64).alias("searches"),
    pl.col("shown").sum(),
    pl.col("engaged").sum(),
)
_TIMES: Final = (
    pl.col("time").min().alias("first"),
    pl.col("time").max().alias("last"),
)


def _frame(searches: Searches | None) -> pl.DataFrame:
    """Return a row a search: time, documents shown and engaged with."""
    if searches is None:
        return pl.DataFrame(schema={"time": TIME, "shown": pl.Int64, "engaged": pl.Int64})
    of = searches.displays.search[searches.displays.engaged]
    return pl.DataFrame(
        {
            "time": searches.time.astype("datetime64[us]"),
            "shown": searches.shown.astype(np.int64),
            "engaged": np.bincount(of, minlength=len(searches)).astype(np.int64),
        }
    )


def _by_column(name: str, searches: Searches | None) -> pl.DataFrame:
    """Return searches by their query or retriever, the most frequent first."""
    column: Coded | None = None if searches is None else getattr(searches, name)
    texts = pl.Series([], dtype=pl.String) if column is None else column.values()
    return (
        _frame(searches)
        .with_columns(texts.alias(name))
        .drop_nulls(name)
        .group_by(name)
        .agg(*_COUNTS, *_TIMES)
        .sort("searches", name, descending=[True, False])
    )


def _documents(searches: Searches | None) -> pl.DataFrame:
    if searches is None:
        frame = pl.DataFrame(
            schema={
                "feature_id": pl.String,
                "engaged": pl.Boolean,
                "grade": pl.Int64,
                "time": TIME,
            }
        )
    else:
        displays = searches.displays
        frame = pl.DataFrame(
            {
                "feature_id": displays.document.values(),
                "engaged": displays.engaged,
                "grade": displays.grade.astype(np.int64),
                "time": searches.time[displays.search].astype("datetime64[us]"),
            }
        )
    return (
        frame.group_by("feature_id")
        .agg(
            pl.len().cast(pl.Int64).alias("shown"),
            pl.col("engaged").sum().cast(pl.Int64),
            pl.col("grade").max(),
            *_TIMES,
        )
        .sort("engaged", "shown", "feature_id", descending=[True, True, False])
    )
