"""One row for each name: bars of amounts, or estimates as dots with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..wording import shortened
from .chart import NARROW, LegendEntry, Margins, add_axes
from .lines import percent_tick
from .palette import INK, MARKERS, MUTED, PAPER, SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _TALL_ROW = 30, 44
_CHARACTER = 6.8
"""Pixels of a character of the labels, at most in the mean."""

_WIDE_CHARACTER = 7.8
"""Pixels of a character of a long label, which may hold many wide ones."""

_MAX_BESIDE = 30
"""Characters of a name that stands beside its row; longer ones stand above it."""


@dataclass(frozen=True)
class Bar:
    """An amount with its name; `text` is printed at its end."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars from 0."""

    bars: Sequence[Bar]

    @property
    def legend(self) -> Sequence[LegendEntry]:
        """None: every bar has its name."""
        return ()

    def height(self, width: int) -> int:
        """Return the height in pixels."""
        return _height([bar.label for bar in self.bars], width, axis=0)

    def draw(self, figure: Figure, width: int) -> None:
        """Draw the bars, the names left of or above them, the texts at their ends."""
        names = [bar.label for bar in self.bars]
        ends = [bar.text for bar in self.bars]
        axes, offset = _row_axes(figure, (width, self.height(width)), names, ends, axis=0)
        axes.set_xlim(0, max((bar.value for bar in self.bars), default=0) or 1)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        for row, bar in enumerate(self.bars):
            at = row + offset
            axes.barh(at, bar.value, height=0.42 if offset else 0.62, color=SERIES[0])
            axes.annotate(
                bar.text,
                (bar.value, at),
                xytext=(5, 0),
                textcoords="offset points",
                color=INK,
                fontsize=12,
                va="center",
                annotation_clip=False,
            )


@dataclass(frozen=True)
class Dot:
    """An estimate with its name and its interval; `other` is what it is compared with, if any."""

    label: str
    value: float
    lower: float | None
    upper: float | None
    text: str
    other: float | None = None


@dataclass(frozen=True)
class DotChart:
    """Estimates with intervals.

    Attributes
    ----------
    dots : sequence of Dot
    x_label : str
    reference : float, optional
        Value of a vertical line, such as 0 for no gain.
    shares : bool
        Whether the values are shares, shown in per cent.
    series : sequence of str
        What the two marks of a row stand for, where there are two.
    """

    dots: Sequence[Dot]
    x_label: str
    reference: float | None = None
    shares: bool = False
    series: Sequence[str] = ()

    @property
    def legend(self) -> Sequence[LegendEntry]:
        """What the marks stand for."""
        return [LegendEntry(label, number, line=False) for number, label in enumerate(self.series)]

    def height(self, width: int) -> int:
        """Return the height in pixels."""
        return _height([dot.label for dot in self.dots], width, axis=44)

    def draw(self, figure: Figure, width: int) -> None:
        """Draw estimates as marks, intervals as lines, and the line to compare with."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        names = [dot.label for dot in self.dots]
        ends = [dot.text for dot in self.dots]
        axes, offset = _row_axes(figure, (width, self.height(width)), names, ends, axis=44)
        for row, dot in enumerate(self.dots):
            _draw_dot(axes, dot, row + offset)
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(4 if width <= NARROW else 7))
        if self.shares:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent_tick(value)))
        if self.reference is not None:
            axes.axvline(self.reference, color=INK, linewidth=1.2, zorder=1)
        axes.set_xlabel(self.x_label, color=INK, fontsize=12, labelpad=6)


def _draw_dot(axes: Axes, dot: Dot, at: float) -> None:
    if dot.other is not None:
        _draw_mark(axes, dot.other, at, 1)
    # A one-sided bound is drawn as far as the estimate.
    lower = dot.value if dot.lower is None else dot.lower
    upper = dot.value if dot.upper is None else dot.upper
    axes.plot([lower, upper], [at, at], color=SERIES[0], linewidth=3, alpha=0.55)
    _draw_mark(axes, dot.value, at, 0)
    axes.annotate(
        dot.text,
        (1, at),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        color=INK,
        fontsize=12,
        va="center",
        annotation_clip=False,
    )


def _draw_mark(axes: Axes, value: float, at: float, number: int) -> None:
    axes.plot(
        [value],
        [at],
        marker=MARKERS[number],
        markersize=9,
        color=SERIES[number],
        markeredgecolor=PAPER,
        markeredgewidth=1,
        linestyle="none",
        zorder=3,
    )


def _above(names: Sequence[str], width: int) -> bool:
    """Whether names stand above their rows: on a narrow picture, and where one is long."""
    return width <= NARROW or max((len(name) for name in names), default=0) > _MAX_BESIDE


def _height(names: Sequence[str], width: int, axis: int) -> int:
    return max(len(names), 1) * (_TALL_ROW if _above(names, width) else _ROW) + axis + 8


def _row_axes(
    figure: Figure, size: tuple[int, int], names: Sequence[str], ends: Sequence[str], axis: int
) -> tuple[Axes, float]:
    """Return axes with a name for each row, and how far below the row's middle its mark stands."""
    above = _above(names, size[0])
    right = max((len(text) for text in ends), default=0) * _CHARACTER + 14
    labels = [shortened(name, int((size[0] - 30) / _WIDE_CHARACTER)) for name in names]
    # A tick's label may reach as far beyond the axes.
    beside = 22 if axis else 8
    left = beside if above else max((len(label) for label in labels), default=0) * _CHARACTER + 16
    axes = add_axes(figure, size, Margins(left, right, bottom=axis + 4, top=4))
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_yticks([])
    for row, label in enumerate(labels):
        _name(axes, label, row, above=above)
    return axes, 0.2 if above else 0.0


def _name(axes: Axes, label: str, row: int, *, above: bool) -> None:
    axes.annotate(
        label,
        (0, row - 0.42 if above else row),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0 if above else -10, 0),
        textcoords="offset points",
        color=INK if not above else MUTED,
        fontsize=12,
        ha="left" if above else "right",
        va="top" if above else "center",
        annotation_clip=False,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1} if above else None,
        zorder=2.5,
    )
