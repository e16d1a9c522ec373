"""Curves with their intervals, over positions or over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..wording import percent, shortened
from .chart import NARROW, LegendEntry, Margins, add_axes
from .dates import date_ticks
from .palette import DASHES, INK, MARKERS, MUTED, PAPER, SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One curve; values that are not known are None.

    Attributes
    ----------
    label : str
    values : sequence of float or None, shape (n,)
    lower, upper : sequence of float or None, shape (n,)
        Ends of the intervals; empty where there are none.
    """

    label: str
    values: Sequence[float | None]
    lower: Sequence[float | None] = ()
    upper: Sequence[float | None] = ()


@dataclass(frozen=True)
class LineChart:
    """Curves over shared abscissae.

    Attributes
    ----------
    x : sequence of float or of str
        Numbers, or dates as ISO 8601.
    lines : sequence of Line
        As many as there are colours; further ones are not drawn.
    x_label, y_label : str
    shares : bool
        Whether the values are shares, shown in per cent.
    from_zero : bool
        Whether the axis of the values begins at 0.
    marked : sequence of (float or str, str)
        Abscissae with the texts of their vertical lines.
    """

    x: Sequence[float] | Sequence[str]
    lines: Sequence[Line]
    x_label: str
    y_label: str
    shares: bool = False
    from_zero: bool = True
    marked: Sequence[tuple[float | str, str]] = ()

    @property
    def drawn(self) -> Sequence[Line]:
        """The curves that there are colours for."""
        return self.lines[: len(SERIES)]

    @property
    def legend(self) -> Sequence[LegendEntry]:
        """The curves' labels."""
        labels = [line.label for line in self.drawn]
        return [LegendEntry(label, n) for n, label in enumerate(labels)] if labels[1:] else []

    def height(self, width: int) -> int:
        """Return the height in pixels."""
        return 240 if width <= NARROW else 320

    def draw(self, figure: Figure, width: int) -> None:
        """Draw curves, bands or bars of intervals, and axes."""
        size = (width, self.height(width))
        axes = add_axes(figure, size, Margins(left=50, right=26, bottom=44, top=28))
        x = self._abscissae()
        for number, line in enumerate(self.drawn):
            _draw(axes, x, line, number, several=len(self.drawn) > 1)
        self._scale(axes, x, narrow=width <= NARROW)
        axes.set_xlabel(self.x_label, color=INK, fontsize=12, labelpad=6)
        figure.text(
            4 / width, 1 - 14 / size[1], self.y_label, color=MUTED, fontsize=12, va="center"
        )

    def _abscissae(self) -> Floats:
        return np.array([_number(each) for each in self.x], dtype=np.float64)

    @property
    def _dated(self) -> bool:
        return len(self.x) > 0 and isinstance(self.x[0], str)

    def _scale(self, axes: Axes, x: Floats, *, narrow: bool) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        if self._dated:
            _scale_dates(axes, x, most=4 if narrow else 7)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 10, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if self.shares:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent_tick(value)))
        if self.from_zero:
            axes.set_ylim(bottom=0)
        axes.grid(visible=False, axis="x")
        for at, text in self.marked:
            _mark(axes, _number(at), text)


def _number(at: float | str) -> float:
    """Return a number, or the days since 1970 of a date."""
    if isinstance(at, str):
        return float(np.datetime64(at.removesuffix("Z"), "s").astype(np.int64)) / 86_400
    return float(at)


def _scale_dates(axes: Axes, x: Floats, most: int) -> None:
    ticks = date_ticks(float(x.min()), float(x.max()), most)
    axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
    low, high = axes.get_xlim()
    for label, (at, _) in zip(axes.get_xticklabels(), ticks, strict=True):
        place = (at - low) / (high - low)
        label.set_horizontalalignment(
            "left" if place < 0.1 else "right" if place > 0.85 else "center"
        )


def _mark(axes: Axes, at: float, text: str) -> None:
    axes.axvline(at, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(
        at,
        1.0,
        f" {shortened(text, 24)}",
        transform=axes.get_xaxis_transform(),
        color=INK,
        fontsize=11,
        va="bottom",
    )


def percent_tick(value: float) -> str:
    """Return a tick of an axis of shares, without decimals where there are none.

    >>> percent_tick(0.25), percent_tick(0.125), percent_tick(0.0)
    ('25%', '12.5%', '0%')
    """
    return f"{value:.0%}" if abs(value * 100 - round(value * 100)) < 1e-6 else percent(value)


def _draw(axes: Axes, x: Floats, line: Line, number: int, *, several: bool) -> None:
    colour = SERIES[number]
    values = _numbers(line.values)
    dashes = [float(each) for each in DASHES[number].split()]
    axes.plot(
        x,
        values,
        color=colour,
        linewidth=2,
        linestyle=(0, tuple(dashes)) if dashes and several else "-",
        marker=MARKERS[number] if len(x) <= 40 else None,
        markersize=6,
        markeredgecolor=PAPER,
        markeredgewidth=1,
        zorder=3,
    )
    if len(line.lower):
        lower, upper = _numbers(line.lower), _numbers(line.upper)
        axes.fill_between(x, lower, upper, color=colour, alpha=0.18, linewidth=0, zorder=2)


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
