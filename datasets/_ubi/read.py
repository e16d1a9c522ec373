"""Queries and events of UBI from any source into flat frames; bad documents to the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from .. import _reasons as reasons
from .._json_line import Fault
from .._jsonl import refused
from .._plan import shortened
from .._quarantine import FAULT_SCHEMA
from .._times import parse_times
from .documents import documents
from .rows import EVENT_SCHEMA, QUERY_SCHEMA, event_row, query_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .._quarantine import Quarantine
    from .documents import Document
    from .rows import EventRow, QueryRow

    Row = QueryRow | EventRow
    MakeRow = Callable[[int, Mapping[str, Any]], Row | Fault]

_CHUNK_ROWS: Final = 50_000


def read_queries(source: Any, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """Return the queries as `QUERY_SCHEMA` says with `source` and `time`, and the rows read."""
    return _read(source, "queries", query_row, QUERY_SCHEMA, quarantine)


def read_events(source: Any, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """Return the events as `EVENT_SCHEMA` says with `source` and `time`, and the rows read."""
    return _read(source, "events", event_row, EVENT_SCHEMA, quarantine)


def refuse(
    frame: pl.DataFrame, bad: pl.Expr, fault: tuple[str, pl.Expr, str], quarantine: Quarantine
) -> pl.DataFrame:
    """Return the frame without the bad rows, which go to the quarantine.

    Parameters
    ----------
    frame : DataFrame
        Columns ``source`` and ``row`` among others.
    bad : Expr
        Whether a row is refused; null counts as no.
    fault : tuple of field, value and reason
    quarantine : Quarantine
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
        pl.lit(reason).alias("reason"),
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
        if (bad := refused(faults)) is not None:
            quarantine.add(name, bad)
        good = [value for _, value in made if not isinstance(value, Fault)]
        frame = pl.DataFrame(good, schema=schema, orient="row")
        frames.append(frame.with_columns(pl.lit(name).alias("source")))
    return _with_times(pl.concat(frames), quarantine), rows


def _chunks(read: Iterator[Document]) -> Iterator[tuple[str, list[Document]]]:
    """Yield documents of one source at a time, so that memory holds few of them as objects."""
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
    fault = ("timestamp", pl.col("raw"), reasons.NOT_TIME)
    return refuse(timed, pl.col("time").is_null(), fault, quarantine).drop("raw")
