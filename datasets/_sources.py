"""Tables and Parquet files as sources of raw rows; everything readable is checked up front."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl

from ..errors import UnreadableSourceError
from ._parquet_footer import MAX_SCHEMA_DEPTH, schema_depth
from .interaction import TIME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

BATCH_ROWS: Final = 500_000
"""Rows of a batch at most: large enough for the engine, small enough for the memory."""


@dataclass(frozen=True)
class Block:
    """Raw rows of one source.

    Attributes
    ----------
    frame : DataFrame
        Rows that the engine could read.
    numbers : ndarray of int64, or int
        Row number of every row of `frame`, or of the first one.
    refused : DataFrame or None
        Rows that it could not read, with the columns of `FAULT_SCHEMA`.
    """

    frame: pl.DataFrame
    numbers: NDArray[np.int64] | int
    refused: pl.DataFrame | None = None


class Source(Protocol):
    """Anything that raw rows come from.

    Attributes
    ----------
    name : str
        For messages and the quarantine.
    unit : str
        What a row number counts: "row" (from 0) or "line" (from 1).
    text : bool
        Whether every column is text that must be parsed.
    rows : int or None
        Number of rows; None where only reading tells.
    """

    name: str
    unit: str
    text: bool
    rows: int | None

    @property
    def schema(self) -> Mapping[str, pl.DataType] | None:
        """Return the raw columns; None where only reading tells (JSON lines)."""
        ...

    def has_times(self) -> bool:
        """Return whether any row has a time."""
        ...

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield the raw rows with the given columns."""
        ...


class TableSource:
    """A table that polars holds or computes: a DataFrame or a LazyFrame."""

    unit = "row"
    text = False

    def __init__(self, frame: pl.LazyFrame | pl.DataFrame, name: str) -> None:
        self.name = name
        self._frame = frame
        self.rows: int | None = frame.height if isinstance(frame, pl.DataFrame) else None
        with reading(name):
            self.schema: Mapping[str, pl.DataType] = frame.collect_schema()

    def has_times(self) -> bool:
        """Return whether any row has a time."""
        held = [name for name in TIME_COLUMNS if self.schema.get(name, pl.Null) != pl.Null]
        if not held:
            return False
        frame = self._frame.lazy().select(held)
        # Nearly always the first rows tell; only a column without any value is read whole.
        return any(self._any_value(part) for part in (frame.head(1_000), frame))

    def _any_value(self, frame: pl.LazyFrame) -> bool:
        with reading(self.name):
            given = pl.all().is_not_null() & (pl.all().cast(pl.String) != "")
            found = frame.select(pl.any_horizontal(given).any()).collect()
        return bool(found.item())

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield slices of at most `BATCH_ROWS` rows, along row groups where there are any."""
        start = 0
        for frame in self._slices(columns):
            yield Block(frame, start)
            start += frame.height

    def _slices(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if isinstance(self._frame, pl.DataFrame):
            yield from self._frame.select(columns).iter_slices(BATCH_ROWS)
            return
        with reading(self.name):
            batches = iter(
                self._frame.select(columns).collect_batches(
                    chunk_size=BATCH_ROWS, maintain_order=True
                )
            )
        while True:
            with reading(self.name):
                frame = next(batches, None)
            if frame is None:
                return
            yield frame


class ParquetSource(TableSource):
    """A Parquet file, read slice by slice: polars' own batches run ahead and fill the memory."""

    def __init__(self, path: Path) -> None:
        _check_ends(path)
        with reading(str(path)):
            lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        super().__init__(lazy, str(path))
        with reading(self.name):
            self._height: int = lazy.select(pl.len()).collect().item()
        self.rows: int | None = self._height

    def _slices(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        scan = self._frame.lazy().select(columns)
        for start in range(0, self._height, BATCH_ROWS):
            with reading(self.name):
                frame = scan.slice(start, BATCH_ROWS).collect()
            if frame.height != min(BATCH_ROWS, self._height - start):
                msg = f"{self.name}: the Parquet file is damaged: it holds fewer rows than it says"
                raise UnreadableSourceError(msg)
            yield frame


def _check_ends(path: Path) -> None:
    """Refuse a file that does not begin and end as a Parquet file does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(size - 8, 0))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        file.seek(max(size - 8 - length, 0))
        footer = file.read(length if length < size else 0)
    if head != b"PAR1":
        msg = f"{path}: no Parquet file: it starts with {head!r}, expected b'PAR1'"
        raise UnreadableSourceError(msg)
    if size < 12 or tail[4:] != b"PAR1" or length > size - 12:
        msg = f"{path}: the Parquet file is truncated or damaged at its end. Copy or write it again"
        raise UnreadableSourceError(msg)
    if schema_depth(footer) > MAX_SCHEMA_DEPTH:
        msg = f"{path}: its columns nest deeper than the {MAX_SCHEMA_DEPTH} levels read"
        raise UnreadableSourceError(msg)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever an engine raises while reading into `UnreadableSourceError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        msg = f"{name}: cannot be read: {reason[0][:300]}"
        raise UnreadableSourceError(msg) from error
