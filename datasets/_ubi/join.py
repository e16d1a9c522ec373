"""Queries and events of UBI joined into interactions: what was shown, and what became of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import polars as pl

from ..duplicates import mark_duplicates
from ..interaction import InteractionType, canonical_schema
from .read import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._quarantine import Quarantine

UNKNOWN_ACTION: Final = "no interaction type is known for this action; name one in actions="
OTHER_HITS: Final = "an earlier query has this id and another hit list"
NO_POSITION: Final = "missing, and the object is not in the hit list of a query with this query_id"
BELOW_BASE: Final = "below ordinal_base"

_SEPARATOR: Final = "\x1f"


def distinct_queries(queries: pl.DataFrame, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """Return one query for each id, and how many others said the same.

    The first one with hits stands; one without hits, or with the same, repeats it. Other hits
    under the same id go to the quarantine: which of them an event speaks of is not known.
    """
    size = pl.col("hits").list.len().fill_null(0)
    ordered = queries.sort(size == 0, maintain_order=True).with_columns(
        # A list has no equality that joins and windows know; its joined text does.
        pl.col("hits").list.join(_SEPARATOR).alias("joined"),
    )
    first = pl.col("query_id").is_first_distinct()
    other = ~first & (size > 0) & (pl.col("joined") != pl.col("joined").first().over("query_id"))
    told = refuse(ordered, other, ("query_id", pl.col("query_id"), OTHER_HITS), quarantine)
    kept = told.filter(first).drop("joined")
    return kept, told.height - kept.height


def with_people(queries: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return the queries with the user and session of their events where they name none.

    Search engines store a query without its user; the browser that sends the events knows him.
    """
    names = ("user_id", "session_id")
    told = (
        events.filter(pl.col("query_id").is_not_null())
        .sort("time", maintain_order=True)
        .group_by("query_id")
        .agg(pl.col(name).drop_nulls().first().alias(f"told_{name}") for name in names)
    )
    joined = queries.join(told, on="query_id", how="left", maintain_order="left")
    return joined.with_columns(
        pl.coalesce("user_id", "told_user_id", "client_id").alias("user_id"),
        pl.coalesce("session_id", "told_session_id").alias("session_id"),
    ).drop("told_user_id", "told_session_id")


