"""Retrievers compared by what users did with their lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...outcomes.search_outcomes import DESCRIPTIONS, LOWER_IS_BETTER
from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.lines import Line, LineChart
from ..charts.rows import Dot, DotChart
from ..wording import NONE, decimal, listed, not_shown, percent

if TYPE_CHECKING:
    from ..blocks import Block, Facts
    from ..log import ReportLog

CORRECTED: Final = "corrected_engagements"
RAW: Final = "engaged_searches"
MAX_LINES: Final = 4
"""Retrievers that are drawn over time, those of the most searches."""

_SEQUENTIAL: Final = ("sequential_lower", "sequential_upper")

_ADVICE: Final = (
    "Log retriever_id, the name of the search configuration that made the list, with every "
    "interaction; then lists of different retrievers can be compared."
)
_TABLES: Final = ("retrievers", "metrics", "differences", "over_time", "warnings", "notes")


def facts(log: ReportLog) -> Facts | Missing:
    """Return outcomes of each retriever, differences to the baseline, and warnings."""
    from ...retrievers.compare_retrievers import compare_retrievers

    names = list(log.fields.retrievers)
    if len(names) < 2:
        only = f"only one, {names[0]}" if names else "none"
        return Missing(f"Comparing needs two retrievers; the log names {only}.", _ADVICE)
    balance = [name for name in (log.group_by,) if name in log.searches.context]
    found = compare_retrievers(log.searches, latency_field=log.latency, balance=balance).to_dict()
    if len(found["retrievers"]) < 2:
        why = "; ".join(found["notes"])
        return Missing(f"There are no two retrievers with enough searches: {why}.", _ADVICE)
    return {
        "baseline": found["baseline"],
        "clustered_by": found["clustered_by"],
        **{name: found[name] for name in _TABLES},
        "max_rows": log.max_rows,
    }


def _main_metric(found: Facts) -> str:
    """Return the corrected outcome, the raw one where examination is unknown."""
    metrics = {row["metric"] for row in found["metrics"]}
    return CORRECTED if CORRECTED in metrics else RAW


def _of(found: Facts, metric: str) -> list[Any]:
    """Return the differences of one outcome; where traffic differs, at the same mix of it."""
    rows = [row for row in found["differences"] if row["metric"] == metric]
    standardised = {row["retriever"] for row in rows if row["adjusted_for"]}
    return [row for row in rows if row["adjusted_for"] or row["retriever"] not in standardised]


def view(found: Facts) -> View:
    """Return differences as a picture, outcomes as a table, and the main one over time."""
    main = _main_metric(found)
    blocks = _differences(found, main)
    if found["over_time"]:
        blocks.append(_over_time(found, main))
    blocks.append(_outcomes(found))
    if found["warnings"]:
        blocks.append(Notes("Where the traffic was not comparable", found["warnings"]))
    if found["notes"]:
        blocks.append(Notes("Limits of this comparison", found["notes"]))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say which retrievers are better or worse than the baseline, and how sure that is."""
    main = _main_metric(found)
    baseline = found["baseline"]
    said = [_verdict(row, baseline) for row in _of(found, main)]
    what = f"By {DESCRIPTIONS[main]}"
    if main == RAW:
        what += ", which position bias distorts"
    text = f"{what}: {'; '.join(said)}."
    if found["warnings"]:
        text += " The traffic was not comparable throughout; see below."
    return text


def _verdict(row: Facts, baseline: str) -> str:
    sure = _interval(row)
    words = {
        "better": f"{row['retriever']} is better than {baseline}{sure}",
        "worse": f"{row['retriever']} is worse than {baseline}{sure}",
        "no difference shown": (
            f"no difference is shown between {row['retriever']} and {baseline}{sure}"
        ),
        "not comparable": f"{row['retriever']} cannot be compared with {baseline}",
    }
    return words.get(row["verdict"], f"nothing is known of {row['retriever']} yet")


