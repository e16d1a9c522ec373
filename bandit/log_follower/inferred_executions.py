"""Executions of log rows that name none, the same for a log read at once or in chunks."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from ...datasets.record.inferred_executions import infer_executions, inferred_id
from ...datasets.record.query_keys import query_digest


class InferredChunk(NamedTuple):
    """A chunk whose rows all have the execution that they belong to."""

    frame: pl.DataFrame  # the chunk, and earlier rows that belong to another execution now
    # Executions that are no more, with the documents that may have units of them
    replaced: set[tuple[str, str]]


def sessions_without_execution(frame: pl.DataFrame) -> list[str]:
    """Return the sessions of rows whose execution is inferred from session and query."""
    return frame.filter(_is_inferred())["session_id"].unique(maintain_order=True).to_list()


def infer_in_chunk(chunk: pl.DataFrame, earlier: pl.DataFrame) -> InferredChunk:
    """Infer the executions of a chunk's rows.

    A late row may be the first of an execution that has a name already, or join two executions:
    their earlier rows then move to the new name.

    `chunk`: as of `InteractionLog.rows_after`. `earlier`: all rows of these sessions that stand
    before the chunk in the log.
    """
    before = with_inferred_executions(earlier)
    new = chunk.filter(_is_inferred())
    now = with_inferred_executions(
        pl.concat([before.drop("execution_id"), new.drop("execution_id")])
    )
    old_names = dict(zip(before["seq"], before["execution_id"], strict=True))
    moved = [
        seq
        for seq, name in zip(now["seq"], now["execution_id"], strict=True)
        if old_names.get(seq, name) != name
    ]
    replaced: set[tuple[str, str]] = set()
    if moved:
        ended = set(old_names.values()) - set(now["execution_id"])
        rows = before.filter(pl.col("execution_id").is_in(list(ended)))
        replaced = set(zip(rows["execution_id"], rows["feature_id"], strict=True))
    inferred = now.filter(pl.col("seq").is_in([*moved, *new["seq"]]))
    named = chunk.filter(~_is_inferred())
    return InferredChunk(pl.concat([named, inferred.select(named.columns)]), replaced)


def with_inferred_executions(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of sessions with the execution inferred from session, query and time.

    Rows of the same session and query with no more than 30 minutes between them are one execution,
    named by the first of them. Rows without a session or query are left out.
    """
    columns = list(dict.fromkeys([*rows.columns, "execution_id"]))
    keyed = rows.filter(_has_session_and_query())
    keyed = keyed.with_columns(
        pl.coalesce("occurred_at", "timestamp").to_physical().alias("moment"),
        _digests(keyed["query_snapshot"]).alias("digest"),
    )
    return assign_executions(keyed).select(columns)


def assign_executions(keyed: pl.DataFrame) -> pl.DataFrame:
    """Infer executions of rows with ``session_id``, ``digest`` and ``moment`` in microseconds."""
    run = ["session_id", "digest"]
    keyed = keyed.sort(*run, "moment", maintain_order=True)
    key = keyed.select(pl.struct(run).rle_id().cast(pl.Int64)).to_series().to_numpy()
    of_row, first = infer_executions(key, keyed["moment"].to_numpy())
    begun = keyed[first].select(*run, "moment").iter_rows()
    names = pl.Series("execution_id", [inferred_id(*values) for values in begun], pl.String)
    return keyed.with_columns(names.gather(of_row))


def _is_inferred() -> pl.Expr:
    return (pl.col("execution_id").fill_null("") == "") & _has_session_and_query()


def _has_session_and_query() -> pl.Expr:
    session, query = pl.col("session_id"), pl.col("query_snapshot")
    return (session.fill_null("") != "") & (query.fill_null("") != "")


def _digests(snapshots: pl.Series) -> pl.Series:
    """Return the digests of the queries, each computed once, as `load_pairs` distinguishes them."""
    digests = {text: query_digest(text) for text in snapshots.unique().to_list()}
    return pl.Series([digests[text] for text in snapshots.to_list()], dtype=pl.String)
