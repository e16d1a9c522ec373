"""Small pictures as SVG: colours by the style sheet's classes, meaning never by colour alone."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Final, NamedTuple

from .html import Html, element

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 320
_HEIGHT: Final = 150
_LEFT: Final = 44
_RIGHT: Final = 14
_TOP: Final = 12
_BOTTOM: Final = 30
_BAR: Final = (120, 16)
_SHARES: Final = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)


class Point(NamedTuple):
    """An estimate with its interval at a time, in days since 1970."""

    at: float
    value: float
    low: float
    high: float


def share_chart(points: Sequence[Point], highest: float, label: str) -> Html:
    """Return a line with its band over time: shares from 0 % up to what holds `highest`."""
    top = next(each for each in _SHARES if each >= min(highest, 1.0) - 1e-9)
    first, last = points[0].at, points[-1].at
    span = (last - first) or 1.0

    def x(at: float) -> float:
        share = (at - first) / span if last > first else 0.5
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM), 1)

    grid = [
        (
            element("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(each), y2=y(each)),
            element("text", f"{100 * each:g} %", x=_LEFT - 6, y=y(each) + 4, class_="end"),
        )
        for each in (0.0, top / 2, top)
    ]
    dates = [
        (
            element("line", class_="tick", x1=x(at), x2=x(at), y1=y(0), y2=y(0) + 4),
            element("text", _date(at), x=x(at), y=_HEIGHT - 10, class_=anchor),
        )
        for at, anchor in {first: "start", last: "end" if last > first else "middle"}.items()
    ]
    upper = [f"{x(each.at)},{y(each.high)}" for each in points]
    lower = [f"{x(each.at)},{y(each.low)}" for each in reversed(points)]
    line = " ".join(f"{x(each.at)},{y(each.value)}" for each in points)
    end = points[-1]
    return element(
        "svg",
        grid,
        dates,
        element("polygon", class_="band", points=" ".join([*upper, *lower])),
        element("line", class_="span", x1=x(end.at), x2=x(end.at), y1=y(end.low), y2=y(end.high)),
        element("polyline", class_="line", points=line),
        element("circle", class_="mark", cx=x(end.at), cy=y(end.value), r=3.5),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="chart",
        role="img",
        aria_label=label,
    )


def interval_bar(
    value: float, low: float | None, high: float | None, ends: tuple[float, float]
) -> Html:
    """Return an estimate as a mark on its interval, on a scale whose ends the column names."""
    width, height = _BAR

    def x(at: float) -> float:
        share = (at - ends[0]) / ((ends[1] - ends[0]) or 1.0)
        return round(6 + min(max(share, 0.0), 1.0) * (width - 12), 1)

    middle, span = height / 2, None
    if low is not None and high is not None:
        span = element("line", class_="span", x1=x(low), x2=x(high), y1=middle, y2=middle)
    return element(
        "svg",
        element("line", class_="grid", x1=6, x2=width - 6, y1=middle, y2=middle),
        element("line", class_="tick", x1=x(0.0), x2=x(0.0), y1=2, y2=height - 2),
        span,
        element("circle", class_="mark", cx=x(value), cy=middle, r=4),
        viewBox=f"0 0 {width} {height}",
        class_="bar",
        aria_hidden="true",
    )


def scale_of(values: Sequence[float]) -> tuple[float, float]:
    """Return round ends of a scale that holds 0 and all values.

    >>> scale_of([0.12, 0.31]), scale_of([-0.02, 0.8])
    ((0.0, 0.4), (-0.1, 0.8))
    """
    largest = max(map(abs, values), default=0.0) or 1.0
    step = 10.0 ** math.floor(math.log10(largest))
    low, high = min(0.0, *values), max(0.0, *values)
    return round(math.floor(low / step) * step, 9), round(math.ceil(high / step - 1e-9) * step, 9)


def _date(at: float) -> str:
    """Return a time in days since 1970.

    >>> _date(20485.5)
    '2026-02-01 12:00'
    """
    return f"{dt.datetime.fromtimestamp(at * 86_400, dt.UTC):%Y-%m-%d %H:%M}"
