"""Interactions into fusion evidence on the workers of a cluster: `learn`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ...datasets.distributed.cluster import check_shared, connected, run_tasks, worker_count
from ...datasets.distributed.files import files_of, has_positions, split
from ...datasets.distributed.log_parts import IMPRESSION
from ...datasets.loading.open_files import MAX_PARTITIONS, check_partitions
from ...datasets.loading.scratch import scratch_folder
from ...datasets.reading.scan import check_mapped
from ...datasets.reading.scan_counts import ScanCounts
from ...datasets.record.interaction import canonical_schema
from ...datasets.record.mapping import InputMapping
from ...datasets.record.signals import SignalTable
from ..base.timestamps import as_datetime, moment_of
from ..interactions.log_channels import channels_of
from ..interactions.source_reader import notes_of_positions, read_columns
from ..interactions.update_report import UpdateReport
from .route_task import RoutedRows, RoutePlan, route_rows, routed_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from distributed import Client

    from ...datasets.reading.scan import Positions
    from ...datasets.record.mapping import TimeUnit
    from ..evidence.evidence import Evidence
    from ..fusion_bandit import FusionBandit

_PARTITIONS_PER_WORKER: Final = 4
_COUNTS: Final = [
    f.name for f in fields(UpdateReport) if f.name not in {"quarantine_reasons", "notes"}
]


def learn(
    bandit: FusionBandit,
    source: Any,
    *,
    client: Client | str,
    workdir: str | Path | None = None,
    partitions: int | None = None,
    impressions: Any = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
) -> UpdateReport:
    """Learn as `FusionBandit.update` does, with workers that read and fold the interactions.

    Each file is read by a worker, which writes its rows to partitions by execution, and each
    partition is folded by a worker. Their units are merged here and learnt at once: each counts
    once, whatever was run twice. The evidence is that of `update`, except that a row without a
    position takes it from rows of this call only.

    Parameters
    ----------
    bandit : FusionBandit
    source, impressions : path, URL, glob or folder, or a list of these
    client, workdir
        See `rankloom.datasets.distributed.load_pairs`; the files take about as much as the source.
    partitions : int, optional
        From 1 to 512; 4 for each worker if None.
    columns, types, position_base, time_unit, on_error
        See `FusionBandit.update`.

    Raises
    ------
    ClusterError
        If no worker can be reached, or workers died again and again: nothing was learnt.
    InvalidInputError
        If a parameter is wrong, or a worker does not see `workdir`.
    StoreError
        If the store of the bandit is away: nothing was learnt.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from distributed import Client
    >>> from rankloom.bandit import FusionBandit
    >>> from rankloom.bandit.distributed import find_channels, learn
    >>> from rankloom.datasets import simulate_interactions
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = Path(folder.name, "log.parquet")
    >>> simulate_interactions(n_executions=100, random_state=0).write_parquet(log)
    >>> with Client(processes=False, n_workers=1, dashboard_address=":0") as client:
    ...     channels = find_channels(log, "search", client=client)
    ...     bandit = FusionBandit(channels, retriever_id="search")
    ...     report = learn(bandit, log, client=client, workdir=folder.name, partitions=2)
    >>> bandit.feature_uris, report.units_opened
    (('mixpeek://audio', 'mixpeek://image', 'mixpeek://text'), 1000)
    >>> folder.cleanup()
    """
    if partitions is not None:
        check_partitions(partitions)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    kinds: list[tuple[list[Any], tuple[str, ...] | None]] = [(files_of(source, "source"), None)]
    if impressions is not None:
        kinds.append((files_of(impressions, "impressions"), IMPRESSION))
    batch, now = bandit.learner.fresh(), moment_of(None)
    with connected(client) as cluster, scratch_folder(workdir) as folder:
        check_shared(cluster, folder)
        workers = worker_count(cluster)
        usual = min(_PARTITIONS_PER_WORKER * workers, MAX_PARTITIONS)
        count = usual if partitions is None else partitions
        extra = tuple(n for n in batch.identity.segment_by if n not in canonical_schema())
        plan = RoutePlan(
            folder=folder,
            partitions=count,
            signals=SignalTable.with_types(batch.rewards.own_types),
            mapping=mapping,
            extra=extra,
            positions="optional",
            types=None,
            now=as_datetime(now),
            raises=on_error == "raise",
        )
        pieces = [(split(files, workers), types) for files, types in kinds]
        routed = _routed(cluster, plan, pieces)
        folders = [each.folder for kind in routed for each in kind]
        calls = [(batch, folders, number, now, plan.raises) for number in range(count)]
        folded = list(run_tasks(cluster, "fold", _fold, calls))
    for part in folded:
        if part is not None:
            batch.merge(part.evidence)
    scans = [ScanCounts.of_all([each.counts for each in kind]) for kind in routed]
    report = _report(scans, [part for part in folded if part is not None])
    return bandit.learner.learn(batch, report)


def _routed(
    client: Client, plan: RoutePlan, kinds: Sequence[tuple[list[Any], tuple[str, ...] | None]]
) -> list[list[RoutedRows]]:
    """Read all files; each kind in the order of its files."""
    (logged, _), *others = kinds
    optional = bool(others) or any(
        run_tasks(client, "inspect", has_positions, [(file, plan.mapping) for file in logged])
    )
    positions: Positions = "optional" if optional else "required"
    calls = []
    for files, types in kinds:
        needed = positions if types is None else "required"
        calls += [(replace(plan, types=types, positions=needed), file) for file in files]
    found = run_tasks(client, "read", route_rows, calls)
    routed = [[next(found) for _ in files] for files, _ in kinds]
    check_mapped(*(ScanCounts.of_all([each.counts for each in kind]) for kind in routed))
    return routed


@dataclass(frozen=True)
class _FoldedPart:
    evidence: Evidence
    report: UpdateReport
    lists: int
    lowest: int


def _fold(
    settings: Evidence,
    folders: Sequence[Path],
    partition: int,
    now: int,
    raises: bool,  # noqa: FBT001 - tasks take their arguments by place
) -> _FoldedPart | None:
    """Fold a partition; None where it has no row."""
    files = [file for folder in folders for file in routed_files(folder, partition)]
    if not files:
        return None
    evidence = settings.fresh()
    read = read_columns(
        files,
        evidence.arms,
        evidence.identity,
        evidence.rewards,
        on_error="raise" if raises else "quarantine",
        now=now,
        with_queries=evidence.max_queries > 0,
    )
    report = read.reported(evidence.state.fold(read.columns, now))
    return _FoldedPart(evidence, report, read.lists, read.lowest)


def _report(scans: Sequence[ScanCounts], parts: Sequence[_FoldedPart]) -> UpdateReport:
    """Return what became of all rows."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for part in parts:
        counts.update({name: getattr(part.report, name) for name in _COUNTS})
        reasons.update(part.report.quarantine_reasons)
    for scan in scans:
        reasons.update(scan.quarantine.reasons)
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    known = {
        **counts,
        "rows": sum(scan.rows_read for scan in scans),
        "quarantined": sum(reasons.values()),
        "future_times": sum(scan.rows_of_future for scan in scans),
    }
    lowest = min((part.lowest for part in parts if part.lowest >= 0), default=-1)
    notes = [note for scan in scans for note in scan.notes]
    notes += notes_of_positions(sum(part.lists for part in parts), lowest)
    return UpdateReport(**known, quarantine_reasons=dict(ordered), notes=notes)


def find_channels(
    source: Any, retriever_id: str, *, client: Client | str, mapping: InputMapping | None = None
) -> list[str]:
    """Return the channels that the rows of a retriever name, in order; workers read the files."""
    files = files_of(source, "source")
    calls = [([file], retriever_id, mapping or InputMapping()) for file in files]
    with connected(client) as cluster:
        return sorted(set().union(*run_tasks(cluster, "inspect", channels_of, calls)))
