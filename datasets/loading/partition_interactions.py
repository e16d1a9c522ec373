"""A log as a folder of files, each with whole executions: `partition_interactions`."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import polars as pl

from ..._shared.atomic_files import TEMPORARY, flush_folder
from ...errors import InvalidInputError
from ..reading.open_sources import OpenedSources
from ..reading.quarantine import check_format
from ..reading.scan import Scan, check_mapped
from ..record.interaction import canonical_schema
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from .progress import rows_shown
from .row_files import partition_of
from .scratch import full_disk_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from numpy.typing import NDArray

    from ..record.mapping import TimeUnit

FORMAT: Final = "rankloom.partitions/1"
MANIFEST: Final = "manifest.json"
MAX_PARTITIONS: Final = 512
"""Files that are open at once, within the usual limit of a process."""

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
    that the partitions of several logs of the same executions belong together by number.

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
        If a parameter is wrong, the folder holds anything, or a column is missing.
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
        positions="some",
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(f"{TEMPORARY}{target.name}-{os.getpid()}")
    hidden.mkdir()
    try:
        with full_disk_named("folder", target.parent, hidden):
            report = _write(scan, hidden, partitions, tuple(extra))
            if quarantine is not None:
                scan.quarantine.write(quarantine)
            (hidden / MANIFEST).write_text(
                json.dumps({"format": FORMAT} | asdict(report), indent=1)
            )
        hidden.replace(target)
        flush_folder(target.parent)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return report


def _check(partitions: Any, quarantine: str | Path | None) -> None:
    whole = isinstance(partitions, int) and not isinstance(partitions, bool)
    if not whole or not 1 <= partitions <= MAX_PARTITIONS:
        msg = f"partitions: expected a whole number from 1 to {MAX_PARTITIONS}, got {partitions!r}"
        raise InvalidInputError(msg)
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
        for batch in scan.batches():
            rows = batch.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
            files.write(rows, _partitions_of(rows, partitions))
            advance(len(rows))
    check_mapped(scan)
    return PartitionReport(
        files=tuple(names),
        rows=tuple(files.rows.tolist()),
        rows_read=scan.rows_read,
        quarantined=scan.quarantine.rows,
        quarantine_reasons=dict(scan.quarantine.reasons),
        notes=tuple(scan.notes),
    )


def _partitions_of(rows: pl.DataFrame, partitions: int) -> NDArray[np.int32]:
    ids = rows.select(pl.coalesce("execution_id", "session_id")).to_series()
    distinct = ids.drop_nulls().unique()
    known = pl.DataFrame({"id": distinct, "partition": partition_of(distinct, partitions)})
    joined = pl.DataFrame({"id": ids}).join(known, on="id", how="left", maintain_order="left")
    return joined["partition"].fill_null(0).to_numpy()


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