def hits_of(queries: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each hit with its index; an id that a list repeats counts once."""
    filled = queries.filter(pl.col("hits").list.len() > 0).with_columns(
        pl.col("hits").list.len().cast(pl.Int32).alias("size"),
        pl.int_ranges(pl.col("hits").list.len()).alias("index"),
    )
    hits = filled.explode("hits", "index").rename({"hits": "feature_id"})
    return hits.unique(["query_id", "feature_id"], keep="first", maintain_order=True)


def typed_events(
    events: pl.DataFrame, actions: Mapping[str, str], quarantine: Quarantine
) -> pl.DataFrame:
    """Return the events whose action has a type, with that ``type``."""
    types = pl.col("action").replace_strict(
        list(actions), list(actions.values()), default=None, return_dtype=pl.String
    )
    fault = ("action_name", pl.col("action"), UNKNOWN_ACTION)
    typed = events.with_columns(types.alias("type"))
    return refuse(typed, pl.col("type").is_null(), fault, quarantine)


def with_hits(events: pl.DataFrame, hits: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """Return the events with what their query says, and their object's index in its hit list.

    Hit lists hold the object's id or, where the engine was told no field for it, its internal id.
    """
    places = hits.select("query_id", "feature_id", "index")
    own, internal = ["query_id", "object_id"], ["query_id", "internal_id"]
    keys = ["query_id", "feature_id"]
    joined = events.join(
        places, left_on=own, right_on=keys, how="left", maintain_order="left"
    ).join(
        places, left_on=internal, right_on=keys, how="left", maintain_order="left", suffix="_inner"
    )
    by_internal = pl.col("index").is_null() & pl.col("index_inner").is_not_null()
    feature = pl.when(by_internal).then("internal_id").otherwise("object_id").alias("feature_id")
    said = queries.select(
        "query_id",
        pl.col("user_id", "session_id", "query_snapshot").name.suffix("_of_query"),
        pl.col("hits").list.len().cast(pl.Int32).alias("size"),
    )
    told = joined.join(said, on="query_id", how="left", maintain_order="left")
    return told.with_columns(
        feature,
        pl.coalesce("index", "index_inner").alias("index"),
        pl.coalesce("user_id", "user_id_of_query", "client_id").alias("user_id"),
        pl.coalesce("session_id", "session_id_of_query").alias("session_id"),
        pl.coalesce("query_snapshot_of_query", "query_snapshot").alias("query_snapshot"),
    )


def placed(events: pl.DataFrame, base: int, quarantine: Quarantine) -> pl.DataFrame:
    """Return the events with their ``position``: the ordinal's, else that in the hit list."""
    position = pl.coalesce(pl.col("ordinal") - base, "index").alias("position")
    field, ordinal = "event_attributes.position.ordinal", pl.col("ordinal")
    placed = events.with_columns(position)
    unknown = pl.col("position").is_null()
    placed = refuse(placed, unknown, (field, pl.lit(None), NO_POSITION), quarantine)
    return refuse(placed, pl.col("position") < 0, (field, ordinal, BELOW_BASE), quarantine)


def interactions_of(
    hits: pl.DataFrame, events: pl.DataFrame, retriever_id: str | None
) -> tuple[pl.DataFrame, int]:
    """Return canonical rows, impressions before events, and how many events were duplicates."""
    shown = hits.with_columns(
        pl.lit(str(InteractionType.IMPRESSION)).alias("type"),
        pl.col("index").alias("position"),
        pl.Series("interaction_id", _ids(hits, ["query_id", "feature_id"]), dtype=pl.String),
    )
    keys = ["action", "query_id", "client_id", "session_id", "time", "feature_id", "ordinal"]
    done = events.with_columns(
        pl.Series("interaction_id", _ids(events, keys), dtype=pl.String),
    )
    frame = pl.concat([_canonical(shown, retriever_id), _canonical(done, retriever_id)])
    duplicate = _duplicates(frame)
    return frame.filter(~duplicate), int(duplicate.tail(done.height).sum())


def _canonical(rows: pl.DataFrame, retriever_id: str | None) -> pl.DataFrame:
    schema = canonical_schema()
    given = rows.select(
        "feature_id",
        pl.concat_list("type").alias("interaction_type"),
        "position",
        "metadata",
        "user_id",
        "session_id",
        pl.col("query_id").alias("execution_id"),
        pl.lit(retriever_id, pl.String).alias("retriever_id"),
        "query_snapshot",
        pl.when(pl.col("size") > 0).then("size").alias("result_set_size"),
        pl.col("time").alias("occurred_at"),
        "interaction_id",
    )
    absent = [pl.lit(None).alias(name) for name in schema if name not in given.columns]
    return given.with_columns(absent).select(*schema).cast(pl.Schema(schema))


def _duplicates(frame: pl.DataFrame) -> pl.Series:
    types = pl.col("interaction_type").list.first().rank("dense").cast(pl.UInt64)
    return mark_duplicates(
        frame.select(
            "execution_id",
            "feature_id",
            types.alias("type_mask"),
            pl.col("occurred_at").alias("event_time"),
            "interaction_id",
        )
    )


def _ids(rows: pl.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return ids that the same documents always get, so that a second import changes nothing."""
    parts = [pl.col(name).cast(pl.String).fill_null("") for name in keys]
    texts = rows.select(pl.concat_str(parts, separator=_SEPARATOR))[:, 0].to_list()
    prefix = f"ubi{_SEPARATOR}{len(keys)}{_SEPARATOR}"
    return [hashlib.blake2b((prefix + text).encode(), digest_size=16).hexdigest() for text in texts]
