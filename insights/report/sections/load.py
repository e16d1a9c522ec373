"""What came in, and what was left out and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....errors import InvalidInputError
from ..blocks import Missing, Notes, Picture, Section, Table, View, cut
from ..charts.rows import Bar, BarChart
from ..wording import counted, listed, part, percent

if TYPE_CHECKING:
    from ....datasets import TrainingPairs
    from ..blocks import Facts
    from ..log import ReportLog

USES: Final = {
    "execution_id": "lists that are separated for certain",
    "session_id": "refinements, and intervals that allow for several searches of one session",
    "user_id": "similar users, and intervals that allow for several searches of one user",
    "query_snapshot": "everything by query",
    "document_score": "production's score as a feature, and the order to fall back to",
    "feature_uri": "weights of retrieval channels",
    "result_set_size": "the number of results as a feature",
    "time": "everything over time, and judgements of what was learnt on later searches",
}
"""Recommended field -> what needs it."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return the account of the rows, and what the executions hold."""
    found = log.validation
    result: dict[str, Any] = {
        "rows_read": found.rows_read,
        "rows_kept": found.rows_kept,
        "duplicates": found.duplicates,
        "quarantined": found.quarantined,
        "quarantine_reasons": dict(found.quarantine_reasons),
        "coverage": dict(found.coverage),
        "notes": list(found.notes),
        "max_rows": log.max_rows,
        "pairs": None,
        "no_pairs_because": None,
    }
    try:
        pairs = log.pairs
    except InvalidInputError as error:
        return {**result, "no_pairs_because": str(error)}
    notes = dict.fromkeys([*found.notes, *pairs.report.notes])
    return {**result, "notes": list(notes), "pairs": _sizes(pairs)}


def _sizes(pairs: TrainingPairs) -> dict[str, Any]:
    report = pairs.report
    period = None
    if pairs.has_times:
        period = [
            np.datetime_as_string(at, unit="s") for at in (pairs.time.min(), pairs.time.max())
        ]
    return {
        "executions": pairs.n_executions,
        "queries": len(np.unique(pairs.query_code)),
        "documents": len(np.unique(pairs.document_code)),
        "shown": len(pairs),
        "clicked": int(pairs.clicked.sum()),
        "users": pairs.context["user_id"].n_unique() if "user_id" in pairs.context else None,
        "sessions": pairs.context["session_id"].n_unique()
        if "session_id" in pairs.context
        else None,
        "period": period,
        "executions_dropped": dict(report.executions_dropped),
        "bot_executions": report.bot_executions,
        "bot_users": report.bot_users,
    }


def view(found: Facts) -> View:
    """Return the account as sentences, pictures and a table."""
    blocks = [*_rows(found), *_coverage(found)]
    pairs = found["pairs"]
    if pairs and pairs["executions_dropped"]:
        rows = [(reason, f"{n:,}") for reason, n in pairs["executions_dropped"].items()]
        shown, left_out = cut(rows, found["max_rows"], "reason")
        headings = ("reason", "executions")
        blocks.append(Table("Executions without training pairs", headings, shown, 1, left_out))
    if found["notes"]:
        blocks.append(Notes("What the reader of this log should know", found["notes"]))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say what was read, and what became of it."""
    if not found["rows_read"]:
        return "The source holds no rows."
    rows = found["rows_read"]
    became = [f"{part(found['rows_kept'], rows)} kept"]
    if found["duplicates"]:
        became.append(f"{part(found['duplicates'], rows)} dropped as duplicates")
    if found["quarantined"]:
        became.append(f"{part(found['quarantined'], rows)} quarantined for breaking a rule")
    verb = "was" if rows == 1 else "were"
    read = f"{counted(rows, 'row')} {verb} read: {listed(became)}."
    pairs = found["pairs"]
    if pairs is None:
        return f"{read} They hold no result lists to learn from: {found['no_pairs_because']}"
    searches = (
        f"They hold {counted(pairs['executions'], 'result list')} of "
        f"{counted(pairs['queries'], 'query', 'queries')}"
    )
    if pairs["users"] is not None:
        searches += f" by {counted(pairs['users'], 'user')}"
    if pairs["period"] is not None:
        first, last = (moment[:10] for moment in pairs["period"])
        searches += f" on {first}" if first == last else f", from {first} to {last}"
    return f"{read} {searches}."


def _rows(found: Facts) -> list[Picture]:
    reasons = list(found["quarantine_reasons"].items())
    if not reasons:
        return []
    shown, left_out = cut(reasons, found["max_rows"], "reason")
    chart = BarChart([Bar(reason, count, f"{count:,}") for reason, count in shown])
    name, count = reasons[0]
    sentence = (
        f"Quarantined rows by reason. The most frequent is “{name}” with "
        f"{part(count, found['quarantined'])}. All rows were counted, so this is exact. {left_out}"
    )
    return [Picture(chart, sentence.strip())]


def _coverage(found: Facts) -> list[Any]:
    coverage = found["coverage"]
    if not found["rows_read"] or not coverage:
        return []
    bars = [Bar(name, share, percent(share)) for name, share in coverage.items()]
    absent = [name for name, share in coverage.items() if not share]
    partial = [name for name, share in coverage.items() if 0 < share < 0.95]
    sentence = "Share of the valid rows that carry each recommended field."
    if absent:
        sentence += f" Not logged at all: {listed(absent)}."
    if partial:
        sentence += f" In less than 95% of the rows: {listed(partial)}."
    if not absent and not partial:
        sentence += " All of them are logged."
    blocks: list[Any] = [Picture(BarChart(bars), sentence)]
    if absent:
        rows = [(name, USES.get(name, "")) for name in absent]
        blocks.append(
            Table("What the fields that are not logged would add", ("field", "use"), rows, 2)
        )
    return blocks


SECTION = Section("load", "What came in", facts, view)
