"""The units of deleted rows, derived again from what the log still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from ..._shared.ids import stable_id
from ..base.timestamps import NO_TIME, microseconds
from .inferred_executions import assign_executions, with_inferred_executions

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from ...datasets.log.answers import Deletion
    from ...datasets.log.interaction_log import InteractionLog
    from ..store.log_position import LogPosition

Unit = tuple[str, str]
"""An execution and a document."""


class Rederived(NamedTuple):
    """What takes the place of the units of deleted rows."""

    units: set[Unit]  # units to forget
    frame: pl.DataFrame  # rows to fold then
    closed: int  # deletions whose units are closed: they stay in the sums


def rederive_units(
    log: InteractionLog,
    deletions: Sequence[Deletion],
    position: LogPosition,
    cutoff: dt.datetime | None,
) -> Rederived:
    """Derive the units of deleted rows from the rows that are left, up to a log position.

    `deletions`: the next ones after the position. `cutoff`: units first shown before it are closed.
    """
    rows_deleted = [each for each in deletions if each.feature_id is not None]
    executions = sorted({each.execution_id for each in rows_deleted if each.execution_id})
    sessions = sorted({each.session_id for each in rows_deleted if each.session_id})
    rows = log.rows_of(executions=executions, sessions=sessions)
    rows = rows.filter(pl.col("seq") <= position.row)
    units = {unit for each in rows_deleted if (unit := _unit(each)) is not None}
    own = _of_units(rows.filter(pl.col("execution_id").is_not_null()), units)
    # Other rows of these sessions may have been deleted since the first reading.
    later = log.deletions_after(deletions[-1].number) if sessions else []
    inferred = [e for e in [*rows_deleted, *later] if e.session_id in sessions and e.query_digest]
    unnamed = rows.filter(pl.col("execution_id").is_null())
    inferred_rows, inferred_units = _rederive_inferred(unnamed, inferred)
    frame = pl.concat([own, inferred_rows])
    return _without_closed(Rederived(units | inferred_units, frame, 0), rows_deleted, cutoff)


def unit_key(execution: str, document: str) -> bytes:
    """Return the key of a unit in a store."""
    return b"".join(stable_id(text).to_bytes(8, "big") for text in (execution, document))


def _unit(deletion: Deletion) -> Unit | None:
    """Return the unit of a deleted row that named its execution."""
    if not deletion.execution_id or deletion.feature_id is None:
        return None
    return deletion.execution_id, deletion.feature_id


def _of_units(rows: pl.DataFrame, units: Iterable[Unit]) -> pl.DataFrame:
    columns = {"execution_id": pl.String, "feature_id": pl.String}
    return rows.join(pl.DataFrame(list(units), columns, orient="row"), on=list(columns), how="semi")


def _rederive_inferred(
    rows: pl.DataFrame, deleted: Sequence[Deletion]
) -> tuple[pl.DataFrame, set[Unit]]:
    """Return rows with the executions inferred for them now, and all units they may have had.

    A deleted row may have begun an execution, or held two together: those of the same session and
    query are all derived anew.
    """
    prefixes = {f"session:{each.session_id}:{each.query_digest}:" for each in deleted}
    now = with_inferred_executions(rows)
    now = now.filter(_prefix(pl.col("execution_id")).is_in(list(prefixes)))
    removed = pl.DataFrame(
        {
            "session_id": [each.session_id for each in deleted],
            "digest": [each.query_digest for each in deleted],
            "feature_id": [each.feature_id for each in deleted],
            "moment": [_moment(each) for each in deleted],
        },
        {"session_id": pl.String, "digest": pl.String, "feature_id": pl.String, "moment": pl.Int64},
    )
    left = now.select(
        "session_id",
        pl.col("execution_id").str.extract("([0-9a-f]{16}):-?[0-9]+$").alias("digest"),
        "feature_id",
        pl.coalesce("occurred_at", "timestamp").to_physical().alias("moment"),
    )
    before = assign_executions(pl.concat([left, removed]))["execution_id"]
    begun = removed.select(pl.format("session:{}:{}:{}", "session_id", "digest", "moment"))
    names = pl.concat([before, now["execution_id"], begun.to_series()]).unique()
    of_removed = pl.format("session:{}:{}:", "session_id", "digest").alias("prefix")
    documents = pl.concat(
        [
            now.select(_prefix(pl.col("execution_id")).alias("prefix"), "feature_id"),
            removed.select(of_removed, "feature_id"),
        ]
    ).unique()
    every = pl.DataFrame({"name": names}).with_columns(_prefix(pl.col("name")).alias("prefix"))
    units = every.join(documents, on="prefix").select("name", "feature_id")
    return now, set(units.iter_rows())


def _prefix(name: pl.Expr) -> pl.Expr:
    """Return an inferred execution's name without its first moment."""
    return name.str.extract("^(.*:)-?[0-9]+$")


def _moment(deletion: Deletion) -> int:
    return NO_TIME if deletion.event_time is None else microseconds(deletion.event_time)


def _without_closed(
    rederived: Rederived, deleted: Sequence[Deletion], cutoff: dt.datetime | None
) -> Rederived:
    """Leave closed units alone: the rows that remain of them would be opened and count twice."""
    if cutoff is None:
        return rederived
    limit = microseconds(cutoff)
    old_deletions = [each for each in deleted if _moment(each) < limit]
    moment = pl.coalesce("occurred_at", "timestamp").to_physical()
    old_rows = rederived.frame.filter(moment < limit).select("execution_id", "feature_id")
    closed = set(old_rows.iter_rows())
    closed |= {unit for each in old_deletions if (unit := _unit(each)) is not None}
    units = rederived.units - closed
    keys = pl.DataFrame(
        list(closed), {"execution_id": pl.String, "feature_id": pl.String}, orient="row"
    )
    frame = rederived.frame.join(keys, on=["execution_id", "feature_id"], how="anti")
    return Rederived(units, frame, len(old_deletions))
