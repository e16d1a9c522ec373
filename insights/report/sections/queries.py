"""Queries: which find nothing, are abandoned, or engage less than their documents promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.rows import Dot, DotChart
from ..first_rows import first_rows, rest_of
from ..wording import NONE, counted, decimal, listed, percent

if TYPE_CHECKING:
    from ..blocks import Block, Facts
    from ..log import ReportLog

SHARES: Final = {
    "zero_results": "find nothing",
    "abandonment": "are abandoned",
    "refinement": "are followed by another query",
}
"""Share -> what such queries do, in words."""

_KEPT: Final = ("query", "searches", "persons")
_RATIO: Final = ("engagement", "promised", "ratio", "ratio_lower", "ratio_upper")


def facts(log: ReportLog) -> Facts | Missing:
    """Return what is found of queries, as far as tables and pictures show it."""
    from ...queries.query_insights import query_insights

    if not log.searches.query.known.any():
        return Missing(
            "No row says which query its result list belongs to.",
            "Log query_snapshot, the query's text or JSON, with every interaction.",
        )
    insights = query_insights(log.searches)
    ends, limit = ("", "_lower", "_upper"), log.max_rows
    found = {
        name: first_rows(insights.found(name), limit, [*_KEPT, *(f"{name}{end}" for end in ends)])
        for name in SHARES
    }
    found |= {
        name: first_rows(insights.found(name), limit, [*_KEPT, *_RATIO])
        for name in ("below", "above")
    }
    joined = insights.clusters.filter(insights.clusters["queries"] > 1)
    return {
        "overall": dict(insights.overall),
        "promised_by": list(insights.promised_by),
        "false_discoveries": insights.false_discoveries,
        "queries": len(insights.queries),
        "tested": int(insights.queries["verdict"].is_not_null().sum()),
        "found": found,
        "chains": first_rows(insights.chains.filter("found"), limit),
        "rewrites": first_rows(insights.rewrites, limit),
        "clusters": first_rows(joined, limit, ["cluster", "queries", "members", "searches"]),
        "missing": dict(insights.missing),
        "notes": list(insights.notes),
    }


def view(found: Facts) -> View:
    """Return the findings as pictures, steps between queries as tables."""
    blocks: list[Block] = [
        _against_promise(found, name) for name in ("below", "above") if found["found"][name]["rows"]
    ]
    blocks += [_shares(found, name) for name in SHARES if found["found"][name]["rows"]]
    if found["chains"]["rows"]:
        blocks.append(_chains(found["chains"]))
    if found["rewrites"]["rows"]:
        blocks.append(_rewrites(found["rewrites"]))
    if found["clusters"]["rows"]:
        blocks.append(_clusters(found["clusters"]))
    if found["notes"]:
        blocks.append(Notes("Limits of these findings", found["notes"]))
    if found["missing"]:
        blocks.append(Notes("What the log lacks", list(found["missing"].values())))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say what searches end in, and of how many queries something is found."""
    overall = found["overall"]
    ends = [
        f"{percent(overall[name])} {words}"
        for name, words in SHARES.items()
        if overall[name] is not None
    ]
    text = (
        f"{counted(found['queries'], 'query', 'queries')} in "
        f"{counted(overall['searches'], 'search', 'searches')}"
    )
    text += f", of which {listed(ends)}." if ends else "."
    below, above = (found["found"][name]["count"] for name in ("below", "above"))
    if not found["tested"]:
        return f"{text} No query was searched enough to compare its engagement with the expected."
    return (
        f"{text} {_engage(below)} less than {_promise(found)}, and {above:,} more; at most "
        f"{percent(found['false_discoveries'])} of these are false discoveries in expectation."
    )


def _engage(number: int) -> str:
    return f"{counted(number, 'query engages', 'queries engage')}"


def _promise(found: Facts) -> str:
    return "their documents' features promise" if found["promised_by"] else "queries do overall"


def _against_promise(found: Facts, name: str) -> Picture:
    part = found["found"][name]
    dots = [
        Dot(
            row["query"],
            row["ratio"],
            row["ratio_lower"],
            row["ratio_upper"],
            f"{decimal(row['ratio'])} times",
        )
        for row in part["rows"]
    ]
    direction = "less" if name == "below" else "more"
    first = part["rows"][0]
    ratio, low, high = (decimal(first[f"ratio{end}"]) for end in ("", "_lower", "_upper"))
    sentence = (
        f"Queries that engage {direction} than {_promise(found)}, the most frequent first, "
        f"corrected for position; 1 is as expected. “{first['query']}” engages {ratio} times as "
        f"much (90% interval {low} to {high})."
    )
    chart = DotChart(dots, "engagement over expected", reference=1.0)
    return Picture(chart, f"{sentence} {rest_of(part, 'query', 'queries')}".strip())


def _shares(found: Facts, name: str) -> Picture:
    part, overall = found["found"][name], found["overall"][name]
    dots = [
        Dot(
            row["query"],
            row[name],
            row[f"{name}_lower"],
            row[f"{name}_upper"],
            f"{percent(row[name])} of {row['searches']:,}",
        )
        for row in part["rows"]
    ]
    sentence = (
        f"Queries whose searches {SHARES[name]} more often than those of others; the upright line "
        f"marks all searches, {percent(overall)}. The others are 90% intervals; at most "
        f"{percent(found['false_discoveries'])} of such findings are false in expectation."
    )
    chart = DotChart(dots, "share of the query's searches", reference=overall, shares=True)
    return Picture(chart, f"{sentence} {rest_of(part, 'query', 'queries')}".strip())


def _chains(part: Facts) -> Table:
    rows = [
        (
            row["from_query"],
            row["to_query"],
            f"{row['persons']:,}",
            decimal(row["lift"]),
            NONE
            if row["succeeded"] is None
            else f"{percent(row['succeeded_lower'])} to {percent(row['succeeded_upper'])}",
        )
        for row in part["rows"]
    ]
    headings = ("from", "to", "persons", "times chance", "second query served")
    title = "Steps from one query to the next, more frequent than by chance"
    return Table(title, headings, rows, 2, rest_of(part, "step"))


def _rewrites(part: Facts) -> Table:
    rows = [
        (
            row["from_query"],
            row["to_query"],
            row["kind"],
            f"{row['failed']:,}",
            f"{row['rescued']:,}",
            f"{row['rescued_back']:,}",
        )
        for row in part["rows"]
    ]
    headings = ("from", "to", "kind", "first failed", "second served", "the other way")
    title = "Candidates for rewrites and synonyms, in persons"
    return Table(title, headings, rows, 3, rest_of(part, "candidate"))


def _clusters(part: Facts) -> Table:
    rows = [
        (row["cluster"], ", ".join(row["members"]), f"{row['queries']:,}", f"{row['searches']:,}")
        for row in part["rows"]
    ]
    headings = ("cluster", "members", "queries", "searches")
    return Table(
        "Queries that lead to the same documents", headings, rows, 2, rest_of(part, "cluster")
    )


SECTION = Section("queries", "Queries", facts, view)
