"""Documents: wanted and standing low, standing high and disappointing, skipped, new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.rows import Dot, DotChart
from ..first_rows import first_rows, rest_of
from ..wording import counted, decimal, listed, percent

if TYPE_CHECKING:
    from ..blocks import Block, Facts
    from ..log import ReportLog

RATES: Final = {
    "skips": "skipped",
    "returns": "left to return to the results",
    "negative_feedback": "given negative feedback",
}
"""Rate -> what is done to such documents, in words."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return what is found of documents, as far as tables and pictures show it."""
    from ...documents.document_insights import document_insights

    insights = document_insights(log.searches)
    limit = log.max_rows
    tested = insights.pairs["verdict"].is_not_null().sum()
    return {
        "overall": dict(insights.overall),
        "false_discoveries": insights.false_discoveries,
        "documents": len(insights.documents),
        "pairs": len(insights.pairs),
        "tested": int(tested),
        "wanted": first_rows(insights.wanted, limit),
        "disappointing": first_rows(insights.disappointing, limit),
        "rates": {name: first_rows(insights.found(name), limit) for name in RATES},
        "without_evidence": first_rows(insights.without_evidence, limit),
        "times": "time" not in insights.missing,
        "missing": dict(insights.missing),
        "notes": list(insights.notes),
    }


def view(found: Facts) -> View:
    """Return wanted and disappointing documents as pictures, the others as tables."""
    blocks: list[Block] = []
    if found["wanted"]["rows"]:
        blocks.append(_compared(found["wanted"], "above", _WANTED))
    if found["disappointing"]["rows"]:
        blocks.append(_compared(found["disappointing"], "below", _DISAPPOINTING))
    blocks += [
        _rates(name, part, found["overall"][name])
        for name, part in found["rates"].items()
        if part["rows"]
    ]
    if found["without_evidence"]["rows"]:
        blocks.append(_new(found))
    if found["notes"]:
        blocks.append(Notes("Limits of these findings", found["notes"]))
    if found["missing"]:
        blocks.append(Notes("What the log lacks", list(found["missing"].values())))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say how many documents are wanted and stand low, and how many disappoint."""
    text = (
        f"{counted(found['documents'], 'document')} were shown"
        if found["documents"] != 1
        else "1 document was shown"
    )
    if not found["tested"]:
        return f"{text}, none of them often enough to compare it with its neighbours in the lists."
    wanted, disappointing = (found[name]["count"] for name in ("wanted", "disappointing"))
    others = [
        f"{part['count']:,} {RATES[name]}" for name, part in found["rates"].items() if part["count"]
    ]
    more = f" More often than others: {listed(others)}." if others else ""
    false = percent(found["false_discoveries"])
    return (
        f"{text}. Corrected for position, {_is(wanted)} wanted more than what stands above in the "
        f"lists of a query, and {_is(disappointing)} less wanted than what stands below; at most "
        f"{false} of these are false discoveries in expectation.{more}"
    )


def _is(number: int) -> str:
    return f"{number:,} {'is' if number == 1 else 'are'}"


_WANTED: Final = (
    "Documents that are wanted and stand low: their engagement by examination is above that with "
    "the documents above them in the same lists."
)
_DISAPPOINTING: Final = (
    "Documents that stand high and disappoint: their engagement by examination is below that with "
    "the documents below them in the same lists."
)


def _compared(part: Facts, side: str, sentence: str) -> Picture:
    dots = [
        Dot(
            f"{row['document']} for {row['query']}",
            row["engagement"],
            row["engagement_lower"],
            row["engagement_upper"],
            f"position {row['position']:.1f}",
            row[f"engagement_{side}"],
        )
        for row in part["rows"]
    ]
    first = part["rows"][0]
    low, high = (decimal(first[f"engagement_{end}"]) for end in ("lower", "upper"))
    value = decimal(first["engagement"])
    sentence += (
        f" The surest is {first['document']} for “{first['query']}”: {value} "
        f"(90% interval {low} to {high}) against {decimal(first[f'engagement_{side}'])}. The mean "
        "position stands at the right."
    )
    chart = DotChart(
        dots, "engagements for each examination", series=("document", f"documents {side} it")
    )
    return Picture(chart, f"{sentence} {rest_of(part, 'document')}".strip())


def _rates(name: str, part: Facts, overall: float) -> Table:
    rows = [
        (
            row["document"],
            f"{row['displays']:,}",
            percent(row[name]),
            f"{percent(row[f'{name}_lower'])} to {percent(row[f'{name}_upper'])}",
        )
        for row in part["rows"]
    ]
    per = "of its clicks" if name == "returns" else "by examination"
    title = f"Documents {RATES[name]} more often than others (all: {percent(overall)} {per})"
    headings = ("document", "displays", "rate", "90% interval")
    return Table(title, headings, rows, left_out=rest_of(part, "document"))


def _new(found: Facts) -> Table:
    part = found["without_evidence"]
    rows = [
        (
            row["document"],
            (row["first_shown"] or "")[:10],
            f"{row['displays']:,}",
            decimal(row["examined"]),
            f"{row['engaged']:.0f}",
        )
        for row in part["rows"]
    ]
    title = "New documents that hardly anyone has examined: nothing can be said of them yet"
    if not found["times"]:
        title = "Documents that hardly anyone has examined: nothing can be said of them yet"
    headings = ("document", "first shown", "displays", "examined", "engaged")
    return Table(title, headings, rows, 2, rest_of(part, "document"))


SECTION = Section("documents", "Documents", facts, view)
