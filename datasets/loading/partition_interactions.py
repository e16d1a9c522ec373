"""A log as a folder of files, each with whole executions: `partition_interactions`."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import polars as pl

from ..._shared.atomic_files import TEMPORARY, flush_file, flush_folder, umask
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..reading.open_sources import OpenedSources
from ..reading.quarantine import check_format
from ..reading.scan import Scan, check_mapped
from ..record.interaction import canonical_schema
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from .open_files import allow_open_files, check_partitions
from .progress import rows_shown
from .row_files import partitions_of_rows
from .scratch import full_disk_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    import pandas as pd
    from numpy.typing import NDArray

    from ..record.mapping import TimeUnit

FORMAT: Final = "rankloom.partitions/1"
MANIFEST: Final = "manifest.json"
_NAMED: Final = 3
"""Sources that an error names."""

_UNPLACED: Final = (
    "position: no source has this column, so the rows were kept without one. They are read with "
    "a table of impressions that has it; columns= names a column that is called otherwise"
)
_ROWS_HELD: Final = 2_000_000
"""Rows that all partitions collect before they write them as row groups."""


@dataclass(frozen=True)
class PartitionReport:
    """What `partition_interactions` wrote.

    Attributes
    ----------
    files : tuple of str
        Names of the files in the folder, one a partition.
    rows : tuple of int
        Rows of each.
    rows_read, quarantined : int
        ``rows_read == sum(rows) + quarantined``.
    quarantine_reasons : dict of str to int
        ``"field: reason"`` -> quarantined rows.
    notes : tuple of str
        What was read otherwise than written.
    """

    files: tuple[str, ...]
    rows: tuple[int, ...]
    rows_read: int
    quarantined: int
    quarantine_reasons: dict[str, int]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each file: ``file``, ``rows``."""
        import polars as pl

        return pl.DataFrame({"file": self.files, "rows": self.rows})

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        return Summary(
            f"PartitionReport: {self.rows_read:,} rows read, {self.quarantined:,} quarantined",
            [
                Table.of_frame(self.to_frame()),
                Table.of_counts(self.quarantine_reasons, "quarantined because"),
            ],
            self.notes,
        )


