"""The log over time: volume, engagement, label mix and curve, and when they changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....errors import InvalidInputError
from ..blocks import Missing, Notes, Picture, Section, Table, View, cut
from ..charts.lines import Line, LineChart
from ..wording import counted, decimal, listed, percent

if TYPE_CHECKING:
    from ...searches.searches import Searches
    from ..blocks import Block, Facts
    from ..log import ReportLog

COUNTS: Final = ("searches", "users", "sessions")
SHARES: Final = ("engaged_searches", "abandonment", "zero_results")
CORRECTED: Final = ("corrected_engagements", "engagements")
"""Engagement, corrected for position where that is possible."""

N_BOOTSTRAP: Final = 20
"""Replicates of each period's curve."""

MAX_DAYS: Final = 120
"""Longer logs are shown by week."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return the series by day, the curve by block of days, and the changes."""
    from ...time_series.trends import trends

    if not log.searches.timed.any():
        return Missing(
            "The log has no times, so nothing can be said over time.",
            "Log occurred_at, or timestamp, with every interaction.",
        )
    searches = _for_trends(log)
    found = trends(searches, every="1d", n_bootstrap=N_BOOTSTRAP)
    if found.series["period"].n_unique() > MAX_DAYS:
        found = trends(searches, every="1w", n_bootstrap=N_BOOTSTRAP)
    values = found.to_dict()
    del values["report"]
    return {**values, "max_rows": log.max_rows}


def _for_trends(log: ReportLog) -> Searches:
    """Return the searches, without features where swaps alone identify the curve.

    The curve of every part of the log costs a tenth of the time then.
    """
    try:
        by_swaps = log.bias.estimates_.get("all_pairs")
    except InvalidInputError:
        return log.searches
    if by_swaps is None or not np.isfinite(by_swaps).all():
        return log.searches
    return replace(log.searches, features=None)


def view(found: Facts) -> View:
    """Return a picture for each kind of series, and a table of the changes."""
    names = list(dict.fromkeys(row["series"] for row in found["series"]))
    grades = [name for name in names if name.startswith("share_of_grade_")]
    engagement = [name for name in CORRECTED if name in names][:1]
    kinds = [
        ([name for name in COUNTS if name in names], "number", False, _volume),
        (engagement, f"{(engagement or [''])[0].replace('_', ' ')} a search", False, _engagement),
        ([name for name in SHARES if name in names], "share of searches", True, _shares),
        (grades, "share of engagements", True, _mix),
    ]
    blocks: list[Block] = []
    if len(_periods(found)) > 1:
        for chosen, label, shares, sentence in kinds:
            if chosen:
                chart = _chart(found, chosen, label, shares=shares)
                blocks.append(Picture(chart, sentence(found, chosen)))
    blocks += _curve(found)
    if found["changes"]:
        blocks.append(_changes(found))
    if found["notes"]:
        blocks.append(Notes("Limits", found["notes"]))
    return View(headline(found), blocks)


def _unit(found: Facts) -> str:
    return "week" if found["every"] == "1w" else "day"


def headline(found: Facts) -> str:
    """Say how long the log is, and what changed."""
    unit, periods = _unit(found), _periods(found)
    complete = len({row["period"] for row in found["series"] if row["complete"]})
    text = f"The log covers {counted(len(periods), unit)}"
    if complete < len(periods):
        text += f", {complete:,} of them completely"
    changed = list(dict.fromkeys(row["series"] for row in found["changes"]))
    if changed:
        names = listed([name.replace("_", " ") for name in changed])
        return f"{text}. A change is established in {names}: {_sentence(found['changes'][0])}."
    if any("too few" in note or "rhythm" in note for note in found["notes"]):
        return f"{text}; these are too few to test for changes."
    return f"{text}. No change of level is established in any series."


def _sentence(change: Facts) -> str:
    before, after = (decimal(change[end]) for end in ("before", "after"))
    relative = change["after"] / change["before"] - 1 if change["before"] else None
    size = "" if relative is None else f" ({percent(relative, sign=True)})"
    how = "drifted around" if change["gradual"] else "changed on"
    earliest, latest = (change[end][:10] for end in ("earliest", "latest"))
    when = "that day" if earliest == latest else f"{earliest} to {latest}"
    what = f"{change['series'].replace('_', ' ')} {how} {change['period'][:10]}"
    return f"{what} (95% interval: {when}) from {before} to {after}{size}"


