"""Events of UBI joined with the lists they happened on, and both as interactions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import polars as pl

from ...reading.duplicates import mark_duplicates
from ...record.interaction import InteractionType, canonical_schema
from .flatten import ORDINAL
from .hit_lists import SEPARATOR
from .read import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...reading.quarantine import Quarantine

UNKNOWN_ACTION: Final = "no interaction type is known for this action; name one in actions="
NOT_IN_HITS: Final = "and the object is not in the hit list of a query with this query_id"
NO_ORDINAL: Final = f"missing, {NOT_IN_HITS}"
BELOW_BASE: Final = f"below ordinal_base, {NOT_IN_HITS}"
NO_BASE: Final = f"what it counts from is not known, {NOT_IN_HITS}"


def typed_events(
    events: pl.DataFrame, actions: Mapping[str, str], quarantine: Quarantine
) -> pl.DataFrame:
    """Return the events whose action has a type, with that ``type``."""
    types = pl.col("action").replace_strict(
        list(actions), list(actions.values()), default=None, return_dtype=pl.String
    )
    fault = ("action_name", pl.col("action"), pl.lit(UNKNOWN_ACTION))
    typed = events.with_columns(types.alias("type"))
    return refuse(typed, pl.col("type").is_null(), fault, quarantine)


def with_hits(events: pl.DataFrame, hits: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """Return the events with the query and execution they belong to, and their object's index.

    Of several lists under one ``query_id`` the event belongs to one that holds its object; among
    these to one of its ``user_query``; among these to the latest before it. Hit lists hold the
    object's id or, without an object_id_field, its internal id.
    """
    events = events.with_row_index("event")
    lists = queries.select(
        pl.col("list", "query_id", "execution_id", "size"),
        pl.col("user_id", "session_id", "query_snapshot", "application").name.suffix("_of_query"),
        pl.col("text").alias("list_text"),
        pl.col("time").alias("list_time"),
    )
    places = hits.select("query_id", "feature_id", "index", "list")
    own = events.join(
        places, left_on=["query_id", "object_id"], right_on=["query_id", "feature_id"]
    ).select("event", "list", "index", feature_id="object_id", evidence=0)
    internal = events.join(
        places, left_on=["query_id", "internal_id"], right_on=["query_id", "feature_id"]
    ).select("event", "list", "index", feature_id="internal_id", evidence=1)
    by_id = events.join(lists, on="query_id").select(
        "event", "list", index=None, feature_id="object_id", evidence=2
    )
    matches = pl.concat([own, internal, by_id], how="vertical_relaxed")
    best = _best(matches, events, lists)
    joined = events.join(best, on="event", how="left", maintain_order="left")
    return joined.with_columns(
        pl.coalesce("feature_id", "object_id").alias("feature_id"),
        pl.coalesce("execution_id", "query_id").alias("execution_id"),
        pl.coalesce("user_id", "user_id_of_query", "client_id").alias("user_id"),
        pl.coalesce("session_id", "session_id_of_query").alias("session_id"),
        pl.coalesce("query_snapshot_of_query", "query_snapshot").alias("query_snapshot"),
        pl.coalesce("application", "application_of_query").alias("application"),
    )


def _best(matches: pl.DataFrame, events: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """Return the list that each event belongs to, with what the query says."""
    times = events.select("event", "text", "time")
    compared = matches.join(times, on="event").join(lists.drop("query_id"), on="list")
    other_text = (pl.col("text") != pl.col("list_text")).fill_null(value=False)
    wait = pl.col("time") - pl.col("list_time")
    ordered = compared.sort(
        "event",
        "evidence",
        other_text,
        wait < pl.duration(microseconds=0),
        wait.abs(),
        maintain_order=True,
    )
    best = ordered.unique("event", keep="first", maintain_order=True)
    return best.drop("list", "evidence", "text", "time", "list_text", "list_time")


def placed(events: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    """Return the events with their ``position``: the ordinal's, else that in the hit list."""
    by_ordinal = pl.col("ordinal") - pl.col("base")
    position = pl.when(by_ordinal >= 0).then(by_ordinal).otherwise("index").alias("position")
    value = pl.coalesce(pl.col("ordinal").cast(pl.String), "unusable_ordinal")
    reason = (
        pl.when(pl.col("ordinal_fault").is_not_null())
        .then(pl.concat_str("ordinal_fault", pl.lit(f", {NOT_IN_HITS}")))
        .when(pl.col("ordinal").is_null())
        .then(pl.lit(NO_ORDINAL))
        .when(pl.col("base").is_null())
        .then(pl.lit(NO_BASE))
        .otherwise(pl.lit(BELOW_BASE))
    )
    with_position = events.with_columns(position)
    unknown = pl.col("position").is_null()
    return refuse(with_position, unknown, (ORDINAL, value, reason), quarantine)


def interactions_of(
    hits: pl.DataFrame, events: pl.DataFrame, retriever_id: str | None
) -> tuple[pl.DataFrame, int]:
    """Return canonical rows, impressions before events, and how many events were duplicates."""
    shown = hits.with_columns(
        pl.lit(str(InteractionType.IMPRESSION)).alias("type"),
        pl.col("index").alias("position"),
        pl.Series("interaction_id", _ids(hits, ["execution_id", "feature_id"]), dtype=pl.String),
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
        "execution_id",
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
    texts = rows.select(pl.concat_str(parts, separator=SEPARATOR))[:, 0].to_list()
    prefix = f"ubi{SEPARATOR}{len(keys)}{SEPARATOR}"
    return [hashlib.blake2b((prefix + text).encode(), digest_size=16).hexdigest() for text in texts]