def partition_interactions(
    source: Any,
    folder: str | Path,
    *,
    partitions: int,
    extra: Iterable[str] = (),
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | Iterable[str] = (),
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
    quarantine: str | Path | None = None,
) -> PartitionReport:
    """Write a log as Parquet files of which each holds whole executions, in canonical columns.

    Every function that reads interactions reads one of the files, or all of them. A row goes to
    the partition ``blake2b-64(id) modulo partitions`` of its execution_id, without one of its
    session_id, without either to the first: the same one wherever and whenever it is written, so
    that the partitions of several logs of the same executions belong together by number. Rows
    without a position are kept: they are judged where the files are read. ``attribution`` finds the
    displays of what is read with one call, so it needs all files at once, with `memory_limit` where
    they do not fit in memory.

    Parameters
    ----------
    source : see `Scan`
    folder : path
        New or empty; it appears with all of its files, or not at all.
    partitions : int
        From 1 to 512. A partition should fit in memory: 250 bytes a row.
    extra : iterable of str
        Further columns to keep, as text.
    columns, types, position_base, time_unit, on_error, quarantine
        See `scan`.

    Returns
    -------
    PartitionReport
        It is also in ``manifest.json``.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a parameter is wrong, the folder holds anything, or a column is missing; if some of the
        sources have times and others have none; if the process may not open so many files.
    StoreError
        If the disk becomes full.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom.datasets import load_pairs, partition_interactions, simulate_interactions
    >>> log = simulate_interactions(n_executions=200, random_state=0)
    >>> with tempfile.TemporaryDirectory() as place:
    ...     report = partition_interactions(log, f"{place}/log", partitions=3)
    ...     pairs = load_pairs(f"{place}/log/*.parquet")
    >>> len(report.files), sum(report.rows) == len(log), pairs.n_executions
    (3, True, 200)
    """
    _check(partitions, quarantine)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"folder: expected a new or empty folder, {str(target)!r} holds something"
        raise InvalidInputError(msg)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    opened = OpenedSources(source, "source")
    scan = Scan(
        opened,
        signals=SignalTable.with_types(types),
        extra=tuple(extra),
        on_error=on_error,
        mapping=mapping,
        positions="optional",  # they may be in a table of impressions only
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{target.name}-", dir=target.parent))
    try:
        hidden.chmod(0o777 & ~umask())
        with full_disk_named("folder", target.parent, hidden):
            report = _write(scan, hidden, partitions, tuple(extra))
            if quarantine is not None:
                scan.quarantine.write(quarantine)
            (hidden / MANIFEST).write_text(
                json.dumps({"format": FORMAT} | asdict(report), indent=1)
            )
            for path in hidden.iterdir():
                flush_file(path)
            flush_folder(hidden)
        hidden.replace(target)
        flush_folder(target.parent)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return report


def _check(partitions: Any, quarantine: str | Path | None) -> None:
    check_partitions(partitions)
    if quarantine is not None:
        check_format(quarantine)


def _write(scan: Scan, folder: Path, partitions: int, extra: tuple[str, ...]) -> PartitionReport:
    names = [f"part-{number:05d}.parquet" for number in range(partitions)]
    schema: dict[str, pl.DataType] = {
        **canonical_schema(),
        **{name: pl.String() for name in extra},
    }
    with (
        _Files([folder / name for name in names], schema) as files,
        rows_shown("Writing", scan.rows_expected) as advance,
    ):
        timed: set[bool] = set()
        for batch in scan.batches():
            # A source has a time in all of its valid rows, or in none.
            timed.add(batch["event_time"].null_count() == 0)
            if len(timed) > 1:
                raise _mixed_times(scan)
            rows = batch.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
            files.write(rows, partitions_of_rows(rows, partitions))
            advance(len(rows))
    check_mapped(scan)
    return PartitionReport(
        files=tuple(names),
        rows=tuple(files.rows.tolist()),
        rows_read=scan.rows_read,
        quarantined=scan.quarantine.rows,
        quarantine_reasons=dict(scan.quarantine.reasons),
        notes=(*scan.notes, *([] if scan.has_positions else [_UNPLACED])),
    )


def _mixed_times(scan: Scan) -> InvalidInputError:
    """Return the error for sources of which some have times, which would be refused when read."""
    names = [name for name, _ in scan.counts.sources]
    have = [name for name, timed in zip(names, scan.timed, strict=True) if timed]
    lack = [name for name, timed in zip(names, scan.timed, strict=True) if not timed]
    return InvalidInputError(
        f"source: {_listed(have)} has times, {_listed(lack)} has none. In one file, rows without "
        "a time would be refused beside those that have one. Partition them into folders apart, or "
        "give every source occurred_at or timestamp (columns= where they have other names)"
    )


def _listed(names: list[str]) -> str:
    """Return the first few names as text."""
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")


class _Files:
    """Parquet files that are written side by side, each in row groups."""

    def __init__(self, paths: list[Path], schema: Mapping[str, pl.DataType]) -> None:
        self._paths, self._stack = paths, ExitStack()
        self._schema = pl.DataFrame(schema=dict(schema)).to_arrow().schema
        self._held: list[list[pl.DataFrame]] = [[] for _ in paths]
        self._held_rows = np.zeros(len(paths), np.int64)
        self._writers: list[Any] = []
        self.rows = np.zeros(len(paths), np.int64)

    def __enter__(self) -> Self:
        from pyarrow import parquet

        allow_open_files(len(self._paths))
        with ExitStack() as stack:
            for path in self._paths:
                writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
                self._writers.append(stack.enter_context(writer))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if error is None:
                for number in np.flatnonzero(self._held_rows).tolist():
                    self._flush(number)

    def write(self, rows: pl.DataFrame, partition: NDArray[np.int32]) -> None:
        """Append rows to the files of their partitions."""
        rows = rows[np.argsort(partition, kind="stable")]
        sizes = np.bincount(partition, minlength=len(self._paths))
        ends = np.cumsum(sizes)
        for number in np.flatnonzero(sizes).tolist():
            self._held[number].append(rows[ends[number] - sizes[number] : ends[number]])
        self._held_rows += sizes
        self.rows += sizes
        full = self._held_rows > _ROWS_HELD // len(self._paths)
        for number in np.flatnonzero(full).tolist():
            self._flush(number)

    def _flush(self, number: int) -> None:
        table = pl.concat(self._held[number]).to_arrow().cast(self._schema)
        self._writers[number].write_table(table)
        self._held[number].clear()
        self._held_rows[number] = 0
