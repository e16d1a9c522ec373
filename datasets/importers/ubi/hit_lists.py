"""Queries of UBI as lists that were shown: one execution for each, pages of one put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...record.query_keys import canonical_query

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATOR: Final = "\x1f"


def distinct_queries(queries: pl.DataFrame) -> pl.DataFrame:
    """Return the queries that repeat no other one, with their ``list`` number and ``execution_id``.

    A query repeats another one of the same id if both have the same text, hits and offset, or if
    it has no hit list. One without hits for a text of its own is kept: it found nothing.

    A query's execution is its ``query_id``. Where several lists came under one id, as type-ahead
    searches do, each list is an execution: the earliest has the id, the others the id with a
    number, ``id#2`` and so on. Lists of one query that continue each other are its pages, and
    stay one execution.
    """
    text = pl.col("text").fill_null("")
    filled = pl.col("hits").list.len().fill_null(0) > 0
    texts = pl.concat_str("query_id", text, separator=SEPARATOR)
    with_hits = queries.filter(filled)
    repeats = (
        pl.col("query_id").is_in(with_hits["query_id"].unique().implode())
        & ~filled
        & (pl.col("hits").is_null() | (text == "") | texts.is_in(_texts(with_hits).implode()))
    )
    # A list has no equality that windows know; its joined text does.
    same = (texts, pl.col("hits").list.join(SEPARATOR).fill_null(""), pl.col("offset"))
    kept = queries.filter(~repeats).filter(pl.struct(*same).is_first_distinct())
    names = pl.Series("execution_id", _execution_ids(kept), dtype=pl.String)
    return kept.with_columns(names).with_row_index("list")


def _texts(queries: pl.DataFrame) -> pl.Series:
    text = pl.col("text").fill_null("")
    return queries.select(pl.concat_str("query_id", text, separator=SEPARATOR)).to_series().unique()


def _execution_ids(queries: pl.DataFrame) -> list[str]:
    names: list[str] = queries["query_id"].to_list()
    ids = set(names)
    several = queries.with_row_index("place").filter(pl.col("query_id").is_duplicated())
    columns = ["place", "query_id", "query_snapshot", "offset", "hits"]
    ordered = several.sort("query_id", "time", maintain_order=True).select(columns)
    for lists in ordered.partition_by("query_id", maintain_order=True):
        for number, place in _numbered(lists.to_dicts()):
            if number > 1:
                names[place] = _free_name(f"{names[place]}#{number}", ids)
    return names


def _numbered(lists: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yield the number of each list's execution, from 1, and the list's place."""
    executions: list[tuple[str, list[range]]] = []
    for each in lists:
        query = canonical_query(each["query_snapshot"] or "")
        shown = range(each["offset"], each["offset"] + len(each["hits"] or ()))
        for number, (other, ranges) in enumerate(executions, 1):
            if query == other and shown and all(_apart(shown, part) for part in ranges):
                ranges.append(shown)
                yield number, each["place"]
                break
        else:
            executions.append((query, [shown]))
            yield len(executions), each["place"]


def _apart(one: range, other: range) -> bool:
    return bool(other) and (one.stop <= other.start or other.stop <= one.start)


def _free_name(name: str, ids: set[str]) -> str:
    """Return the name, or a longer one if it is the id of another query."""
    while name in ids:
        name += "#"
    return name


def with_people(queries: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the queries with the user and session of their events where they name none.

    OpenSearch stores a query without its user; the browser that sends the events knows them.
    """
    names = ("user_id", "session_id")
    of_events = (
        events.filter(pl.col("query_id").is_not_null())
        .sort("time", maintain_order=True)
        .group_by("query_id")
        .agg(pl.col(name).drop_nulls().first().alias(f"event_{name}") for name in names)
    )
    joined = queries.join(of_events, on="query_id", how="left", maintain_order="left")
    return joined.with_columns(
        pl.coalesce("user_id", "event_user_id", "client_id").alias("user_id"),
        pl.coalesce("session_id", "event_session_id").alias("session_id"),
    ).drop("event_user_id", "event_session_id")


def with_sizes(queries: pl.DataFrame) -> pl.DataFrame:
    """Return the queries with the ``size`` of their execution: hits of all its pages."""
    size = pl.col("hits").list.len().sum().over("execution_id").cast(pl.Int32)
    return queries.with_columns(size.alias("size"))


def hits_of(queries: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each hit with its index; an id that an execution repeats counts once."""
    filled = queries.filter(pl.col("hits").list.len() > 0).with_columns(
        pl.int_ranges(pl.col("hits").list.len()).alias("index"),
    )
    hits = filled.explode("hits", "index").rename({"hits": "feature_id"})
    placed = hits.with_columns(pl.col("index") + pl.col("offset"))
    return placed.unique(["execution_id", "feature_id"], keep="first", maintain_order=True)
