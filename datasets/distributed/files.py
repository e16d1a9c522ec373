"""The files that tasks read: which there are, and how they are put into groups."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import InvalidInputError
from ..loading.progress import rows_in_all
from ..reading.file_formats import PARQUET
from ..reading.open_sources import OpenedSources
from ..reading.parquet_rows import parquet_pieces
from ..reading.paths import paths_of
from ..reading.remote_files import is_url, remote_files
from ..reading.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..loading.settings import LoadSettings
    from ..record.mapping import InputMapping

_TASKS_PER_WORKER: Final = 8
"""Groups of files for each worker at most, so that the last ones to end differ little."""
_ROWS_PER_PIECE: Final = 1_000_000
"""Rows of a piece of a file at least: reading them takes about a second."""


def files_of(source: Any, parameter: str) -> list[Any]:
    """Return the files behind a path, URL, glob or folder, or a list of these, in order.

    Raises
    ------
    InvalidInputError
        If it is something else: workers read what all of them can reach.
    UnreadableSourceError
        If there is no such file.
    """
    items = list(source) if isinstance(source, list | tuple) else [source]
    for item in items:
        if not isinstance(item, str | os.PathLike):
            msg = (
                f"{parameter}: expected paths or URLs, which every worker can read, got "
                f"{type(item).__name__}; write it to a file first"
            )
            raise InvalidInputError(msg)
    if not items:
        msg = f"{parameter}: expected at least one path, got an empty list"
        raise InvalidInputError(msg)
    return [file for item in items for file in _files_behind(item, parameter)]


def _files_behind(item: str | os.PathLike[str], parameter: str) -> list[Any]:
    if not is_url(item):
        return list(paths_of(item, parameter))
    found = remote_files(item, parameter)
    # The URL of one file may hold what its name does not show.
    return [item] if len(found) == 1 else [f if isinstance(f, Path) else str(f) for f in found]


def split(files: Sequence[Any], workers: int) -> list[Any]:
    """Return files in pieces where there are too few for all workers: local ones of Parquet."""
    if len(files) >= workers:
        return list(files)
    pieces = workers * _TASKS_PER_WORKER // len(files)
    found: list[Any] = []
    for file in files:
        path = file if is_url(file) else Path(file)
        if isinstance(path, Path) and path.suffix.lower() in PARQUET:
            found += parquet_pieces(path, pieces, _ROWS_PER_PIECE)
        else:
            found.append(file)
    return found


def grouped(files: Sequence[Any], workers: int) -> list[list[Any]]:
    """Return the files in groups of neighbours, one for each task."""
    count = min(len(files), workers * _TASKS_PER_WORKER)
    return [
        list(files[part[0] : part[-1] + 1]) for part in np.array_split(range(len(files)), count)
    ]


@dataclass(frozen=True)
class FileFacts:
    """What is known of files before they are read.

    `rows`: None where a file does not know. `has_positions`: whether any has that column.
    """

    rows: int | None
    has_positions: bool


def inspect_files(
    files: Sequence[Any], settings: LoadSettings, types: Sequence[str] | None
) -> FileFacts:
    """Open files, which checks them, and return what is known of them."""
    parameter = "source" if types is None else "impressions"
    opened = OpenedSources(list(files), parameter, twice=False)
    scan = Scan(
        opened,
        signals=settings.signals,
        columns=("feature_id", "position"),
        mapping=settings.mapping,
        default_types=types,
        positions="optional",
    )
    return FileFacts(rows_in_all(each.rows for each in opened.sources), scan.has_positions)


def has_positions(file: Any, mapping: InputMapping) -> bool:
    """Return whether a file has the column of positions."""
    columns = ("feature_id", "position")
    return Scan([file], columns=columns, mapping=mapping, positions="optional").has_positions
