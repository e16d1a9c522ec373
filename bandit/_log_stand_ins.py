"""Executions of log rows that name none, the same whether the log is read at once or by and by."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from ..datasets.query_keys import query_digest
from ._event import SESSION_GAP


class Renamed(NamedTuple):
    """A chunk whose rows all have the execution that they belong to.

    Attributes
    ----------
    frame : DataFrame
        The chunk, and earlier rows that belong to another execution now.
    stale : set of (str, str)
        Executions that are no more, with the documents that may have units of them.
    """

    frame: pl.DataFrame
    stale: set[tuple[str, str]]


def sessions_without_execution(frame: pl.DataFrame) -> list[str]:
    """Return the sessions of the rows for whose execution session and query stand in."""
    return frame.filter(_stands_in())["session_id"].unique(maintain_order=True).to_list()


def with_stand_ins(chunk: pl.DataFrame, earlier: pl.DataFrame) -> Renamed:
    """Name the executions of a chunk's rows.

    A late row may be the first of a run that has a name, or join two runs: their earlier rows then
    move to the run's new name.

    Parameters
    ----------
    chunk : DataFrame
        As of `InteractionLog.rows_after`.
    earlier : DataFrame
        All rows of these sessions that stand before the chunk in the log.
    """
    before = named(earlier)
    new = chunk.filter(_stands_in())
    now = named(pl.concat([before.drop("execution_id"), new.drop("execution_id")]))
    old_names = dict(zip(before["seq"], before["execution_id"], strict=True))
    moved = [
        seq
        for seq, name in zip(now["seq"], now["execution_id"], strict=True)
        if old_names.get(seq, name) != name
    ]
    stale: set[tuple[str, str]] = set()
    if moved:
        gone = set(old_names.values()) - set(now["execution_id"])
        rows = before.filter(pl.col("execution_id").is_in(list(gone)))
        stale = set(zip(rows["execution_id"], rows["feature_id"], strict=True))
    wanted = now.filter(pl.col("seq").is_in([*moved, *new["seq"]]))
    rest = chunk.filter(~_stands_in())
    return Renamed(pl.concat([rest, wanted.select(rest.columns)]), stale)


def named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of sessions with the execution that session, query and time make.

    Rows of the same session and query with no more than 30 minutes between them are one execution,
    named by the first of them. Rows without a session or query are left out.
    """
    columns = list(dict.fromkeys([*rows.columns, "execution_id"]))
    keyed = rows.filter(_is_known())
    keyed = keyed.with_columns(
        pl.coalesce("occurred_at", "timestamp").to_physical().alias("moment"),
        _digests(keyed["query_snapshot"]).alias("digest"),
    )
    return with_names(keyed).select(columns)


def with_names(keyed: pl.DataFrame) -> pl.DataFrame:
    """Name executions of rows with ``session_id``, ``digest`` and ``moment`` in microseconds."""
    run = ["session_id", "digest"]
    keyed = keyed.sort(*run, "moment", maintain_order=True)
    starts = (pl.col("moment").diff().over(run) > SESSION_GAP).fill_null(value=True)
    start = pl.when(starts).then("moment").forward_fill().over(run)
    name = pl.format("session:{}:{}:{}", *run, start)
    return keyed.with_columns(name.alias("execution_id"))


def _stands_in() -> pl.Expr:
    return (pl.col("execution_id").fill_null("") == "") & _is_known()


def _is_known() -> pl.Expr:
    session, query = pl.col("session_id"), pl.col("query_snapshot")
    return (session.fill_null("") != "") & (query.fill_null("") != "")


def _digests(snapshots: pl.Series) -> pl.Series:
    """Return what tells queries apart, as `load_pairs` does; there are fewer than rows."""
    known = {text: query_digest(text) for text in snapshots.unique().to_list()}
    return pl.Series([known[text] for text in snapshots.to_list()], dtype=pl.String)
