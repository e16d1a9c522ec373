"""Any source of interactions to canonical columns, batch by batch; bad rows to the quarantine."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import polars as pl

from ..._shared.progress import progress_shown
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, did_you_mean
from ..record.interaction import RECOMMENDED, canonical_schema
from ..record.mapping import InputMapping, TimeUnit
from ..record.signals import SignalTable, checked_types
from .column_names import likely_column
from .column_plan import EVENT_TIME, ColumnPlan, Request
from .column_rules import MASK
from .open_sources import open_sources
from .quarantine import Quarantine, check_format
from .scan_counts import ScanCounts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from .source import Block, Source

Positions: TypeAlias = Literal["required", "some", "optional"]
"""Whether every row needs a position, or at least one source of a scan, or none does."""


class Scan:
    """Reads and validates interactions batch by batch.

    Parameters
    ----------
    source : path, URL, glob, table, stream, list of dicts, or a list of paths, URLs and globs
        Parquet (.parquet, .pq), JSON lines (.jsonl, .ndjson, .json) and CSV (.csv, .tsv), the
        latter two also as .gz and .zst, in a file or a folder, on disk or at a URL that fsspec
        knows, such as ``s3://bucket/log/*.parquet`` (extra ``rankloom[cloud]``), with credentials
        and servers from the environment; a polars or pandas DataFrame, a LazyFrame, an Arrow table,
        dicts; anything with a ``scan()`` method that yields frames. Streams, of which only a part
        is held in memory: a DuckDB relation, a ``deltalake.DeltaTable``, a PyIceberg table or scan,
        a Hugging Face dataset, a pyarrow dataset, and all else with ``__arrow_c_stream__``,
        ``to_reader()``, ``to_arrow_batch_reader()`` or ``to_batches()``. One that gives its rows
        only once, such as a RecordBatchReader, raises an error when it is read again.
    signals : SignalTable, optional
        Which interaction types are known; the built-in ones if None.
    columns : collection of str, optional
        Canonical columns to return; all if None. Only these, and feature_id, interaction_type,
        position and the times, are validated.
    extra : collection of str
        Further columns, returned as they are; null text where a source lacks them.
    on_error : {"quarantine", "raise"}
        What happens to a row that breaks a rule.
    default_types : sequence of str, optional
        Types of rows that name none, such as ``["impression"]`` for a table of impressions.
    mapping : InputMapping, optional
        How the columns, types, positions and times of the source become those of interactions.
    now : datetime in UTC, optional
        Later times become this one; None: the clock's.
    positions : {"required", "some", "optional"}
        Whether a row without a position is bad; if not, it comes with null and is listed in
        `unplaced`. With "some", one of the sources must have the column.

    Attributes
    ----------
    present : frozenset of str
        Columns (canonical and extra) that any source has. For JSON lines known after reading.
    has_times : bool
        Whether any row of any source has occurred_at or timestamp.
    rows_read, rows_valid : int
        Counted while reading; ``rows_read == rows_valid + quarantine.rows``.
    rows_of_future : int
        Valid rows whose times were later than now, counted while reading.
    quarantine : Quarantine
    unplaced : DataFrame
        Valid rows without a position, in the order of the batches: ``source`` (its number),
        ``row``, ``type_mask``, and for every recommended column of the batches, and
        ``event_time``, whether it is filled.

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
        mapping: InputMapping | None = None,
        now: dt.datetime | None = None,
        positions: Positions = "required",
    ) -> None:
        if on_error not in {"quarantine", "raise"}:
            msg = f"on_error: expected 'quarantine' or 'raise', got {on_error!r}"
            raise InvalidInputError(msg)
        self.signals = signals or SignalTable()
        self.mapping = mapping or InputMapping()
        self.signals.mask(self.mapping.types.values())
        self._raises = on_error == "raise"
        self._request = Request(
            _checked_columns(columns),
            _checked_extra(extra),
            self.signals,
            _checked_default(default_types, self.signals),
            self.mapping,
            now,
            needs_position=positions == "required",
        )
        self._sources = open_sources(source)
        self._plans = [ColumnPlan(each, self._request) for each in self._sources]
        if positions == "some" and not self.has_positions:
            strict = replace(self._request, needs_position=True)
            self._plans = [ColumnPlan(each, strict) for each in self._sources]
        pairs = zip(self._sources, self._plans, strict=True)
        known = [plan.present for source, plan in pairs if source.schema is not None]
        self.present: frozenset[str] = frozenset().union(*known)
        self.has_times = any(plan.timed for plan in self._plans)
        self._start()

    def _start(self) -> None:
        names = [(source.name, source.unit) for source in self._sources]
        self._counts = ScanCounts(self.mapping, self._raises, names)

    @property
    def counts(self) -> ScanCounts:
        """All that was counted, once all batches were read; it can be sent to other processes."""
        counts = self._counts
        counts.rewritten = Counter()
        for plan in self._plans:
            counts.rewritten.update(plan.types.rewritten)
        counts.mapped = {name for plan in self._plans for name in plan.mapped}
        counts.names = self.column_names() if counts.unmapped else set()
        return counts

    @property
    def rows_read(self) -> int:
        """Rows read so far."""
        return self._counts.rows_read

    @property
    def rows_valid(self) -> int:
        """Those of them that are valid."""
        return self._counts.rows_valid

    @property
    def rows_of_future(self) -> int:
        """Those of these whose times were later than now."""
        return self._counts.rows_of_future

    @property
    def quarantine(self) -> Quarantine:
        """The rows that broke a rule."""
        return self._counts.quarantine

    @property
    def notes(self) -> list[str]:
        """What was read otherwise than written, once all batches were read."""
        return self.counts.notes

    @property
    def unmapped(self) -> dict[str, str]:
        """Field -> column that the mapping names and no source has, once all were read."""
        seen = {name for plan in self._plans for name in plan.mapped}
        return {n: column for n, column in self.mapping.columns.items() if n not in seen}

    @property
    def timed(self) -> list[bool]:
        """For each source, whether it has any time; then a row of it without one is bad."""
        return [plan.timed for plan in self._plans]

    @property
    def has_positions(self) -> bool:
        """Whether any source has the column of positions."""
        return any("position" in plan.sources for plan in self._plans)

    def columns_of(self, field: str) -> list[str]:
        """Return the columns of the sources that hold a field."""
        return [plan.sources[field] for plan in self._plans if field in plan.sources]

    def column_names(self) -> set[str]:
        """Return the names of all sources' columns, or the keys of their first records."""
        return {name for plan in self._plans for name in plan.names()}

    @property
    def rows_expected(self) -> int:
        """Number of rows, bad ones included, of the sources that know it before they are read."""
        return sum(source.rows or 0 for source in self._sources)

    def refused_of(self, mask: np.uint64) -> int:
        """Return how many quarantined rows are of a type in a bitmask."""
        return self._counts.refused_of(mask)

    @property
    def refused_untyped(self) -> int:
        """How many quarantined rows have no type that could be read."""
        return self._counts.refused_untyped

    @property
    def unplaced(self) -> pl.DataFrame:
        """Valid rows without a position, which batches returned with null."""
        return self._counts.unplaced

    def refuse_unplaced(self, reasons: pl.Series) -> pl.DataFrame:
        """Send rows of `unplaced` to the quarantine, for a reason each; None leaves a row valid.

        Returns the refused ones. Raises `InvalidInputError` if the scan's errors are fatal.
        """
        return self._counts.refuse_unplaced(reasons)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield valid rows in canonical columns, ``type_mask`` and ``event_time``.

        ``type_mask`` is a UInt64 bitmask over ``signals.vocabulary``; ``event_time`` is
        occurred_at, else timestamp, in microseconds of UTC without a zone, and is null only in
        rows of sources without any time.
        """
        self._start()
        known = all(source.rows is not None for source in self._sources)
        total = self.rows_expected if known else None
        with progress_shown("Reading", total, unit="rows") as advance:
            for number, (source, plan) in enumerate(zip(self._sources, self._plans, strict=True)):
                read, valid = self.rows_read, self.rows_valid
                for block in source.blocks(plan.reads):
                    frame = self._check(number, source, plan, block)
                    if not frame.is_empty():
                        yield frame
                    advance(block.frame.height)
                if source.schema is None and self.rows_read > read and self.rows_valid == valid:
                    plan.check_keys()

    def _check(self, number: int, source: Source, plan: ColumnPlan, block: Block) -> pl.DataFrame:
        counts = self._counts
        valid, faults, future, null_words, unplaced = plan.check(block.frame)
        if len(unplaced):
            self._note_unplaced(valid, number, _numbers(block, unplaced))
        counts.rows_of_future += future
        counts.null_words.update(null_words)
        if self.mapping.time_unit is not None and plan.timed and not valid.is_empty():
            earliest = valid[EVENT_TIME].min()
            times = [time for time in (counts.earliest, earliest) if isinstance(time, dt.datetime)]
            counts.earliest = min(times, default=None)
        refused = [] if block.refused is None else [block.refused]
        if faults is not None:
            rows = pl.Series("row", _numbers(block, faults["row"].to_numpy()))
            counts.refused_types.update(faults[MASK].to_list())
            refused.append(faults.drop(MASK).with_columns(rows))
        bad = pl.concat(refused).sort("row") if refused else None
        counts.rows_read += block.frame.height + (
            0 if block.refused is None else block.refused.height
        )
        counts.rows_valid += valid.height
        if source.schema is None:
            self.present |= {n for n in plan.present if valid[n].null_count() < valid.height}
        if bad is not None and not bad.is_empty():
            counts.refuse(number, bad)
        return valid

    def _note_unplaced(self, valid: pl.DataFrame, number: int, rows: NDArray[np.int64]) -> None:
        covered = [n for n in (*RECOMMENDED, EVENT_TIME) if n in valid.columns]
        chosen = valid.filter(pl.col("position").is_null())
        where = [pl.lit(number, pl.Int64).alias("source"), pl.Series("row", rows, pl.Int64)]
        self._counts.unplaced_rows.append(
            chosen.select([*where, MASK, pl.col(covered).is_not_null()])
        )


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
    notes : list of str
        What was read otherwise than written.
    """

    frame: pl.DataFrame
    quarantine: Quarantine
    rows_read: int
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return `frame`."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        return Summary(
            f"ScanResult: {self.rows_read:,} rows read, {self.quarantine.rows:,} quarantined",
            [
                Table.of_frame(_filled_columns(self.frame), limit=5),
                Table.of_counts(self.quarantine.reasons, "quarantined because"),
            ],
            self.notes,
        )


