"""Any source of interactions to canonical columns, batch by batch; bad rows to the quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from ..errors import InvalidInputError, did_you_mean
from ._jsonl import json_schema
from ._open import open_sources
from ._plan import EVENT_TIME, Plan, Wanted
from ._quarantine import Quarantine, check_format
from .interaction import canonical_schema
from .signals import SignalTable, checked_types

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from ._sources import Block, Source


class Scan:
    """Reads and validates interactions batch by batch.

    Parameters
    ----------
    source : path, glob, table, list of dicts, or a list of paths and globs
        Parquet (.parquet, .pq), JSON lines (.jsonl, .ndjson, .json) and CSV (.csv, .tsv), the
        latter two also as .gz and .zst; a polars or pandas DataFrame, a LazyFrame, an Arrow table,
        dicts; or anything with a ``scan()`` method that yields frames.
    signals : SignalTable, optional
        Which interaction types are known; the built-in ones if None.
    columns : collection of str, optional
        Canonical columns to return; all if None. Only these, and feature_id, interaction_type,
        position and the times, are validated.
    extra : collection of str
        Further columns that pass through untouched; null text where a source lacks them.
    on_error : {"quarantine", "raise"}
        What happens to a row that breaks a rule.
    default_types : sequence of str, optional
        Types of rows that name none, such as ``["impression"]`` for a table of impressions.

    Attributes
    ----------
    present : frozenset of str
        Columns (canonical and extra) that any source has. For JSON lines known after reading.
    has_times : bool
        Whether any row of any source has occurred_at or timestamp.
    rows_read, rows_valid : int
        Counted while reading; ``rows_read == rows_valid + quarantine.rows``.
    quarantine : Quarantine

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format; before any batch.
    InvalidInputError
        If a parameter is wrong, a column is missing or of a wrong type; with
        ``on_error="raise"`` for the first bad row.

    Examples
    --------
    >>> rows = [{"feature_id": "a", "interaction_type": ["click"], "position": 0}]
    >>> scan = Scan(rows, columns=["feature_id", "position"])
    >>> [batch.columns for batch in scan.batches()]
    [['feature_id', 'position', 'type_mask', 'event_time']]
    >>> scan.rows_read, scan.rows_valid
    (1, 1)
    """

    def __init__(
        self,
        source: Any,
        *,
        signals: SignalTable | None = None,
        columns: Collection[str] | None = None,
        extra: Collection[str] = (),
        on_error: Literal["quarantine", "raise"] = "quarantine",
        default_types: Sequence[str] | None = None,
    ) -> None:
        if on_error not in {"quarantine", "raise"}:
            msg = f"on_error: expected 'quarantine' or 'raise', got {on_error!r}"
            raise InvalidInputError(msg)
        self.signals = signals or SignalTable()
        self._raises = on_error == "raise"
        self._wanted = Wanted(
            _checked_columns(columns),
            _checked_extra(extra),
            self.signals,
            _checked_default(default_types, self.signals),
        )
        self._sources = open_sources(source)
        self._plans = [self._plan(each) for each in self._sources]
        pairs = zip(self._sources, self._plans, strict=True)
        told = [plan.present for source, plan in pairs if source.schema is not None]
        self.present: frozenset[str] = frozenset().union(*told)
        self.has_times = any(plan.timed for plan in self._plans)
        self.rows_read = self.rows_valid = 0
        self.quarantine = Quarantine()

    @property
    def rows_expected(self) -> int:
        """Number of rows, bad ones included, of the sources that tell it without being read."""
        return sum(source.rows or 0 for source in self._sources)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield valid rows in canonical columns, ``type_mask`` and ``event_time``.

        ``type_mask`` is a UInt64 bitmask over ``signals.vocabulary``; ``event_time`` is
        occurred_at, else timestamp, in microseconds of UTC without a zone, and is null only in
        rows of sources without any time.
        """
        self.rows_read = self.rows_valid = 0
        self.quarantine = Quarantine()
        for source, plan in zip(self._sources, self._plans, strict=True):
            for block in source.blocks(plan.reads):
                frame = self._check(source, plan, block)
                if not frame.is_empty():
                    yield frame

    def _plan(self, source: Source) -> Plan:
        # Where only reading tells the columns, every one is asked for in the engine's own types.
        schema = (
            json_schema(sorted(self._wanted.sources)) if source.schema is None else source.schema
        )
        timed = source.has_times()
        return Plan(schema, self._wanted, source.name, text=source.text, timed=timed)

    def _check(self, source: Source, plan: Plan, block: Block) -> pl.DataFrame:
        valid, faults = plan.check(block.frame)
        refused = [] if block.refused is None else [block.refused]
        if faults is not None:
            numbers = block.numbers
            rows = (
                pl.col("row") + numbers
                if isinstance(numbers, int)
                else pl.Series(numbers[faults["row"]])
            )
            refused.append(faults.with_columns(rows.alias("row")))
        bad = pl.concat(refused).sort("row") if refused else None
        self.rows_read += block.frame.height + (
            0 if block.refused is None else block.refused.height
        )
        self.rows_valid += valid.height
        if source.schema is None:
            self.present |= {n for n in plan.present if valid[n].null_count() < valid.height}
        if bad is not None and not bad.is_empty():
            self._refuse(source, bad)
        return valid

    def _refuse(self, source: Source, bad: pl.DataFrame) -> None:
        self.quarantine.add(source.name, bad)
        if self._raises:
            row, field, value, reason = bad.row(0)
            place = f"{source.name}, {source.unit} {row}"
            subject = f"{field}: {reason}" if field else reason
            msg = f"{place}: {subject}" + ("" if value is None else f" (got {value!r})")
            raise InvalidInputError(msg)


