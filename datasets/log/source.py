"""An interaction log as a source of raw rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..reading.source import Block
from ..record.interaction import TIME_COLUMNS, canonical_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl


class LogSource:
    """A log as a source of rows: read part by part, each row numbered as in the log."""

    unit = "row"
    text = False
    rows: int | None = None

    def __init__(self, name: str, frames: Callable[[], Iterator[pl.DataFrame]]) -> None:
        self.name = name
        self.schema = canonical_schema()
        self._frames = frames

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether times are among the columns: the log times every row."""
        return not columns.keys().isdisjoint(TIME_COLUMNS)

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield the parts of the log."""
        for frame in self._frames():
            yield Block(frame.select(list(columns)), frame["seq"].to_numpy())