def _filled_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that hold anything in the first rows, which are shown."""
    head = frame.head(5)
    return frame.select([s.name for s in head if s.null_count() < len(s)])


def scan(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | Iterable[str] = (),
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
    quarantine: str | Path | None = None,
) -> ScanResult:
    """Read and validate interactions from any source.

    Parameters
    ----------
    source : path, glob, table, list of dicts, or a list of paths and globs
        See `Scan`.
    columns : mapping of str to str, optional
        Field of the interaction -> column of the source, where their names differ.
    types : mapping of str to str, or iterable of str
        Type in the source -> interaction type; or names of types in addition to the built-in ones.
    position_base : {0, 1}
        Position of the first result in the source.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.
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
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    signals = SignalTable.with_types(types)
    reader = Scan(source, signals=signals, on_error=on_error, mapping=mapping)
    frames = [batch.select(*canonical_schema()) for batch in reader.batches()]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=canonical_schema())
    check_mapped(reader)
    if quarantine is not None:
        reader.quarantine.write(quarantine)
    return ScanResult(frame, reader.quarantine, reader.rows_read, reader.notes)


class MappedScan(Protocol):
    """What a scan says of the columns that its mapping names."""

    @property
    def mapping(self) -> InputMapping:
        """How columns become those of interactions."""
        ...

    @property
    def unmapped(self) -> dict[str, str]:
        """Field -> column that the mapping names and no source has."""
        ...

    def column_names(self) -> set[str]:
        """Return the names of all sources' columns."""
        ...


def check_mapped(*scans: MappedScan) -> None:
    """Raise where a mapping names a column that is in none of the scans, which were read."""
    absent = [scan.unmapped.items() for scan in scans]
    missing = dict(set(absent[0]).intersection(*absent[1:]))
    if missing:
        name, column = min(missing.items())
        names = {name for scan in scans for name in scan.column_names()}
        likely = likely_column(name, names - set(scans[0].mapping.columns.values()))
        hint = f" Did you mean columns={{{name!r}: {likely!r}}}?" if likely else ""
        msg = (
            f"columns: no table has the column {column!r} (for {name})."
            f"{hint or did_you_mean(column, names)}"
        )
        raise InvalidInputError(msg)


def _numbers(block: Block, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row numbers of some rows of a block, given by their index."""
    numbers = block.numbers
    return rows + numbers if isinstance(numbers, int) else numbers[rows]


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
