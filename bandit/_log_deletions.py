"""What is left of the units of deleted rows, derived again from what the log still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from ._decay import NO_TIME, microseconds
from ._ids import stable_id
from ._log_stand_ins import named, with_names

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from ..datasets._log.rows import Deletion
    from ..datasets.log import InteractionLog
    from ._mark import Mark

Unit = tuple[str, str]
"""An execution and a document."""


class Left(NamedTuple):
    """What takes the place of some units.

    Attributes
    ----------
    units : set of (str, str)
        Units to forget.
    frame : DataFrame
        Rows to fold then.
    closed : int
        Deletions whose units are closed: what they taught stays.
    """

    units: set[Unit]
    frame: pl.DataFrame
    closed: int


def derive(
    log: InteractionLog, deletions: Sequence[Deletion], mark: Mark, line: dt.datetime | None
) -> Left:
    """Return what is left after some deletions, as far as a state has followed the rows.

    Parameters
    ----------
    log : InteractionLog
    deletions : sequence of Deletion
        The next ones after the mark.
    mark : Mark
    line : datetime, optional
        Units first shown before it are closed.
    """
    rows_deleted = [each for each in deletions if each.feature_id is not None]
    executions = sorted({each.execution_id for each in rows_deleted if each.execution_id})
    sessions = sorted({each.session_id for each in rows_deleted if each.session_id})
    rows = log.rows_of(executions=executions, sessions=sessions)
    rows = rows.filter(pl.col("seq") <= mark.row)
    units = {unit for each in rows_deleted if (unit := _unit(each)) is not None}
    own = _of_units(rows.filter(pl.col("execution_id").is_not_null()), units)
    # Rows that are gone from what was just read may have been deleted meanwhile, with a note.
    later = log.deletions_after(deletions[-1].number) if sessions else []
    stand_ins = [e for e in [*rows_deleted, *later] if e.session_id in sessions and e.query_digest]
    made, made_units = _stand_ins(rows.filter(pl.col("execution_id").is_null()), stand_ins)
    return _without_closed(Left(units | made_units, pl.concat([own, made]), 0), rows_deleted, line)


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


def _stand_ins(rows: pl.DataFrame, deleted: Sequence[Deletion]) -> tuple[pl.DataFrame, set[Unit]]:
    """Return rows with the executions that they belong to now, and all units they may have had.

    A deleted row may have begun an execution, or held two together: those of the same session and
    query are all derived anew.
    """
    runs = {f"session:{each.session_id}:{each.query_digest}:" for each in deleted}
    now = named(rows)
    now = now.filter(_run(pl.col("execution_id")).is_in(list(runs)))
    gone = pl.DataFrame(
        {
            "session_id": [each.session_id for each in deleted],
            "digest": [each.query_digest for each in deleted],
            "feature_id": [each.feature_id for each in deleted],
            "moment": [_moment(each) for each in deleted],
        },
        {"session_id": pl.String, "digest": pl.String, "feature_id": pl.String, "moment": pl.Int64},
    )
    kept = now.select(
        "session_id",
        pl.col("execution_id").str.extract("([0-9a-f]{16}):-?[0-9]+$").alias("digest"),
        "feature_id",
        pl.coalesce("occurred_at", "timestamp").to_physical().alias("moment"),
    )
    before = with_names(pl.concat([kept, gone]))["execution_id"]
    begun = gone.select(pl.format("session:{}:{}:{}", "session_id", "digest", "moment"))
    names = pl.concat([before, now["execution_id"], begun.to_series()]).unique()
    documents = pl.concat(
        [
            now.select(_run(pl.col("execution_id")).alias("run"), "feature_id"),
            gone.select(
                pl.format("session:{}:{}:", "session_id", "digest").alias("run"), "feature_id"
            ),
        ]
    ).unique()
    every = pl.DataFrame({"name": names}).with_columns(_run(pl.col("name")).alias("run"))
    units = every.join(documents, on="run").select("name", "feature_id")
    return now, set(units.iter_rows())


def _run(name: pl.Expr) -> pl.Expr:
    """Return a stand-in's name without its first moment."""
    return name.str.extract("^(.*:)-?[0-9]+$")


def _moment(deletion: Deletion) -> int:
    return NO_TIME if deletion.event_time is None else microseconds(deletion.event_time)


def _without_closed(left: Left, deleted: Sequence[Deletion], line: dt.datetime | None) -> Left:
    """Leave closed units alone: what rows remain of them would be opened and count twice."""
    if line is None:
        return left
    limit = microseconds(line)
    old_deletions = [each for each in deleted if _moment(each) < limit]
    moment = pl.coalesce("occurred_at", "timestamp").to_physical()
    old_rows = left.frame.filter(moment < limit).select("execution_id", "feature_id")
    closed = set(old_rows.iter_rows())
    closed |= {unit for each in old_deletions if (unit := _unit(each)) is not None}
    units = left.units - closed
    keys = pl.DataFrame(
        list(closed), {"execution_id": pl.String, "feature_id": pl.String}, orient="row"
    )
    frame = left.frame.join(keys, on=["execution_id", "feature_id"], how="anti")
    return Left(units, frame, len(old_deletions))
