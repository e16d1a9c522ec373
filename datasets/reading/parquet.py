"""Parquet files as sources of raw rows, checked at both ends before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ...errors import UnreadableSourceError
from .parquet_footer import MAX_SCHEMA_DEPTH, schema_depth
from .source import BATCH_ROWS, reading
from .tables import TableSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


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
