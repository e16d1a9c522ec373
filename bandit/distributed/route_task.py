"""The task that reads a file of interactions: its valid rows go to partitions by execution."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.loading.row_files import partitions_of_rows
from ...datasets.reading.scan import Scan
from ...datasets.record.interaction import canonical_schema

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from ...datasets.reading.scan import Positions
    from ...datasets.reading.scan_counts import ScanCounts
    from ...datasets.record.mapping import InputMapping
    from ...datasets.record.signals import SignalTable


@dataclass(frozen=True)
class RoutePlan:
    """How files are read.

    `folder`: shared; every task makes a folder of its own in it. `extra`: columns that are no part
    of the record. `types`: default types, where the files are tables of impressions. `now`: later
    times become this one. `raises`: whether a bad row is an error.
    """

    folder: Path
    partitions: int
    signals: SignalTable
    mapping: InputMapping
    extra: tuple[str, ...]
    positions: Positions
    types: tuple[str, ...] | None
    now: dt.datetime
    raises: bool


@dataclass(frozen=True)
class RoutedRows:
    """What a task read; `folder` has the rows."""

    folder: Path
    counts: ScanCounts


def route_rows(plan: RoutePlan, file: Any) -> RoutedRows:
    """Read a file into partitions of rows in canonical columns."""
    folder = plan.folder / f"rows-{uuid.uuid4().hex}"
    folder.mkdir()
    scan = Scan(
        [file],
        signals=plan.signals,
        extra=plan.extra,
        on_error="raise" if plan.raises else "quarantine",
        default_types=plan.types,
        mapping=plan.mapping,
        now=plan.now,
        positions=plan.positions,
    )
    columns = [*canonical_schema(), *plan.extra]
    for number, batch in enumerate(scan.batches()):
        partition = partitions_of_rows(batch, plan.partitions)
        rows = batch.select(columns)
        for each in np.unique(partition).tolist():
            chosen = rows.filter(pl.Series(partition == each))
            chosen.write_parquet(folder / f"{each:05d}-{number:06d}.parquet")
    return RoutedRows(folder, scan.counts)


def routed_files(folder: Path, partition: int) -> list[Path]:
    """Return the files of a partition in the order of their rows."""
    return sorted(folder.glob(f"{partition:05d}-*.parquet"))