def _interval(row: Facts) -> str:
    if row["relative"] is None:
        return ""
    value = percent(row["relative"], sign=True)
    low, high = (None if end is None else percent(end, sign=True) for end in _ends(row))
    if low is None or high is None:
        return f" ({value}, too few users for an interval)"
    return f" ({value}, 95% interval {low} to {high})"


def _ends(row: Facts) -> tuple[float | None, float | None]:
    """Return the interval that holds however often one looks, as the verdict does.

    Relative to the baseline's value, so that it excludes 0 where the verdict finds a difference.
    """
    baseline, low, high = (row[name] for name in ("baseline", *_SEQUENTIAL))
    if not baseline or low is None or high is None:
        return None, None
    return low / baseline, high / baseline


def _differences(found: Facts, main: str) -> list[Block]:
    metrics = list(dict.fromkeys(row["metric"] for row in found["differences"]))
    rows = [
        row
        for metric in sorted(metrics, key=lambda name: name != main)
        for row in _of(found, metric)
        if row["relative"] is not None and _ends(row)[0] is not None
    ]
    if not rows:
        return []
    shown = rows[: found["max_rows"]]
    several = len(found["retrievers"]) > 2
    dots = [
        Dot(
            f"{row['metric']}, {row['retriever']}" if several else row["metric"],
            row["relative"],
            *_ends(row),
            row["verdict"],
        )
        for row in shown
    ]
    lower = [
        name for name in dict.fromkeys(row["metric"] for row in shown) if name in LOWER_IS_BETTER
    ]
    by = found["clustered_by"]
    sentence = (
        f"Relative difference to {found['baseline']}, with 95% intervals by {by}. They and the "
        "verdicts hold however often one looks."
    )
    if lower:
        sentence += f" Of {listed(lower)} less is better."
    if len(rows) > len(shown):
        sentence += f" {not_shown(len(rows) - len(shown), 'difference')}"
    chart = DotChart(dots, "relative difference", reference=0.0, shares=True)
    return [Picture(chart, sentence)]


def _over_time(found: Facts, main: str) -> Picture:
    rows = [row for row in found["over_time"] if row["metric"] == main]
    periods = sorted({row["period"] for row in rows})
    names = [row["retriever"] for row in found["retrievers"]]
    drawn = names[:MAX_LINES]
    lines = [_line(rows, name, periods) for name in drawn]
    what = DESCRIPTIONS[main]
    sentence = f"{what[0].upper()}{what[1:]}, over time; bands are 95% intervals."
    if len(names) > len(drawn):
        sentence += f" {not_shown(len(names) - len(drawn), 'retriever')}"
    chart = LineChart(periods, lines, "", main.replace("_", " "), from_zero=False)
    return Picture(chart, sentence)


def _line(rows: list[Any], name: str, periods: list[str]) -> Line:
    of_name = {row["period"]: row for row in rows if row["retriever"] == name}
    values = (
        [of_name[period][part] if period in of_name else None for period in periods]
        for part in ("value", "lower", "upper")
    )
    return Line(name, *values)


def _outcomes(found: Facts) -> Table:
    names = [row["retriever"] for row in found["retrievers"]][:MAX_LINES]
    cells = {(row["metric"], row["retriever"]): row for row in found["metrics"]}
    metrics = list(dict.fromkeys(row["metric"] for row in found["metrics"]))
    counts = {row["retriever"]: row["searches"] for row in found["retrievers"]}
    rows = [(metric, *(_cell(cells.get((metric, name))) for name in names)) for metric in metrics]
    rows.insert(0, ("searches", *(f"{counts[name]:,}" for name in names)))
    more = len(found["retrievers"]) - len(names)
    left_out = not_shown(more, "retriever") if more else ""
    return Table("Outcomes, 95% intervals", ("a search", *names), rows, left_out=left_out)


def _cell(row: Facts | None) -> str:
    if row is None or row["value"] is None:
        return NONE
    if row["lower"] is None or row["upper"] is None:
        return decimal(row["value"])
    return f"{decimal(row['lower'])} to {decimal(row['upper'])}"


SECTION = Section("retrievers", "Retrievers compared", facts, view)
