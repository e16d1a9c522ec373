"""Rows that a Spark task gets, as a source; it keeps what names those that are refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from ..reading.source import BATCH_ROWS, Block
from ..reading.tables import TableSource
from .log_columns import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from ..pairs.row_reader import RowReader
    from .log_columns import LogColumns


class TaskSource:
    """Record batches as blocks of rows.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Spark's are small: several make one block.
    columns : LogColumns
        Of the whole log: a task's rows alone do not say whether the log has times.
    reader : RowReader
        Reads this source.
    """

    unit, text = "row", False

    def __init__(
        self, batches: Iterable[pa.RecordBatch], columns: LogColumns, reader: RowReader
    ) -> None:
        self.name = NAME
        self.rows: int | None = None
        self.schema: Mapping[str, pl.DataType] = columns.schema
        self._batches, self._columns, self._reader = batches, columns, reader
        self._ids: list[pl.DataFrame] = []

    def as_source(self) -> TaskSource:
        """Return the source itself."""
        return self

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row of the log has a value in any of the columns."""
        return self._columns.values[frozenset(columns)]

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield the rows; row numbers count the rows of this task."""
        start = 0
        for frame in self._frames():
            for block in TableSource(frame, NAME).blocks(columns):
                refused = block.refused
                if refused is not None:
                    refused = refused.with_columns(pl.col("row") + start)
                yield Block(block.frame, block.numbers + start, refused)
            self._keep_ids(frame, start)
            start += frame.height

    def rows_named(self, numbers: pl.Series) -> pl.Series:
        """Return the ids of refused rows as JSON, ``{"column": value}``."""
        known = pl.concat([pl.DataFrame(schema={"row": pl.Int64, "ids": pl.String}), *self._ids])
        wanted = numbers.to_frame("row").with_columns(pl.col("row").cast(pl.Int64))
        return wanted.join(known.unique("row"), on="row", how="left", maintain_order="left")["ids"]

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Yield frames of at least `BATCH_ROWS` rows, or of what is left."""
        import pyarrow as pa

        some: list[pa.RecordBatch] = []
        for batch in self._batches:
            some.append(batch)
            if sum(each.num_rows for each in some) >= BATCH_ROWS:
                yield pl.DataFrame(pa.Table.from_batches(some))
                some = []
        if some:
            yield pl.DataFrame(pa.Table.from_batches(some))

    def _keep_ids(self, frame: pl.DataFrame, start: int) -> None:
        """Keep the ids of the rows of a frame, now checked, that are refused or may be later."""
        scan = self._reader.scans[-1]
        bad = pl.concat([scan.quarantine.to_frame()["row"], scan.unplaced["row"]])
        rows = bad.filter(bad >= start).unique().sort()
        chosen = frame.select(pl.col(self._columns.ids).gather(rows - start))
        texts = [json.dumps(row, default=str) for row in chosen.to_dicts()]
        self._ids.append(pl.DataFrame({"row": rows, "ids": pl.Series(texts, dtype=pl.String)}))
