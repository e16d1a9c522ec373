"""Position bias: how likely each position is examined, in all and by a column of context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.lines import Line, LineChart
from ..wording import NONE, counted, decimal, interval, not_shown

if TYPE_CHECKING:
    from ....datasets.position_bias.curve import ExaminationCurve
    from ..blocks import Facts
    from ..log import ReportLog

MAX_CURVES: Final = 4
"""Curves of context values in one picture, those of the most queries."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return the curve of the whole log and of each value of the context."""
    bias = log.bias
    curve = bias.curve()
    return {
        "confidence": bias.confidence,
        "curve": _curve(curve),
        "by": log.group_by,
        "curves": {value: _curve(each) for value, each in bias.curves_.items()},
        "notes": list(dict.fromkeys([*bias.notes_, *curve.notes])),
        "moves": None if bias.moves_ is None else bias.moves_.to_dict(),
        "confounding": None if bias.confounding_ is None else str(bias.confounding_),
    }


def _curve(curve: ExaminationCurve) -> dict[str, Any]:
    kept = ("examination", "lower", "upper", "connected", "n_queries", "contributions")
    values = curve.to_dict()
    return {name: values[name] for name in kept}


def view(found: Facts) -> View:
    """Return the curve, the curves by context, and the limits of the estimate."""
    blocks: list[Any] = [_overall(found)]
    if len(found["curves"]) > 1:
        blocks.append(_by_context(found))
    blocks.append(_table(found))
    notes = [*found["notes"], *filter(None, (found["confounding"],)), *_moves(found)]
    if notes:
        blocks.append(Notes("Limits of this estimate", notes))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say how much less the last position is examined than the first, and how sure that is."""
    curve = found["curve"]
    last = _last_known(curve)
    if last is None:
        return (
            "The log does not tie any other position to the first one, so how much less they are "
            "examined is not known."
        )
    at = _at(found, curve, last)
    return (
        f"Position {last} is examined {at} times as often as position 0, the first. Clicks are "
        "compared after division by this curve."
    )


def _last_known(curve: Facts) -> int | None:
    known = [k for k, value in enumerate(curve["examination"]) if value is not None and k > 0]
    return known[-1] if known else None


def _at(found: Facts, curve: Facts, position: int) -> str:
    value, low, high = (curve[name][position] for name in ("examination", "lower", "upper"))
    return f"{decimal(value)} ({interval(low, high, found['confidence'])})"


def _overall(found: Facts) -> Picture:
    curve = found["curve"]
    line = Line("all", curve["examination"], curve["lower"], curve["upper"])
    last = _last_known(curve)
    middle = None if last is None or last < 4 else (last + 1) // 2
    sentence = (
        "Examination of each position relative to the first, estimated from "
        f"{counted(curve['n_queries'], 'query', 'queries')}."
    )
    if middle is not None:
        sentence += f" At position {middle} it is {_at(found, curve, middle)}."
    sentence += _band(found, [curve])
    return Picture(_chart([line]), sentence)


def _band(found: Facts, curves: list[Facts]) -> str:
    if all(low is None for curve in curves for low in curve["lower"]):
        return " There are no intervals."
    return f" The shaded band is the {found['confidence']:.0%} interval at each position."


def _chart(lines: list[Line]) -> LineChart:
    positions = list(range(max(len(line.values) for line in lines)))
    padded = [
        Line(
            line.label,
            *(_padded(part, len(positions)) for part in (line.values, line.lower, line.upper)),
        )
        for line in lines
    ]
    return LineChart(
        positions, padded, x_label="position (0 is the first)", y_label="examination, first = 1"
    )


def _padded(values: Any, length: int) -> list[float | None]:
    return [*values, *([None] * (length - len(values)))]


def _by_context(found: Facts) -> Picture:
    ordered = sorted(found["curves"].items(), key=lambda pair: (-pair[1]["n_queries"], pair[0]))
    shown = ordered[:MAX_CURVES]
    lines = [
        Line(value, each["examination"], each["lower"], each["upper"]) for value, each in shown
    ]
    sentence = f"Examination by {found['by']}. {_difference(dict(shown))}"
    sentence += _band(found, [curve for _, curve in shown])
    more = len(ordered) - len(shown)
    if more:
        sentence += f" {not_shown(more, 'curve')}"
    return Picture(_chart(lines), sentence)


def _difference(curves: dict[str, Any]) -> str:
    """Say whether the curves differ at the last position that all of them know."""
    ends = [_last_known(curve) for curve in curves.values()]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends) or not known:
        return "Not all of them reach beyond the first position."
    at = min(known)
    values = {name: curve["examination"][at] for name, curve in curves.items()}
    if any(value is None for value in values.values()):
        return "They have no position but the first in common."
    low, high = (pick(values, key=lambda name: values[name]) for pick in (min, max))
    said = ", ".join(f"{decimal(value)} for {name}" for name, value in values.items())
    upper, lower = curves[low]["upper"][at], curves[high]["lower"][at]
    if upper is None or lower is None:
        return f"At position {at}: {said}."
    if upper < lower:
        return f"At position {at}: {said}; the intervals of {low} and {high} do not overlap."
    return f"At position {at}: {said}; the intervals overlap, so a difference is not established."


def _moves(found: Facts) -> list[str]:
    """Say whether documents' moves follow their clicks, where that could be tested."""
    moves = found["moves"]
    if moves is None:
        return []
    times = counted(moves["count"], "time")
    by_chance = f"(z = {moves['z']:.1f})"
    if not moves["follow_clicks"]:
        return [f"documents moved {times}; they are not seen to follow their clicks {by_chance}"]
    return [f"documents moved {times} and follow their clicks {by_chance}, which misleads swaps"]


def _table(found: Facts) -> Table:
    curve = found["curve"]
    rows = [
        (
            f"{position}",
            "unknown" if value is None else decimal(value),
            "reference"
            if position == 0
            else NONE
            if low is None or high is None
            else f"{decimal(low)} to {decimal(high)}",
        )
        for position, (value, low, high) in enumerate(
            zip(curve["examination"], curve["lower"], curve["upper"], strict=True)
        )
    ]
    headings = ("position", "examination", f"{found['confidence']:.0%} interval")
    return Table("The curve in numbers", headings, rows)


SECTION = Section("position-bias", "Position bias", facts, view)