@dataclass(frozen=True)
class ScanResult:
    """Everything that a source holds, read at once.

    Attributes
    ----------
    frame : DataFrame
        Valid rows in all canonical columns.
    quarantine : Quarantine
        The others.
    rows_read : int
        ``len(frame) + quarantine.rows``.
    """

    frame: pl.DataFrame
    quarantine: Quarantine
    rows_read: int


def scan(
    source: Any,
    *,
    types: Iterable[str] = (),
    on_error: Literal["quarantine", "raise"] = "quarantine",
    quarantine: str | Path | None = None,
) -> ScanResult:
    """Read and validate interactions from any source.

    Parameters
    ----------
    source : path, glob, table, list of dicts, or a list of paths and globs
        See `Scan`.
    types : iterable of str
        Interaction types beside the built-in ones.
    on_error : {"quarantine", "raise"}
        What happens to a row that breaks a rule.
    quarantine : path, optional
        Where to write the bad rows: .jsonl, .csv or .parquet.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a column is missing or of a wrong type; with ``on_error="raise"`` for the first bad row.

    Examples
    --------
    >>> result = scan([{"feature_id": "a", "interaction_type": ["click"], "position": 0}])
    >>> result.frame["feature_id"].to_list(), result.quarantine.rows
    (['a'], 0)
    """
    if quarantine is not None:
        check_format(quarantine)
    reader = Scan(source, signals=SignalTable.with_types(types), on_error=on_error)
    frames = [batch.select(*canonical_schema()) for batch in reader.batches()]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=canonical_schema())
    if quarantine is not None:
        reader.quarantine.write(quarantine)
    return ScanResult(frame, reader.quarantine, reader.rows_read)


def _checked_columns(columns: Collection[str] | None) -> tuple[str, ...]:
    schema = canonical_schema()
    if columns is None:
        return tuple(schema)
    for name in columns:
        if name not in schema:
            msg = f"columns: no canonical column {name!r}.{did_you_mean(name, schema)}"
            raise InvalidInputError(msg)
    return tuple(name for name in schema if name in columns)


def _checked_extra(extra: Collection[str]) -> tuple[str, ...]:
    if isinstance(extra, str):
        msg = f"extra: expected a list of names, got the text {extra!r}"
        raise InvalidInputError(msg)
    taken = {*canonical_schema(), "type_mask", EVENT_TIME}
    for name in extra:
        if not isinstance(name, str) or name in taken:
            msg = f"extra: {name!r} is a canonical column or no name; ask for it in columns="
            raise InvalidInputError(msg)
    return tuple(dict.fromkeys(extra))


def _checked_default(types: Sequence[str] | None, signals: SignalTable) -> tuple[str, ...] | None:
    if types is None:
        return None
    names = checked_types(types)
    if not names:
        msg = "default_types: expected at least one type, got none"
        raise InvalidInputError(msg)
    signals.mask(names)
    return tuple(names)
