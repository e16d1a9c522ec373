"""A log that does not fit in memory: its rows in partitions on disk, folded one after the other."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import InvalidInputError
from ..pairs.array_storage import OnDisk
from ..pairs.fold import NO_TIME
from ..reading.open_sources import OpenedSources
from ..reading.scan import check_mapped
from .attribution import (
    NO_MOVES,
    asking_rows,
    check_attributable,
    destinations,
    last_displays,
    move_rows,
    moved_file,
)
from .finish import finish
from .fold_partition import PartitionFold, RowFile
from .merge import merge_parts
from .open_files import MAX_PARTITIONS, PARTITIONS_OF_UNKNOWN
from .progress import rows_in_all, rows_shown
from .readings import Reading, write_rows
from .row_files import RowFiles, attributable_file, row_file
from .scratch import scratch_folder
from .shared_texts import share_texts
from .stored_part import store_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs
    from ..reading.scan import Positions
    from .attribution import Moves
    from .fold_partition import FoldedPartition
    from .settings import LoadSettings
    from .shared_texts import SharedTexts
    from .side_tables import SideTables

MIN_LIMIT: Final = 256_000_000
"""Bytes below which a limit of memory cannot be kept: the libraries alone take about as much."""

_BYTES_PER_ROW: Final = 250
"""Memory that a row takes while its partition is folded."""

_BYTES_OF_TEXT: Final = 80
"""Bytes of a row of JSON lines or CSV at least; `_BYTES_PACKED`: of one that is compressed."""

_BYTES_PACKED: Final = 8

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
    return int(Decimal(found[1]) * unit)


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
    with scratch_folder(workdir) as folder:
        reading, texts, codes = _read(source, settings, tables, folder, memory_limit, partitions)
        fold = PartitionFold(settings, texts, reading.filled, reading.future_date)
        reasons = np.full(reading.unplaced, None, np.object_)
        unknown = reading.unknown_context(settings, texts)
        parts = []
        moves = _moves(fold, reading, codes, folder / "rows", memory_limit)
        for folded in _folded(fold, reading.rows, codes, folder, moves):
            parts.append(folded.part)
            reasons[folded.unplaced] = folded.reasons
        log = merge_parts(parts)
        reading.refuse(reasons)
        (folder / "pairs").mkdir()
        return finish(
            log.with_features([name for name in log.features if reading.filled[name]]),
            settings,
            tables,
            OnDisk(folder / "pairs"),
            scans=reading.scans,
            filled=reading.filled,
            unknown_context=unknown,
        )


def _read(
    source: Any,
    settings: LoadSettings,
    tables: SideTables,
    folder: Path,
    memory_limit: int,
    partitions: int | None,
) -> tuple[Reading, SharedTexts, dict[str, NDArray[np.int32]]]:
    reader, latest = settings.reader(), NO_TIME
    positions: Positions = "some" if tables.impressions is None else "optional"
    (folder / "rows").mkdir()
    sources: list[tuple[OpenedSources, Any]] = [(OpenedSources(source, "source"), None)]
    if tables.impressions is not None:
        sources.append((tables.impressions, ["impression"]))
    expected = rows_in_all(one.rows for opened, _ in sources for one in opened.sources)
    count = partitions or _partition_count(
        _guessed_rows([each for each, _ in sources]), memory_limit
    )
    with (
        RowFiles(folder / "rows", count, reader.columns, settings.attributed) as files,
        rows_shown("Reading", expected) as advance,
    ):
        for each, types in sources:
            latest_there = write_rows(
                reader,
                each,
                files,
                settings,
                types=types,
                positions=positions if types is None else "required",
                advance=advance,
            )
            latest = max(latest, latest_there)
    check_mapped(*reader.scans)
    texts, codes = share_texts([reader.texts()], settings)
    counts = [scan.counts for scan in reader.scans]
    reading = Reading(counts, reader.filled, latest, files.rows, files.attributable)
    return reading, texts, codes[0]


def _guessed_rows(sources: Sequence[OpenedSources]) -> int | None:
    """Return at least about how many rows there are, by the sizes of files that do not say."""
    total = 0
    for source in (each for opened in sources for each in opened.sources):
        rows, path = source.rows, Path(source.name)
        if rows is None and not path.is_file():
            return None
        if rows is None:
            packed = path.suffix in (".gz", ".zst")
            rows = path.stat().st_size // (_BYTES_PACKED if packed else _BYTES_OF_TEXT)
        total += rows
    return total


def _partition_count(rows: int | None, memory_limit: int) -> int:
    """Return so many partitions that folding one takes at most a quarter of the memory."""
    if rows is None:
        return PARTITIONS_OF_UNKNOWN
    return int(np.clip(-(-rows * _BYTES_PER_ROW * 4 // memory_limit), 2, MAX_PARTITIONS))


def _moves(
    fold: PartitionFold,
    reading: Reading,
    codes: dict[str, NDArray[np.int32]],
    folder: Path,
    memory_limit: int,
) -> dict[int, Moves]:
    """Send rows that are attributed to displays to their partitions."""
    window = fold.settings.window
    if window is None or not reading.attributable:
        return {}
    check_attributable(reading.attributable, memory_limit, "Raise memory_limit")
    file = RowFile(attributable_file(folder), codes)
    asking = asking_rows([file], len(reading.rows), fold)
    with rows_shown("Attributing", int(reading.rows.sum())) as advance:

        def found() -> Iterator[tuple[int, pl.DataFrame]]:
            for number in np.flatnonzero(reading.rows).tolist():
                files = [RowFile(row_file(folder, number), codes)]
                yield number, last_displays(fold, files, number, asking, window)
                advance(int(reading.rows[number]))

        return move_rows([folder], asking, destinations(asking, found()))


def _folded(
    fold: PartitionFold,
    counts: NDArray[np.int64],
    codes: dict[str, NDArray[np.int32]],
    folder: Path,
    moves: Mapping[int, Moves],
) -> Iterator[FoldedPartition]:
    """Fold one partition after the other; yield the parts, whose pairs are on disk."""
    with rows_shown("Folding", int(counts.sum())) as advance:
        for number, count in enumerate(counts):
            if not count and number:  # the first one is there for a log without any row
                continue
            own = moves.get(number, NO_MOVES)
            paths = [row_file(folder / "rows", number)]
            paths += [moved_file(folder / "rows", number) for _ in own.readings]
            folded = fold.fold([RowFile(path, codes) for path in paths], own.left)
            for path in paths:
                path.unlink()
            part = store_part(folded.part, folder / f"part-{number:05d}")
            yield folded._replace(part=part)
            advance(int(count))
