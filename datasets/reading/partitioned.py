"""A file in folders named ``key=value``, with these as further columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from .paths import partitions
from .source import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .remote_files import RemoteFile
    from .source import Source


def in_folders(source: Source, path: Path | RemoteFile) -> Source:
    """Return the source of a file with what the names of its folders say."""
    shared = partitions(path)
    return PartitionedSource(source, shared) if shared else source


class PartitionedSource:
    """A source whose rows share some values; where it has such a column itself, that holds."""

    def __init__(self, source: Source, values: Mapping[str, str]) -> None:
        self.name, self.unit = source.name, source.unit
        self.text, self.rows = source.text, source.rows
        self.source, self.shared = source, values
        own = source.schema
        text = dict.fromkeys(values, pl.String())
        self.schema: Mapping[str, pl.DataType] | None = None if own is None else {**text, **own}

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row has a value in any of the columns."""
        own = self._own(columns)
        return len(own) < len(columns) or self.source.has_values(own)

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield the raw rows with the given columns."""
        own = self._own(columns)
        shared = [
            pl.lit(value).alias(name)
            for name, value in self.shared.items()
            if name in columns and name not in own
        ]
        for block in self.source.blocks(own):
            frame = block.frame.with_columns(shared).select(list(columns))
            yield Block(frame, block.numbers, block.refused)

    def _own(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the columns to read from the file; JSON lines say too late which they have."""
        in_file = self.source.schema or {}
        return {n: field for n, field in columns.items() if n in in_file or n not in self.shared}
