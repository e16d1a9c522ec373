"""Interactions copied into a log or a Parquet file, batch by batch; every row is accounted for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..._shared.atomic_files import write_whole
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import StoreError
from ..reading.quarantine import FAULT_SCHEMA, Quarantine
from ..reading.scan import Scan
from ..record import fault as reasons
from ..record.interaction import canonical_schema
from ..record.signals import SignalTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..log.answers import BatchReport
    from ..log.interaction_log import InteractionLog

_BATCH_ROWS: Final = 2_000


@dataclass
class CopyReport:
    """What became of the rows of a copy.

    ``rows_read == created + existing + duplicates + quarantine.rows``.

    Attributes
    ----------
    rows_read : int
    created : int
        Rows that the copy added.
    existing : int
        Rows whose interaction_id the log held already: left as they are.
    duplicates : int
        Rows that repeat another one by the log's rule, or that the source gave twice.
    quarantine : Quarantine
        Rows that broke a rule, numbered from 0 in the order of reading.
    """

    rows_read: int = 0
    created: int = 0
    existing: int = 0
    duplicates: int = 0
    quarantine: Quarantine = field(default_factory=Quarantine)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the quarantine's reasons as plain values, ready for JSON."""
        return {
            "rows_read": self.rows_read,
            "created": self.created,
            "existing": self.existing,
            "duplicates": self.duplicates,
            "quarantined": self.quarantine.rows,
            "quarantine_reasons": self.quarantine.reasons,
        }

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "created": self.created,
            "existing": self.existing,
            "duplicates": self.duplicates,
            "quarantined": self.quarantine.rows,
        }
        return Summary(
            f"CopyReport: {self.rows_read:,} rows read",
            [
                Table.of_counts(counts),
                Table.of_counts(self.quarantine.reasons, "quarantined because"),
            ],
        )


def record_rows(log: InteractionLog, rows: Iterable[Any], source: str, report: CopyReport) -> None:
    """Record rows in a log, all as backfill, and add what became of them to the report.

    A row without a time is refused: the log would take it for one of today.

    Raises StoreError if the log cannot store them; those of the batches before are stored.
    """
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH_ROWS)):
        timed, numbers, untimed = split_by_time(batch, report.rows_read)
        stored = log.record_batch(timed)
        report.quarantine.add(source, pl.concat([untimed, _faults(stored, numbers)]).sort("row"))
        report.rows_read += len(batch)
        report.created += stored.created
        report.existing += stored.existing
        report.duplicates += stored.deduplicated


def split_by_time(rows: list[Any], first: int) -> tuple[list[Any], list[int], pl.DataFrame]:
    """Return the rows with a time of their own, their numbers, and the faults of the others."""
    absent = [isinstance(row, Mapping) and not row.get("occurred_at") for row in rows]
    numbers = [i for i, bad in enumerate(absent, first) if not bad]
    faults = [
        (i, "occurred_at", None, reasons.NO_TIME) for i, bad in enumerate(absent, first) if bad
    ]
    timed = [row for row, bad in zip(rows, absent, strict=True) if not bad]
    return timed, numbers, pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row")


def _faults(stored: BatchReport, numbers: list[int]) -> pl.DataFrame:
    from ..log.answers import RowFault

    found = [
        (number, result.field, result.value, result.reason)
        for number, result in zip(numbers, stored.results, strict=True)
        if isinstance(result, RowFault)
    ]
    return pl.DataFrame(found, schema=FAULT_SCHEMA, orient="row")


def lines_to_parquet(
    lines: Path, path: Path, types: Iterable[str], source: str, report: CopyReport
) -> None:
    """Write the valid rows of JSON lines as Parquet, whole or not at all, in bounded memory.

    Raises StoreError if the file cannot be written.
    """
    scan = Scan(lines, signals=SignalTable.with_types(types))
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".rankloom-") as folder:
            parts = [Path(folder) / "empty.parquet"]
            pl.DataFrame(schema=canonical_schema()).write_parquet(parts[0])
            for number, batch in enumerate(scan.batches()):
                parts.append(Path(folder) / f"{number:06}.parquet")
                batch.select(*canonical_schema()).write_parquet(parts[-1])
            whole = pl.scan_parquet(parts, glob=False)
            write_whole(path, whole.sink_parquet)
    except OSError as error:
        msg = f"{path}: cannot be written: {error}"
        raise StoreError(msg) from error
    report.rows_read += scan.rows_read
    report.created += scan.rows_valid
    # Lines count from 1, rows from 0.
    faults = scan.quarantine.to_frame().with_columns(pl.col("row") - 1)
    report.quarantine.add(source, faults.select(*FAULT_SCHEMA))
