"""A log in parts that workers folded: `log_parts`."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..loading.assemble import assemble
from ..loading.attribution import NO_MOVES, check_attributable
from ..loading.finish import describe
from ..loading.merge import merge_parts
from ..loading.open_files import MAX_PARTITIONS, PARTITIONS_OF_UNKNOWN, check_partitions
from ..loading.progress import rows_in_all, rows_shown
from ..loading.readings import Reading
from ..loading.scratch import scratch_folder
from ..loading.shared_texts import SharedTexts, share_texts
from ..loading.side_tables import SideTables
from ..pairs.array_storage import OnDisk
from ..reading.scan import check_mapped
from ..reading.scan_counts import ScanCounts
from .attribute_task import attribute
from .cluster import check_shared, connected, run_tasks, share, worker_count, worker_memory
from .files import files_of, grouped, inspect_files, split
from .fold_task import FoldPlan, fold_partition, received
from .read_task import ReadPlan, TaskReading, read_files
from .shared_files import store_codes, store_texts, stored_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from distributed import Client, Future

    from ..loading.attribution import Moves
    from ..loading.finish import DescribedLog
    from ..loading.merge import MergedLog
    from ..loading.part import Part
    from ..loading.settings import LoadSettings
    from ..pairs.training_pairs import TrainingPairs
    from ..reading.scan import Positions

_ROWS_PER_PARTITION: Final = 2_000_000
"""Folding so many takes about half a gigabyte."""

IMPRESSION: Final = ("impression",)


@dataclass(frozen=True, eq=False)
class LogParts:
    """A log whose parts lie in a folder that the client and all workers share.

    Attributes
    ----------
    client : distributed.Client
    folder : path
    settings : LoadSettings
    tables : SideTables
    merged : MergedLog
        The executions of all parts in one order.
    reading : Reading
        What was counted while the files were read.
    texts : SharedTexts
    unknown_context : tuple of str
        Columns of context that no row has.
    """

    client: Client
    folder: Path
    settings: LoadSettings
    tables: SideTables
    merged: MergedLog
    reading: Reading
    texts: SharedTexts
    unknown_context: tuple[str, ...]

    def pairs(self) -> TrainingPairs:
        """Return the training pairs of all parts; their arrays are mapped from files.

        They stay readable when the folder is gone.
        """
        found, storage = self.described(), self._storage()
        pairs = assemble(found.log, found.recency, self.settings.context, found.report, storage)
        return self.tables.join(pairs, storage)

    def described(self) -> DescribedLog:
        """Return which executions make pairs, and the report but for features and judgements."""
        return describe(
            self.merged,
            self.settings,
            self._storage(),
            scans=self.reading.scans,
            filled=self.reading.filled,
            unknown_context=self.unknown_context,
        )

    def _storage(self) -> OnDisk:
        folder = self.folder / "pairs"
        folder.mkdir(exist_ok=True)
        return OnDisk(folder)


@contextmanager
def log_parts(
    source: Any,
    settings: LoadSettings,
    *,
    client: Any,
    workdir: str | Path | None,
    partitions: int | None = None,
    features: Any = None,
    impressions: Any = None,
    judgments: Any = None,
) -> Iterator[LogParts]:
    """Read and fold a log on workers; its files go at the end, whatever happens.

    Parameters
    ----------
    source, features, impressions, judgments
        See `load_pairs`; `source` and `impressions` are paths or URLs.
    settings : LoadSettings
    client : distributed.Client or str
        See `connected`.
    workdir : path or None
        A folder that the client and all workers share; that of temporary files if None.
    partitions : int, optional
        From 1 to 512; by the number of rows if None.

    Raises
    ------
    ClusterError
        If no worker can be reached, or workers died again and again.
    InvalidInputError
        If a parameter is wrong, or a worker does not see `workdir`.
    """
    if partitions is not None:
        check_partitions(partitions)
    kinds: list[tuple[list[Any], tuple[str, ...] | None]] = [(files_of(source, "source"), None)]
    if impressions is not None:
        kinds.append((files_of(impressions, "impressions"), IMPRESSION))
    with connected(client) as cluster, scratch_folder(workdir) as folder:
        check_shared(cluster, folder)
        tables = SideTables.read(
            settings, features=features, impressions=impressions, judgments=judgments
        )
        read = _read(cluster, kinds, settings, folder, partitions)
        reading, texts, names = _merged_reading(read, settings, folder)
        unknown = tuple(reading.unknown_context(settings, texts))
        parts = _parts(cluster, read, reading, names, texts, settings, folder)
        merged = merge_parts(parts)
        merged = merged.with_features([n for n in merged.features if reading.filled[n]])
        yield LogParts(cluster, folder, settings, tables, merged, reading, texts, unknown)


def _read(
    client: Client,
    kinds: Sequence[tuple[list[Any], tuple[str, ...] | None]],
    settings: LoadSettings,
    folder: Path,
    partitions: int | None,
) -> list[list[TaskReading]]:
    """Read all files, of interactions and of impressions; each kind in the order of its files."""
    workers = worker_count(client)
    groups = [
        (group, types)
        for files, types in kinds
        for group in grouped(split(files, workers), workers)
    ]
    calls = [(group, settings, types) for group, types in groups]
    facts = list(run_tasks(client, "inspect", inspect_files, calls))
    logged = [fact for fact, (_, types) in zip(facts, groups, strict=True) if types is None]
    optional = len(kinds) > 1 or any(fact.has_positions for fact in logged)
    rows = rows_in_all(fact.rows for fact in facts)
    if partitions is None:
        partitions = _partition_count(rows, workers)
    plans = []
    for _, types in groups:
        positions: Positions = "optional" if optional and types is None else "required"
        plans.append(ReadPlan(folder, settings, partitions, positions, types))
    tasks = [(plan, group) for plan, (group, _) in zip(plans, groups, strict=True)]
    read: list[list[TaskReading]] = [[] for _ in kinds]
    with rows_shown("Reading", rows) as advance:
        for task, plan in zip(run_tasks(client, "read", read_files, tasks), plans, strict=True):
            read[0 if plan.types is None else 1].append(task)
            advance(int(task.reading.rows.sum()))
    return read


def _partition_count(rows: int | None, workers: int) -> int:
    if rows is None:
        return min(max(PARTITIONS_OF_UNKNOWN, workers), MAX_PARTITIONS)
    return int(np.clip(-(-rows // _ROWS_PER_PARTITION), workers, MAX_PARTITIONS))


def _merged_reading(
    read: Sequence[Sequence[TaskReading]], settings: LoadSettings, folder: Path
) -> tuple[Reading, SharedTexts, tuple[str, ...]]:
    """Return what all readings are together; the codes of each are stored with its files."""
    scans = [ScanCounts.of_all([task.reading.scans[0] for task in kind]) for kind in read]
    check_mapped(*scans)
    tasks = [task for kind in read for task in kind]
    texts, codes = share_texts([stored_texts(task.folder, task.names) for task in tasks], settings)
    for task, own in zip(tasks, codes, strict=True):
        store_codes(task.folder, own)
    names = store_texts(folder, texts.texts)
    readings = [task.reading for task in tasks]
    filled = {
        name: sum(reading.filled[name] for reading in readings) for name in readings[0].filled
    }
    latest = max(reading.latest for reading in readings)
    rows = reduce(np.add, (reading.rows for reading in readings))
    attributable = sum(reading.attributable for reading in readings)
    return Reading(scans, filled, latest, rows, attributable), texts, names


def _moves(
    client: Client, plan: FoldPlan, shared: Future[FoldPlan], reading: Reading
) -> dict[int, Moves]:
    """Send rows that are attributed to displays to their partitions."""
    window = plan.settings.window
    if window is None or not reading.attributable:
        return {}
    check_attributable(reading.attributable, worker_memory(client), "Give workers more memory")
    with rows_shown("Attributing", int(reading.rows.sum())) as advance:
        return attribute(client, plan, shared, reading.rows, window, advance)


def _parts(
    client: Client,
    read: Sequence[Sequence[TaskReading]],
    reading: Reading,
    names: tuple[str, ...],
    texts: SharedTexts,
    settings: LoadSettings,
    folder: Path,
) -> list[Part]:
    """Fold every partition that has rows; the reading's refused rows go to its quarantine."""
    tasks = [task for kind in read for task in kind]
    before = np.cumsum([0, *(task.reading.unplaced for task in tasks)]).tolist()
    readings = tuple((task.folder, start) for task, start in zip(tasks, before, strict=False))
    plan = FoldPlan(folder, names, settings, dict(reading.filled), reading.future_date, readings)
    # The first one is there for a log without any row.
    numbers = [n for n, rows in enumerate(reading.rows.tolist()) if rows or not n]
    reasons = np.full(reading.unplaced, None, np.object_)
    parts = []
    shared = share(client, plan)
    moves = _moves(client, plan, shared, reading)
    calls = [(shared, number, moves.get(number, NO_MOVES)) for number in numbers]
    with rows_shown("Folding", int(reading.rows.sum())) as advance:
        results = run_tasks(client, "fold", fold_partition, calls)
        for number, folded in zip(numbers, results, strict=True):
            parts.append(received(folded.part, texts, settings))
            reasons[folded.unplaced] = folded.reasons
            advance(int(reading.rows[number]))
    for task in tasks:
        shutil.rmtree(task.folder, ignore_errors=True)
    reading.refuse(reasons)
    return parts
