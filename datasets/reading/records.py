"""Python dicts and records as a source: encoded as JSON lines, so that one reader judges both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..record.encode import encode_record
from ..record.fault import Fault, shorten
from .json_lines import has_values, read_lines
from .quarantine import fault_frame
from .source import Block, Values
from .text_blocks import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK_ROWS = 50_000


class RecordsSource:
    """A list of dicts or of `Interaction` records; rows are counted from 0."""

    unit = "row"
    text = False
    rows: int | None = None
    schema: Mapping[str, pl.DataType] | None = None

    def __init__(self, records: Sequence[Any]) -> None:
        self.name = "records"
        self._records = records

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any record has a value in any of the columns."""
        return any(has_values(lines, columns) for lines, _, _ in self._encoded())

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield blocks of 50,000 records."""
        for lines, rows, faults in self._encoded():
            block = read_lines(lines, columns)
            parts = [_renumbered(block.refused, rows), fault_frame(faults)]
            bad = [part for part in parts if part is not None]
            yield Block(block.frame, rows[block.numbers], pl.concat(bad) if bad else None)

    def values(self) -> Iterator[Values]:
        """Yield all records with all their keys, as they are."""
        rows, numbers, faults = [], [], []
        for number, record in enumerate(self._records):
            if isinstance(record, Mapping):
                rows.append(record)
                numbers.append(number)
            else:
                faults.append((number, Fault("", shorten(repr(record)), "expected a dict")))
        yield Values(rows, np.array(numbers, dtype=np.int64), fault_frame(faults))

    def _encoded(self) -> Iterator[tuple[Lines, np.ndarray, list[tuple[int, Fault]]]]:
        for start in range(0, len(self._records), _BLOCK_ROWS):
            lines, rows, faults = [], [], []
            for row, record in enumerate(self._records[start : start + _BLOCK_ROWS], start):
                encoded = encode_record(record)
                if isinstance(encoded, Fault):
                    faults.append((row, encoded))
                else:
                    lines.append(encoded)
                    rows.append(row)
            yield Lines(b"\n".join(lines), 0), np.array(rows, dtype=np.int64), faults


def _renumbered(faults: pl.DataFrame | None, rows: np.ndarray) -> pl.DataFrame | None:
    if faults is None:
        return None
    return faults.with_columns(pl.Series("row", rows[faults["row"].to_numpy()]))
