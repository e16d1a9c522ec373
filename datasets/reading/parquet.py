"""Parquet files as sources of raw rows, checked at both ends before they are read."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

import polars as pl

from ...errors import UnreadableSourceError
from .parquet_footer import MAX_SCHEMA_DEPTH, schema_depth
from .source import BATCH_ROWS, reading
from .tables import TableSource, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .source import Block

_TAIL_BYTES: Final = 1 << 16
"""What is read of a file's end at once: most footers are smaller."""


class ParquetSource(TableSource):
    """A Parquet file, read slice by slice: polars' own batches run ahead and fill the memory.

    Parameters
    ----------
    path : path
    start, end : int, optional
        The rows that are read, from `start` to before `end`; all if None. What concerns the file,
        such as whether a column has values, is asked of all of its rows.
    """

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        with path.open("rb") as file:
            read_footer(file, path.stat().st_size, str(path))
        with reading(str(path)):
            lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        super().__init__(lazy, str(path))
        with reading(self.name):
            height: int = lazy.select(pl.len()).collect().item()
        self._start, self._end = start, height if end is None else end
        self.rows: int | None = self._end - start

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield slices of at most `BATCH_ROWS` rows, which have their numbers in the file."""
        return blocks_of(self._slices(list(columns)), self._start)

    def _slices(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        scan = self._frame.lazy().select(columns)
        for start in range(self._start, self._end, BATCH_ROWS):
            rows = min(BATCH_ROWS, self._end - start)
            with reading(self.name):
                frame = scan.slice(start, rows).collect()
            if frame.height != rows:
                msg = f"{self.name}: the Parquet file is damaged: it holds fewer rows than it says"
                raise UnreadableSourceError(msg)
            yield frame


def read_footer(file: IO[bytes], size: int, name: str) -> bytes:
    """Return the end of a Parquet file, with all of its footer.

    Raises
    ------
    UnreadableSourceError
        If the file does not begin and end as a Parquet file does, or its columns nest too deep.
    """
    head = file.read(4)
    if head != b"PAR1":
        msg = f"{name}: no Parquet file: it starts with {head!r}, expected b'PAR1'"
        raise UnreadableSourceError(msg)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[-8:-4], "little")
    if size < 12 or tail[-4:] != b"PAR1" or length > size - 12:
        msg = f"{name}: the Parquet file is truncated or damaged at its end. Copy or write it again"
        raise UnreadableSourceError(msg)
    if length + 8 > len(tail):
        file.seek(size - length - 8)
        tail = file.read(length + 8)
    if schema_depth(tail[-length - 8 : -8]) > MAX_SCHEMA_DEPTH:
        msg = f"{name}: its columns nest deeper than the {MAX_SCHEMA_DEPTH} levels read"
        raise UnreadableSourceError(msg)
    return tail