def _periods(found: Facts) -> list[str]:
    return sorted({row["period"] for row in found["series"]})


def _chart(found: Facts, names: list[str], label: str, *, shares: bool) -> LineChart:
    periods = _periods(found)
    marked = [
        (change["period"], "change")
        for change in found["changes"]
        if change["series"] in names and not change["gradual"]
    ]
    return LineChart(
        periods,
        [_line(found, name, periods) for name in names],
        "",
        label,
        shares=shares,
        marked=list(dict.fromkeys(marked)),
    )


def _line(found: Facts, name: str, periods: list[str]) -> Line:
    # A period that the log does not cover would look like a fall.
    rows = {
        row["period"]: row for row in found["series"] if row["series"] == name and row["complete"]
    }
    parts = (
        [rows[period][part] if period in rows else None for period in periods]
        for part in ("value", "lower", "upper")
    )
    return Line(name.replace("_", " "), *parts)


def _volume(found: Facts, names: list[str]) -> str:
    return (
        f"{_heads(names)} by {_unit(found)}, complete ones only. These are counts, not "
        f"estimates.{_established(found, names)}"
    )


def _engagement(found: Facts, names: list[str]) -> str:
    corrected = names[0].startswith("corrected")
    how = "each over its examination" if corrected else "not corrected for position"
    return (
        f"Engagements a search by {_unit(found)}, {how}. The band is the 95% interval by "
        f"{found['clustered_by']}.{_established(found, names)}"
    )


def _shares(found: Facts, names: list[str]) -> str:
    return (
        f"{_heads(names)} as shares of the searches; bands are 95% intervals by "
        f"{found['clustered_by']}.{_established(found, names)}"
    )


def _mix(found: Facts, names: list[str]) -> str:
    return (
        f"Label mix: the share of each grade in the engagements; bands are 95% intervals by "
        f"{found['clustered_by']}.{_established(found, names)}"
    )


def _heads(names: list[str]) -> str:
    text = listed([name.replace("_", " ") for name in names])
    return text[0].upper() + text[1:]


def _established(found: Facts, names: list[str]) -> str:
    changes = [change for change in found["changes"] if change["series"] in names]
    if changes:
        text = "; ".join(map(_sentence, changes[:3]))
        return f" {text[0].upper()}{text[1:]}."
    return " No change of level is established."


def _curve(found: Facts) -> list[Block]:
    """Return how the examination of one position in the middle developed, where that is known."""
    blocks = sorted({row["from"] for row in found["curve"]})
    if len(blocks) < 2:
        return []
    last = max(row["position"] for row in found["curve"])
    position = min(4, last)
    rows = {row["from"]: row for row in found["curve"] if row["position"] == position}
    parts = (
        [rows[block][part] if block in rows else None for block in blocks]
        for part in ("examination", "lower", "upper")
    )
    sentence = (
        f"Examination of position {position}, relative to the first, estimated from each part of "
        f"the log by itself.{_steady(list(rows.values()))}"
    )
    chart = LineChart(blocks, [Line(f"position {position}", *parts)], "", "examination, first = 1")
    return [Picture(chart, sentence)]


def _steady(rows: list[Any]) -> str:
    known = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
    if len(known) < 2:
        return " There are no intervals to judge changes by."
    if max(row["lower"] for row in known) <= min(row["upper"] for row in known):
        return " All intervals overlap: a change is not established."
    return " Some intervals do not overlap."


def _changes(found: Facts) -> Table:
    rows = [
        (
            change["series"],
            change["period"][:10],
            f"{change['earliest'][:10]} to {change['latest'][:10]}",
            decimal(change["before"]),
            decimal(change["after"]),
            decimal(change["p_series"]),
        )
        for change in found["changes"]
    ]
    shown, left_out = cut(rows, found["max_rows"], "change")
    headings = ("series", "from", "95% interval", "before", "after", "p")
    return Table("Changes of level", headings, shown, 3, left_out)


SECTION = Section("trends", "Over time", facts, view)
