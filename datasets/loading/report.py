"""The report of a load, and the logs that it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ...errors import InvalidInputError, NoExposuresError
from ..pairs.load_report import LoadReport
from ..quality.notes import RowCounts, quarantine_notes, query_notes
from ..quality.positions import PositionCounts, position_notes
from ..reading.quarantine import Quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..quality.bots import BotLists
    from ..reading.scan_counts import ScanCounts
    from .merge import MergedLog
    from .part import PartCounts
    from .settings import LoadSettings

_NO_EXPOSURES: Final = (
    "source: every document in the log was clicked, so nothing says what was shown and passed "
    "over. Log an interaction of type 'impression' for every shown document, or give "
    "impressions=TABLE with execution_id, feature_id and position"
)


def report_of_rows(
    log: MergedLog, scans: Sequence[ScanCounts], filled: Mapping[str, int], settings: LoadSettings
) -> LoadReport:
    """Return what was read; the quarantine is written.

    `filled`: recommended field -> rows that have it.
    """
    refused = Quarantine()
    for scan in scans:
        refused.extend(scan.quarantine)
    if settings.quarantine is not None:
        refused.write(settings.quarantine)
    counts = log.counts
    report = LoadReport(
        rows_read=sum(scan.rows_read for scan in scans),
        rows_kept=counts.rows,
        quarantined=refused.rows,
        quarantine_reasons=dict(refused.reasons),
        rows_placed=counts.placed,
        rows_attributed=counts.attributed,
        rows_unplaced=counts.refused,
        coverage={name: count / max(counts.rows, 1) for name, count in filled.items()},
    )
    report.notes += [note for scan in scans for note in scan.notes]
    if refused.rows:
        positive = settings.signals.positive
        rows = RowCounts(
            report.rows_read,
            report.quarantined,
            positive_kept=counts.positive,
            positive_quarantined=sum(scan.refused_of(positive) for scan in scans),
            untyped=sum(scan.refused_untyped for scan in scans),
            reasons=report.quarantine_reasons,
        )
        report.notes += quarantine_notes(rows)
    report.notes += log.notes_of_ids()
    return report


def check_rows(log: MergedLog, report: LoadReport, unknown_context: Sequence[str]) -> None:
    """Raise where there is no row, or a column of context is in none."""
    if not log.counts.rows:
        reasons = "; ".join(list(report.quarantine_reasons)[:3])
        msg = f"source: no valid interaction among {report.rows_read} rows read" + (
            f" ({reasons}). Give quarantine=PATH to see all of them" if reasons else ""
        )
        raise InvalidInputError(msg)
    for name in unknown_context:
        msg = (
            f"context: {name!r} is neither a column nor a field of metadata in any row; "
            "check the name, or leave it out"
        )
        raise InvalidInputError(msg)


def add_bots(report: LoadReport, bots: BotLists, *, dropped: bool) -> None:
    """Report executions that look like those of bots."""
    report.bot_executions, report.bot_users = int(bots.lists.sum()), bots.users
    report.notes += bots.notes(dropped=dropped)
    if dropped and report.bot_executions:
        report.executions_dropped["likely bots"] = report.bot_executions


def add_executions(
    report: LoadReport, log: MergedLog, position: NDArray[np.int32], clicked: NDArray[np.bool_]
) -> None:
    """Add what the grouping found, and refuse logs that cannot be debiased.

    `position`, `clicked`: of the pairs of the executions that are kept.
    """
    executions = int(np.count_nonzero(log.group))
    positions = log.positions
    if executions < positions.lists:  # some were dropped as those of bots
        positions = PositionCounts.of(log.group, position)
    without_query = int(((log.query < 0) & (log.group > 0)).sum())
    lists = ListCounts(executions, without_query, len(clicked), int(np.count_nonzero(clicked)))
    add_lists(report, log.counts, lists, positions)


class ListCounts(NamedTuple):
    """Executions that are kept, those of them whose rows name no query, and pairs of them."""

    executions: int
    without_query: int
    pairs: int
    clicked: int


def add_lists(
    report: LoadReport, counts: PartCounts, lists: ListCounts, positions: PositionCounts
) -> None:
    """Add what was counted of executions, and refuse logs that cannot be debiased."""
    report.duplicates = counts.duplicates
    report.rows_kept -= counts.duplicates
    report.list_level_rows = counts.list_level_rows
    report.rows_without_execution = counts.rows_without_execution
    report.executions = lists.executions
    report.position_conflicts = counts.position_conflicts
    report.rows_given_query = counts.rows_given_query
    report.executions_without_query = lists.without_query
    report.notes += position_notes(positions)
    report.notes += query_notes(report.executions_without_query, report.executions)
    dropped = {
        "only clicked documents were logged": counts.clicks_only,
        "only list-level interactions": counts.list_level_only,
    }
    report.executions_dropped |= {reason: count for reason, count in dropped.items() if count}
    if counts.clicks_only and lists.clicked == lists.pairs:
        raise NoExposuresError(_NO_EXPOSURES)
    if not lists.pairs:
        msg = (
            f"source: no pair could be made: {report.rows_without_execution} rows name no "
            "execution (execution_id, or session_id with query_snapshot), "
            f"{counts.list_level_rows} rows describe the list only"
        )
        raise InvalidInputError(msg)
    if lists.clicked == lists.pairs:
        raise NoExposuresError(_NO_EXPOSURES)
