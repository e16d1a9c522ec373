"""The rows of one user, gathered from a log of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from ...datasets.reading.open_sources import OpenedSources
from ...datasets.reading.scan import Scan, check_mapped
from ...datasets.record.interaction import canonical_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...datasets.record.mapping import InputMapping
    from ...datasets.record.signals import SignalTable


class UserRows(NamedTuple):
    """What a log holds of a user.

    `named`: valid rows that name the user. `linked`: valid rows without any user that belong to an
    execution or a session of the user. `refused`: rows that name the user and break a rule.
    `unreadable`: rows of the log that cannot be read at all; whose they are is unknown.
    `any_user`: whether any valid row of the log names a user. `rows_read`: of the log.
    """

    named: pl.DataFrame
    linked: pl.DataFrame
    refused: int
    unreadable: int
    any_user: bool
    rows_read: int


class _Found:
    """Rows of one source, batch by batch."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.parts: list[pl.DataFrame] = []
        self.any_user = self.some_without = False

    def add(self, batch: pl.DataFrame) -> None:
        without = batch["user_id"].null_count()
        self.any_user |= without < batch.height
        self.some_without |= without > 0
        own = batch.filter(pl.col("user_id") == self.user_id)
        if not own.is_empty():
            self.parts.append(own)


def gather_rows(
    source: Any,
    user_id: str,
    *,
    default_types: Sequence[str] | None = None,
    linked_to: pl.DataFrame | None = None,
    extra: Sequence[str] = (),
    signals: SignalTable,
    mapping: InputMapping,
) -> UserRows:
    """Return every row of a user.

    `linked_to`: rows whose executions and sessions are the user's, besides those of this source.
    """
    parameter = "source" if default_types is None else "impressions"
    opened = OpenedSources(source, parameter, twice=False)

    def scan() -> Scan:
        return Scan(
            opened,
            signals=signals,
            extra=extra,
            mapping=mapping,
            positions="optional",
            default_types=default_types,
        )

    first, found = scan(), _Found(user_id)
    for batch in first.batches():
        found.add(batch)
    check_mapped(first)
    named = _joined(found.parts)
    linked = _joined([])
    keys = [frame for frame in (named, linked_to) if frame is not None and len(frame)]
    if found.some_without and keys:
        linked = _linked(scan(), pl.concat([_ids(frame) for frame in keys]))
    refused, unreadable = 0, 0
    if first.quarantine.rows:
        raw, unreadable = _raw_rows(opened, mapping.column("user_id"), user_id)
        refused = raw - len(named)
    return UserRows(named, linked, refused, unreadable, found.any_user, first.rows_read)


def _joined(parts: list[pl.DataFrame]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={**canonical_schema(), "event_time": pl.Datetime("us")})
    return pl.concat([empty, *parts], how="diagonal_relaxed")


def _ids(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("execution_id", "session_id")


def _linked(scan: Scan, ids: pl.DataFrame) -> pl.DataFrame:
    """Return rows without a user in the executions and sessions of some ids."""
    wanted = [
        pl.col(name).is_in(ids[name].drop_nulls().unique().to_list())
        for name in ("execution_id", "session_id")
    ]
    chosen = pl.col("user_id").is_null() & pl.any_horizontal(wanted)
    return _joined([batch.filter(chosen) for batch in scan.batches()])


def _raw_rows(opened: OpenedSources, column: str, user_id: str) -> tuple[int, int]:
    """Return how many rows name the user, valid or not, and how many cannot be read at all."""
    named = unreadable = 0
    for source in opened.sources:
        known = source.schema is None or column in source.schema
        wanted = {column: "user_id"} if known else dict.fromkeys(list(source.schema or ())[:1], "")
        for block in source.blocks(wanted):
            unreadable += 0 if block.refused is None else block.refused.height
            if known:
                named += int((_texts(block.frame[column]) == user_id).sum())
    return named, unreadable


def _texts(ids: pl.Series) -> pl.Series:
    """Return ids as text, as valid rows hold them: 17.0 of a column with gaps is 17."""
    if ids.dtype.is_float():
        ids = ids.fill_nan(None).cast(pl.Int64, strict=False)
    return ids.cast(pl.String, strict=False)
