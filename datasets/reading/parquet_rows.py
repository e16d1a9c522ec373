"""A Parquet file in pieces, to be read by several processes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ...errors import UnreadableSourceError
from .parquet import ParquetSource, read_footer
from .partitioned import in_folders

if TYPE_CHECKING:
    from pathlib import Path

    from .source import Source


@dataclass(frozen=True)
class ParquetRows:
    """Rows of a Parquet file from `start` to before `end`, as a source that can be sent."""

    path: Path
    start: int
    end: int

    def as_source(self) -> Source:
        """Return the source, whose rows have their numbers in the file."""
        return in_folders(ParquetSource(self.path, self.start, self.end), self.path)


def parquet_pieces(path: Path, pieces: int, least: int) -> list[Path | ParquetRows]:
    """Return a file as whole row groups in at most so many pieces.

    Parameters
    ----------
    path : path
        Of a Parquet file. One that cannot be understood stays whole: who reads it says why.
    pieces : int
    least : int
        Rows of a piece at least, but for the last one.
    """
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            read_footer(file, path.stat().st_size, str(path))
        metadata = pq.read_metadata(path)
    except (UnreadableSourceError, OSError, ValueError):
        return [path]
    rows = max(-(-metadata.num_rows // pieces), least)
    bounds, end = [0], 0
    for number in range(metadata.num_row_groups):
        end += metadata.row_group(number).num_rows
        if end - bounds[-1] >= rows or end == metadata.num_rows > bounds[-1]:
            bounds.append(end)
    if len(bounds) <= 2:
        return [path]
    return [ParquetRows(path, start, end) for start, end in pairwise(bounds)]
