"""Tables that polars holds or computes, as sources of raw rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from .plain_columns import plain_frame, plain_schema
from .quarantine import fault_frame
from .source import BATCH_ROWS, Block, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray


class TableSource:
    """A table that polars holds or computes: a DataFrame or a LazyFrame."""

    unit = "row"
    text = False

    def __init__(self, frame: pl.LazyFrame | pl.DataFrame, name: str) -> None:
        self.name = name
        self._frame = frame
        self.rows: int | None = frame.height if isinstance(frame, pl.DataFrame) else None
        with reading(name):
            self._types = frame.collect_schema()
        self.schema: Mapping[str, pl.DataType] = plain_schema(self._types)

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row has a value in any of the columns."""
        filled = [name for name in columns if self._types[name] != pl.Null]
        if not filled:
            return False
        frame = self._frame.lazy().select(filled)
        # Nearly always the first rows have values; only columns without any are read whole.
        with reading(self.name):
            return any(any_value(part) for part in (frame.head(1_000), frame))

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield slices of at most `BATCH_ROWS` rows, along row groups where there are any."""
        return blocks_of(self._slices(list(columns)))

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


def any_value(frame: pl.LazyFrame) -> bool:
    """Return whether any row has a value other than empty text and NaN in any column."""
    schema = frame.collect_schema()
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    floats = [name for name, dtype in schema.items() if dtype.is_float()]
    others = pl.exclude(texts + floats).is_not_null()
    found = frame.select(
        *(pl.col(name) != "" for name in texts),
        *(pl.col(name).is_not_nan() for name in floats),
        others,
    )
    return bool(found.select(pl.any_horizontal(pl.all()).any()).collect().item())


def blocks_of(frames: Iterable[pl.DataFrame], start: int = 0) -> Iterator[Block]:
    """Yield frames as blocks in plain types, their rows numbered from `start`."""
    for frame in frames:
        plain, faults = plain_frame(frame)
        rows: NDArray[np.int64] | int = start
        if faults:
            rows = np.delete(np.arange(frame.height), [row for row, _ in faults]) + start
        refused = fault_frame([(row + start, fault) for row, fault in faults])
        yield Block(plain, rows, refused)
        start += frame.height
