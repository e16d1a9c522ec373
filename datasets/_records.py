"""Python dicts and records as a source: encoded as JSON lines, so that one reader judges both."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from . import _reasons as reasons
from ._json_line import Fault, text_of
from ._jsonl import has_times, json_schema, read_lines, refused
from ._sources import Block
from ._text import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK_ROWS = 50_000
_NUMBERS = ("document_score", "position", "result_set_size")


class RecordsSource:
    """A list of dicts or of `Interaction` records; rows are counted from 0."""

    unit = "row"
    text = False
    rows: int | None = None
    schema: Mapping[str, pl.DataType] | None = None

    def __init__(self, records: Sequence[Any]) -> None:
        self.name = "records"
        self._records = records

    def has_times(self) -> bool:
        """Return whether any record has a time."""
        return any(has_times(lines) for lines, _, _ in self._encoded())

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield blocks of 50,000 records."""
        schema = json_schema(columns)
        for lines, rows, faults in self._encoded():
            block = read_lines(lines, schema)
            parts = [_renumbered(block.refused, rows), refused(faults)]
            bad = [part for part in parts if part is not None]
            yield Block(block.frame, rows[block.numbers], pl.concat(bad) if bad else None)

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


def encode_record(record: Any) -> bytes | Fault:
    """Return a record as a line of JSON, or why it cannot be one."""
    if not isinstance(record, Mapping | msgspec.Struct):
        return Fault("", text_of(repr(record)[:200]), "expected a dict or an Interaction")
    if isinstance(record, Mapping):
        fault = next((f for name in _NUMBERS if (f := _number_fault(name, record.get(name)))), None)
        if fault is not None:
            return fault
    try:
        return msgspec.json.encode(record, enc_hook=_plain)
    except RecursionError:
        return Fault("", None, reasons.TOO_DEEP)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        return Fault("", text_of(error), "cannot be written as JSON")


def _number_fault(name: str, value: Any) -> Fault | None:
    # JSON has no NaN: the encoder would write null.
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return Fault(name, str(value), reasons.NOT_FINITE)
    return None


def _plain(value: Any) -> Any:
    """Return numpy's and other libraries' values as what JSON knows."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, pl.Series):
        return value.to_list()
    if isinstance(value, Mapping):
        return dict(value)
    msg = f"the type {type(value).__name__} has no JSON form"
    raise TypeError(msg)


def _renumbered(faults: pl.DataFrame | None, rows: np.ndarray) -> pl.DataFrame | None:
    if faults is None:
        return None
    return faults.with_columns(pl.Series("row", rows[faults["row"].to_numpy()]))
