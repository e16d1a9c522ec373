"""The report of a load from the facts of its tasks alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..loading.merge import merge_parts
from ..loading.part import Part
from ..loading.report import ListCounts, add_lists, check_rows, report_of_rows
from ..pairs.fold import PairColumns

if TYPE_CHECKING:
    from ..loading.settings import LoadSettings
    from ..pairs.load_report import LoadReport
    from .facts import Facts


def report_of(facts: Facts, settings: LoadSettings) -> LoadReport:
    """Return the report; raises where `load_pairs` would."""
    log = merge_parts([_without_lists(facts)])
    scans = [facts.reading.scan_counts(settings)]
    report = report_of_rows(log, scans, facts.filled, settings)
    check_rows(log, report, unknown_context(facts, settings))
    lists = facts.lists
    counted = ListCounts(lists.executions, lists.without_query, lists.pairs, lists.clicked)
    add_lists(report, facts.counts, counted, facts.positions)
    return report


def unknown_context(facts: Facts, settings: LoadSettings) -> list[str]:
    """Return the columns of context that no row has."""
    return [name for name in settings.context if name not in facts.context]


def _without_lists(facts: Facts) -> Part:
    """Return a part that has the counts of the log and none of its executions."""
    none, no_texts = np.empty(0, np.int32), pl.Series(dtype=pl.String)
    floats, flags = np.empty(0, np.float32), np.empty(0, np.bool_)
    return Part(
        ids=no_texts,
        first_time=np.empty(0, np.int64),
        query=none,
        user=none,
        context={},
        pairs=PairColumns(none, none, floats, flags, flags, none, np.empty(0), floats[:, None]),
        features=(),
        documents=no_texts,
        queries=no_texts,
        channels=no_texts,
        users=no_texts,
        latest=facts.latest,
        counts=facts.counts,
        positions=facts.positions,
        met=None,
    )
