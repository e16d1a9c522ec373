"""A log that does not fit in memory: its rows in partitions on disk, folded one after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..pairs.array_storage import OnDisk
from ..pairs.fold import NO_TIME
from ..reading.open_sources import OpenedSources
from ..reading.scan import check_mapped
from ..record.times import microseconds
from .finish import finish
from .merge import merge_parts
from .part import build_part
from .progress import rows_shown
from .row_files import PartitionRows, RowFiles, row_file
from .scratch import scratch_folder
from .shared_texts import share_texts
from .stored_part import store_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..pairs.row_reader import LogRows, RowReader
    from ..pairs.training_pairs import TrainingPairs
    from ..reading.scan import Positions
    from ..record.signals import SignalTable
    from .part import Part
    from .settings import LoadSettings
    from .shared_texts import SharedTexts
    from .side_tables import SideTables

MIN_LIMIT: Final = 256_000_000
"""Bytes below which a limit of memory cannot be kept: the libraries alone take about as much."""

_BYTES_PER_ROW: Final = 250
"""Memory that a row takes while its partition is folded."""

_UNKNOWN: Final = 64
"""Partitions where the number of rows is not known before reading."""

_MOST: Final = 512
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def parse_size(size: Any, parameter: str = "memory_limit") -> int:
    """Return the bytes of a size such as ``"2GB"``, ``"512MiB"`` or a whole number.

    Examples
    --------
    >>> parse_size("2GB"), parse_size("512 MiB")
    (2000000000, 536870912)
    """
    found = None if isinstance(size, bool) else _SIZE.fullmatch(str(size))
    if found is None:
        msg = f"{parameter}: expected a size such as '2GB' or a number of bytes, got {size!r}"
        raise InvalidInputError(msg)
    unit = _UNITS[found[2].lower()]
    if found[3]:
        unit = 1 << (10 * "kmgt".index(found[2].lower()) + 10) if found[2] else 1
    return int(float(found[1]) * unit)


def load_out_of_core(
    source: Any,
    settings: LoadSettings,
    tables: SideTables,
    *,
    memory_limit: int,
    workdir: str | Path | None,
    partitions: int | None = None,
) -> TrainingPairs:
    """Return the same pairs as in memory, their arrays mapped from files of `workdir`.

    `memory_limit`: bytes. `partitions`: how many; None: by the limit.
    """
    if settings.window is not None:
        msg = (
            "attribution: a row without an execution may belong to any partition, so it cannot be "
            "attributed where a log is loaded in partitions; leave out attribution or memory_limit"
        )
        raise InvalidInputError(msg)
    with scratch_folder(workdir) as folder:
        reading = _read(source, settings, tables, folder, memory_limit, partitions)
        log = merge_parts(list(_parts(reading, settings, folder)))
        reading.refuse()
        (folder / "pairs").mkdir()
        reader = reading.reader
        return finish(
            log.with_features([name for name in log.features if reader.filled[name]]),
            settings,
            tables,
            OnDisk(folder / "pairs"),
            scans=reader.scans,
            filled=reader.filled,
            unknown_context=[name for name in settings.context if reading.texts[name].is_empty()],
        )


@dataclass
class _Reading:
    """What reading all rows left: files of partitions, and what concerns all rows.

    `latest`: time of the latest row that is not of the future. `reasons`: why rows without a
    position are refused, by their number; None where they are not.
    """

    reader: RowReader
    files: RowFiles
    texts: SharedTexts
    codes: dict[str, NDArray[np.int32]]
    latest: int
    reasons: NDArray[np.object_]

    def refuse(self) -> None:
        """Send the rows for which no position was found to the quarantine."""
        self.reader.refuse_unplaced(pl.Series(self.reasons.tolist(), dtype=pl.String))


def _read(
    source: Any,
    settings: LoadSettings,
    tables: SideTables,
    folder: Path,
    memory_limit: int,
    partitions: int | None,
) -> _Reading:
    reader, on_error = settings.reader(), settings.on_error
    clock, latest = microseconds(settings.clock), NO_TIME
    positions: Positions = "some" if tables.impressions is None else "optional"
    (folder / "rows").mkdir()
    sources: list[tuple[OpenedSources, Any]] = [(OpenedSources(source, "source"), None)]
    if tables.impressions is not None:
        sources.append((tables.impressions, ["impression"]))
    expected = _expected_rows([each for each, _ in sources])
    count = partitions or _partition_count(expected, memory_limit)
    with (
        RowFiles(folder / "rows", count, reader.columns) as files,
        rows_shown("Reading", expected) as advance,
    ):
        for each, types in sources:
            blocks = reader.read_in_blocks(
                each,
                on_error=on_error,
                default_types=types,
                positions=positions if types is None else "required",
            )
            for rows in blocks:
                latest = max(latest, int(rows.time[rows.time != clock].max(initial=NO_TIME)))
                files.write(rows, from_impressions=types is not None)
                advance(len(rows))
    check_mapped(*reader.scans)
    texts, codes = share_texts([reader.texts()], settings)
    unplaced = sum(scan.unplaced.height for scan in reader.scans)
    reasons = np.full(unplaced, None, np.object_)
    return _Reading(reader, files, texts, codes[0], latest, reasons)


def _expected_rows(sources: Sequence[OpenedSources]) -> int | None:
    """Return how many rows there are; None where a source does not know before it is read."""
    rows = [each.rows for opened in sources for each in opened.sources]
    return None if None in rows else sum(each or 0 for each in rows)


def _partition_count(rows: int | None, memory_limit: int) -> int:
    """Return so many partitions that folding one takes at most a quarter of the memory."""
    if rows is None:
        return _UNKNOWN
    return int(np.clip(-(-rows * _BYTES_PER_ROW * 4 // memory_limit), 2, _MOST))


@dataclass
class _Refusals:
    """Keeps why rows of one partition get no position."""

    signals: SignalTable
    reasons: pl.Series | None = None

    def refuse_unplaced(self, reasons: pl.Series) -> None:
        """Keep the reasons."""
        self.reasons = reasons


def _parts(reading: _Reading, settings: LoadSettings, folder: Path) -> Iterator[Part]:
    """Fold one partition after the other; yield the parts, whose pairs are on disk."""
    of_ids = replace(settings, query_key=settings.query_text)  # texts of queries are ids by now
    features = [name for name in settings.builtin_features if reading.reader.filled[name]]
    counts, clock = reading.files.rows, microseconds(settings.clock)
    dated = reading.latest != NO_TIME and any(s.rows_of_future for s in reading.reader.scans)
    with rows_shown("Folding", int(counts.sum())) as advance:
        for number, count in enumerate(counts):
            if not count and number:  # the first one is there for a log without any row
                continue
            rows, unplaced = _rows_of(reading, settings, row_file(folder / "rows", number))
            if dated:
                rows.time[rows.time == clock] = reading.latest
            refusals = _Refusals(settings.signals)
            part = build_part(rows, of_ids, refusals, features, reading.texts)
            if refusals.reasons is not None:
                reading.reasons[unplaced] = refusals.reasons.to_list()
            yield store_part(part, folder / f"part-{number:05d}")
            advance(int(count))


def _rows_of(
    reading: _Reading, settings: LoadSettings, path: Path
) -> tuple[LogRows, NDArray[np.int64]]:
    rows = PartitionRows(reading.texts, wants_sessions="session_id" in settings.context)
    rows.add(path, reading.codes)
    path.unlink()
    return rows.finish(reading.reader.filled)
