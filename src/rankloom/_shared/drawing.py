"""What displays share: axes, styles that grey print and colour-blind readers tell apart, intervals.

A display is a dataclass that holds the arrays of a picture. `plot` draws them, and is the only
thing that imports matplotlib (scikit-learn's convention for its ``...Display`` classes).
"""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal, Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
"""Okabe and Ito ("Color Universal Design", 2008) without their yellow, too pale on white paper.

The first two differ most in grey.
"""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: Final[tuple[Any, ...]] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
HATCHES: Final = ("", "///", "...", "\\\\\\", "xxx")

NEUTRAL: Final = "#666666"
"""Lines and texts that are no series: zero, limits, moments."""

LABEL_WIDTH: Final = 36
"""Characters of a row's name; longer ones are cut."""

_ROW_HEIGHT: Final = 0.32
_MIN_HEIGHT: Final = 2.4


class Style(NamedTuple):
    """How one series of several is drawn: no two of the first 56 are alike in grey.

    >>> style_of(0).marker, style_of(1).marker
    ('o', 's')
    """

    color: str
    marker: str
    linestyle: Any
    hatch: str


def style_of(number: int) -> Style:
    """Return the style of series number 0, 1, ...; colours, markers and dashes repeat apart."""
    each = (COLOURS, MARKERS, DASHES, HATCHES)
    return Style(*(values[number % len(values)] for values in each))


class Display(ABC):
    """A picture of a result: holds what is drawn, and draws it with `plot`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where `plot` drew last.
    figure_ : matplotlib Figure
    """

    ax_: Axes
    figure_: Figure | None

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; pyplot then plays no part. None: new axes of pyplot.

        Returns
        -------
        Display
            Itself, with ``ax_`` and ``figure_``.
        """
        axes = new_axes(self._height()) if ax is None else ax
        self._draw(axes)
        self.ax_ = axes
        self.figure_ = axes.get_figure(root=True)
        return self

    @abstractmethod
    def _draw(self, ax: Axes) -> None:
        """Draw on axes that may hold other things already."""

    def _height(self) -> float | None:
        """Return the height of a new figure in inches; None for the usual one."""
        return None


def new_axes(height: float | None = None) -> Axes:
    """Return the axes of a new figure of pyplot, whose labels fit."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(layout="constrained")
    if height is not None:
        figure.set_figheight(height)
    return axes


def height_of_rows(count: int) -> float:
    """Return the height in inches of a figure with named rows."""
    return max(_MIN_HEIGHT, 1.2 + _ROW_HEIGHT * count)


def side_by_side(number: int, count: int, spread: float = 0.2) -> float:
    """Return the shift of series `number` of `count`, so that their intervals do not hide another.

    >>> [side_by_side(number, 3) for number in range(3)]
    [-0.1, 0.0, 0.1]
    """
    return 0.0 if count < 2 else spread * (number / (count - 1) - 0.5)


def draw_line(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    number: int,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    label: str | None = None,
    **options: Any,
) -> None:
    """Draw a series over x with its marks, and its intervals (NaN: none) as bars.

    `options`: of `Axes.plot`, over the style.
    """
    style = style_of(number)
    drawn = {"color": style.color, "marker": style.marker, "linestyle": style.linestyle}
    ax.plot(x, y, label=label, **{**drawn, **options})
    if lower is not None and upper is not None:
        ax.vlines(x, lower, upper, color=style.color, linewidth=3, alpha=0.5)


def draw_rows(
    ax: Axes,
    values: ArrayLike,
    number: int = 0,
    *,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    label: str | None = None,
    shift: float = 0.0,
) -> None:
    """Draw one mark a row, the first row at the top, and intervals (NaN: none) as bars."""
    style = style_of(number)
    rows = np.arange(len(np.atleast_1d(np.asarray(values)))) + shift
    ax.plot(values, rows, color=style.color, marker=style.marker, linestyle="none", label=label)
    if lower is not None and upper is not None:
        ax.hlines(rows, lower, upper, color=style.color, linewidth=2)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name rows 0, 1, ... from the top down."""
    ax.set_yticks(range(len(names)), [literal(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)


def note_rows(ax: Axes, notes: Sequence[str]) -> None:
    """Write a note to the right of every row."""
    side = ax.secondary_yaxis("right")
    side.set_yticks(range(len(notes)), notes)
    side.tick_params(length=0, labelsize="small", labelcolor=NEUTRAL)


def shortened(text: str, width: int = LABEL_WIDTH) -> str:
    """Return a text on one line, of at most so many characters.

    >>> shortened("a price of 5 or 6", 12)
    'a price of …'
    """
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"


def literal(text: str, width: int = LABEL_WIDTH) -> str:
    r"""Return a shortened text as matplotlib has to get it, which reads $...$ as mathematics.

    >>> literal("$5")
    '\\$5'
    """
    return shortened(text, width).replace("$", r"\$")


def mark_value(ax: Axes, value: float, axis: Literal["x", "y"], label: str | None = None) -> None:
    """Draw a thin line where x (or y) has a value, such as zero."""
    line = ax.axvline if axis == "x" else ax.axhline
    line(value, color=NEUTRAL, linewidth=1, linestyle="--" if label else "-", label=label, zorder=0)


def add_legend(ax: Axes, **options: Any) -> None:
    """Draw a legend where there is more than one thing to name."""
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(**{"frameon": False, **options})


def legend_under_rows(ax: Axes) -> None:
    """Draw a legend in a row of its own below the others, where it hides none."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom + 0.9, top)
    add_legend(ax, loc="lower center", ncols=4, fontsize="small", columnspacing=1.2)


def percent(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Write the numbers of an axis, which are shares, in per cent."""
    from matplotlib.ticker import PercentFormatter

    (ax.xaxis if axis == "x" else ax.yaxis).set_major_formatter(PercentFormatter(1.0))


def whole_numbers(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Put ticks at whole numbers only: positions, counts."""
    from matplotlib.ticker import MaxNLocator

    (ax.xaxis if axis == "x" else ax.yaxis).set_major_locator(MaxNLocator(integer=True))


def date_axis(ax: Axes) -> None:
    """Write the dates of the x axis as short as they can be."""
    from matplotlib import dates

    locator = dates.AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def log_axis(ax: Axes, axis: Literal["x", "y"], *, shares: bool = False) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2 and 5 of every power of ten.

    `shares`: in per cent.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    (ax.set_xscale if axis == "x" else ax.set_yscale)("log")
    each = ax.xaxis if axis == "x" else ax.yaxis
    each.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    each.set_minor_locator(NullLocator())
    each.set_major_formatter(lambda value, _: f"{100 * value:g}%" if shares else f"{value:g}")


def wrapped_title(ax: Axes, text: str) -> None:
    """Write a title over several lines where it is long."""
    ax.set_title(textwrap.fill(text.replace("$", r"\$"), 72), fontsize="medium", loc="left")


def limits_or_nan(pairs: Sequence[tuple[float, float] | None]) -> Iterator[list[float]]:
    """Yield the lower and the upper ends of intervals, NaN where there is none.

    >>> [list(ends) for ends in limits_or_nan([(0.0, 1.0), None])]
    [[0.0, nan], [1.0, nan]]
    """
    for end in (0, 1):
        yield [float("nan") if each is None else each[end] for each in pairs]
