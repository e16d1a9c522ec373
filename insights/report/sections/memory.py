"""What a memory of queries would gain on the later part of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.rows import Dot, DotChart
from ..wording import NONE, counted, decimal

if TYPE_CHECKING:
    from ..blocks import Facts
    from ..log import ReportLog


def facts(log: ReportLog) -> Facts | Missing:
    """Return the replay of the later part by a memory of the earlier one."""
    from ....ltr import QueryMemory

    if not log.pairs.has_times:
        return Missing(
            "The log has no times, so a memory cannot be judged on later searches than it learnt "
            "from.",
            "Log occurred_at, or timestamp, with every interaction.",
        )
    earlier, later = log.parts
    prior = None if log.features is None else log.ranker
    report = QueryMemory().fit(earlier, prior=prior).evaluate(later, prior)
    return {**report.to_dict(), "prior_kind": "production" if prior is None else "ranker"}


def view(found: Facts) -> View:
    """Return the gain by band as a picture and a table."""
    bands = [band for band in found["bands"] if band["executions"]]
    blocks: list[Any] = []
    if bands:
        blocks = [_picture(found, bands), _table(found, bands)]
    if found["notes"]:
        blocks.append(Notes("Limits of this estimate", found["notes"]))
    return View(headline(found), blocks)


def _against(found: Facts) -> str:
    return "the ranker" if found["prior_kind"] == "ranker" else "production's order"


def headline(found: Facts) -> str:
    """Say what the memory gains, and how sure that is."""
    together = found["all"]
    if not together["executions"]:
        return "No query of the later part was searched before, so a memory would change nothing."
    gain = f"{decimal(together['gain'], sign=True)} DCG@10"
    lower = together["lower"]
    if lower is None:
        sure = "too few queries for a bound"
    else:
        sure = f"with {found['confidence']:.0%} confidence at least {decimal(lower, sign=True)}"
    what = f"Mixing what the clicks of each query said into {_against(found)}"
    if found["passed"]:
        verb = "improves the order of the documents shown later"
    else:
        verb = "is not established to improve the order of the documents shown later"
    return f"{what} {verb}: {gain} ({sure})."


def _name(found: Facts, band: Facts) -> str:
    """Return the band's impressions in words: up to the next band's fewest."""
    lows = [each["impressions"] for each in found["bands"]]
    after = [low for low in lows if low > band["impressions"]]
    if not after:
        return f"{band['impressions']} or more displays"
    return f"{band['impressions']} to {min(after) - 1} displays"


def _picture(found: Facts, bands: list[Any]) -> Picture:
    rows = [(_name(found, band), band) for band in bands]
    if len(rows) > 1:
        rows.insert(0, ("all", found["all"]))
    dots = [
        Dot(name, band["gain"], band["lower"], None, decimal(band["gain"], sign=True))
        for name, band in rows
    ]
    passed = [_name(found, band) for band in bands if band["passed"]]
    sentence = (
        f"Gain over {_against(found)} by how often the memory had seen the query. Lines reach down "
        f"to the {found['confidence']:.0%} bound."
    )
    if passed:
        sentence += f" The bound lies above 0 for queries with {', '.join(passed)}."
    else:
        sentence += " No band's bound lies above 0."
    chart = DotChart(dots, "gain in DCG@10 of the documents shown", reference=0.0)
    return Picture(chart, sentence)


def _table(found: Facts, bands: list[Any]) -> Table:
    rows = [
        (
            _name(found, band),
            f"{band['queries']:,}",
            f"{band['executions']:,}",
            decimal(band["prior"]),
            decimal(band["memory"]),
            NONE if band["lower"] is None else decimal(band["lower"], sign=True),
        )
        for band in bands
    ]
    bound = f"gain at least ({found['confidence']:.0%})"
    headings = ("query had", "queries", "searches", "without", "with memory", bound)
    unknown = found["unknown"]
    left_out = ""
    if unknown:
        left_out = (
            f"{counted(unknown, 'later search', 'later searches')} of new queries: unchanged."
        )
    return Table("DCG@10, clicks over examination", headings, rows, left_out=left_out)


SECTION = Section("memory", "Memory of queries", facts, view)
