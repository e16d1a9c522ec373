"""Queries and events of UBI from any source into flat frames; bad documents to the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...reading.column_plan import shortened
from ...reading.quarantine import FAULT_SCHEMA, fault_frame
from ...record import fault as reasons
from ...record.fault import Fault
from ...record.times import parse_times
from .documents import documents
from .flatten import EVENT_SCHEMA, QUERY_SCHEMA, event_row, query_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ...reading.quarantine import Quarantine
    from .documents import Document
    from .flatten import EventRow, QueryRow

    Row = QueryRow | EventRow
    MakeRow = Callable[[int, Mapping[str, Any]], Row | Fault]

_CHUNK_ROWS: Final = 50_000


def read_queries(source: Any, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """Return the queries (`QUERY_SCHEMA` with `source` and `time`) and the number of rows read."""
    return _read(source, "queries", query_row, QUERY_SCHEMA, quarantine)


def read_events(source: Any, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """Return the events (`EVENT_SCHEMA` with `source` and `time`) and the number of rows read."""
    return _read(source, "events", event_row, EVENT_SCHEMA, quarantine)


def refuse(
    frame: pl.DataFrame, bad: pl.Expr, fault: tuple[str, pl.Expr, pl.Expr], quarantine: Quarantine
) -> pl.DataFrame:
    """Return the frame without the bad rows, which go to the quarantine.

    `frame`: columns ``source`` and ``row`` among others. `bad`: whether a row is refused; null
    counts as no.
    """
    marked = frame.select(bad.fill_null(value=False).alias("bad"))["bad"]
    if not marked.any():
        return frame
    field, value, reason = fault
    faults = frame.filter(marked).select(
        "source",
        "row",
        pl.lit(field).alias("field"),
        shortened(value).alias("value"),
        reason.alias("reason"),
    )
    for part in faults.partition_by("source", maintain_order=True):
        quarantine.add(part["source"][0], part.select(*FAULT_SCHEMA).cast(pl.Schema(FAULT_SCHEMA)))
    return frame.filter(~marked)


def _read(
    source: Any, parameter: str, make: MakeRow, schema: dict[str, Any], quarantine: Quarantine
) -> tuple[pl.DataFrame, int]:
    frames = [pl.DataFrame(schema={**schema, "source": pl.String})]
    rows = 0
    for name, chunk in _chunks(documents(source, parameter)):
        rows += len(chunk)
        made = [(row, v if isinstance(v, Fault) else make(row, v)) for _, row, v in chunk]
        faults = [(row, value) for row, value in made if isinstance(value, Fault)]
        if (bad := fault_frame(faults)) is not None:
            quarantine.add(name, bad)
        good = [value for _, value in made if not isinstance(value, Fault)]
        frame = pl.DataFrame(good, schema=schema, orient="row")
        frames.append(frame.with_columns(pl.lit(name).alias("source")))
    return _with_times(pl.concat(frames), quarantine), rows


def _chunks(read: Iterator[Document]) -> Iterator[tuple[str, list[Document]]]:
    """Yield documents of one source at a time, so that few of them are in memory as objects."""
    chunk: list[Document] = []
    for document in read:
        if chunk and (len(chunk) == _CHUNK_ROWS or document.source != chunk[0].source):
            yield chunk[0].source, chunk
            chunk = []
        chunk.append(document)
    if chunk:
        yield chunk[0].source, chunk


def _with_times(frame: pl.DataFrame, quarantine: Quarantine) -> pl.DataFrame:
    timed = frame.with_columns(parse_times(frame["time"]).alias("time"), frame["time"].alias("raw"))
    fault = ("timestamp", pl.col("raw"), pl.lit(reasons.NOT_TIME))
    return refuse(timed, pl.col("time").is_null(), fault, quarantine).drop("raw")
