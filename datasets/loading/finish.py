"""From the parts of a log to its training pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from ..pairs.array_storage import release
from ..pairs.feature_columns import DAY
from ..pairs.fold import NO_TIME
from ..quality.bots import ClickLists, find_bots
from .assemble import Recency, assemble, pair_columns
from .report import add_bots, add_executions, check_rows, report_of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..pairs.array_storage import ArrayStorage
    from ..pairs.load_report import LoadReport
    from ..pairs.training_pairs import TrainingPairs
    from ..reading.scan_counts import ScanCounts
    from .merge import MergedLog
    from .settings import LoadSettings
    from .side_tables import SideTables


@dataclass(frozen=True, eq=False)
class DescribedLog:
    """The executions of a log that make pairs, their recency, and what to report of them."""

    log: MergedLog
    recency: Recency
    report: LoadReport


def finish(
    log: MergedLog,
    settings: LoadSettings,
    tables: SideTables,
    storage: ArrayStorage,
    *,
    scans: Sequence[ScanCounts],
    filled: Mapping[str, int],
    unknown_context: Sequence[str] = (),
) -> TrainingPairs:
    """Return the pairs of a log with their report; parameters as of `describe`."""
    described = describe(
        log, settings, storage, scans=scans, filled=filled, unknown_context=unknown_context
    )
    pairs = assemble(described.log, described.recency, settings.context, described.report, storage)
    del log, described
    return tables.join(pairs, storage)


def describe(
    log: MergedLog,
    settings: LoadSettings,
    storage: ArrayStorage,
    *,
    scans: Sequence[ScanCounts],
    filled: Mapping[str, int],
    unknown_context: Sequence[str] = (),
) -> DescribedLog:
    """Return which executions make pairs, and the report but for features and judgements.

    `scans`, `filled`: what was counted while reading. `unknown_context`: columns of context that no
    row has.
    """
    report = report_of_rows(log, scans, filled, settings)
    check_rows(log, report, unknown_context)
    shown = pair_columns(log, ("position", "clicked"), storage)
    lists = ClickLists(log.group[log.kept], **shown, user=log.user[log.kept])
    bots = find_bots(lists)
    release(*shown.values())
    add_bots(report, bots, dropped=settings.drop_bots)
    if settings.drop_bots and report.bot_executions:
        dropped = np.zeros(len(log.group), np.bool_)
        dropped[log.kept[bots.lists]] = True
        log = log.without(dropped)
        shown = pair_columns(log, ("position", "clicked"), storage)
    add_executions(report, log, shown["position"], shown["clicked"])
    age_from = log.latest if settings.now is None else settings.now
    recency = _recency(log.first_time[log.kept], age_from, settings.half_life)
    release(*shown.values())
    return DescribedLog(log, recency, report)


def _recency(first_time: NDArray[np.int64], age_from: int, half_life: float | None) -> Recency:
    """Return age in days and weight of every execution; its age is that of its first event."""
    unknown = first_time == NO_TIME
    if half_life is not None:
        check_times(int(unknown.sum()), len(unknown))
    age = np.where(unknown, np.nan, np.maximum(age_from - first_time, 0) / DAY)
    if half_life is None:
        return Recency(age.astype(np.float32), np.ones(len(age), np.float32))
    # From the newest execution: 2^(-age) of a log that ended long ago would be 0 in float32.
    weight = np.exp2((age.min(initial=np.inf) - age) / half_life)
    return Recency(age.astype(np.float32), (weight / weight.mean()).astype(np.float32))


def check_times(without: int, executions: int) -> None:
    """Raise if some executions have no time, where a half-life is given."""
    if without:
        msg = (
            f"half_life: {without} of {executions} executions have no time, so they "
            "have no age. Add occurred_at or timestamp (to the impressions table too), or leave "
            "half_life out"
        )
        raise InvalidInputError(msg)
