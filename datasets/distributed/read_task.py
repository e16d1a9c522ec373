"""The task that reads files: their valid rows go to partitions in the shared folder."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..loading.readings import Reading, write_rows
from ..loading.row_files import RowFiles
from ..reading.open_sources import OpenedSources
from .shared_files import store_texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..loading.settings import LoadSettings
    from ..reading.scan import Positions


@dataclass(frozen=True)
class ReadPlan:
    """How files are read.

    Attributes
    ----------
    folder : path
        Shared; every task makes a folder of its own in it.
    settings : LoadSettings
    partitions : int
    positions : {"required", "optional"}
    types : tuple of str or None
        Default types, where the files are tables of impressions.
    """

    folder: Path
    settings: LoadSettings
    partitions: int
    positions: Positions
    types: tuple[str, ...] | None


@dataclass(frozen=True)
class TaskReading:
    """What a task read.

    `folder`: has the files of partitions and the texts. `names`: columns of the texts.
    """

    folder: Path
    names: tuple[str, ...]
    reading: Reading


def read_files(plan: ReadPlan, files: Sequence[Any]) -> TaskReading:
    """Read some files into partitions."""
    folder = plan.folder / f"reading-{uuid.uuid4().hex}"
    folder.mkdir()
    reader = plan.settings.reader()
    opened = OpenedSources(list(files), "source" if plan.types is None else "impressions")
    attributed = plan.settings.attributed
    with RowFiles(folder, plan.partitions, reader.columns, attributed) as row_files:
        latest = write_rows(
            reader,
            opened,
            row_files,
            plan.settings,
            types=plan.types,
            positions=plan.positions,
        )
    names = store_texts(folder, reader.texts())
    counts = [scan.counts for scan in reader.scans]
    reading = Reading(counts, reader.filled, latest, row_files.rows, row_files.attributable)
    return TaskReading(folder, names, reading)
