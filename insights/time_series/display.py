"""The picture of a series over time, with the changes of its level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.drawing import Display, add_legend, date_axis, draw_line, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class TrendsDisplay(Display):
    """Series by period with intervals, and the periods from which on a level is another one.

    Incomplete periods have hollow marks.

    Parameters
    ----------
    periods : ndarray of datetime64, shape (t,)
        Starts, UTC.
    values, lower, upper : dict of str to ndarray of float64, shape (t,)
        Series -> its values and limits.
    complete : ndarray of bool, shape (t,)
    changes : dict of str to ndarray of datetime64
        Series -> first period of every new level.
    every : str
        Length of a period.
    unit : str
        Of the values.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.insights import TrendsDisplay
    >>> days = np.array(["2026-01-01", "2026-01-02"], "datetime64[us]")
    >>> values = {"searches": np.array([5.0, 7.0])}
    >>> display = TrendsDisplay(days, values, values, values, np.array([True, False]), {}, "1d", "")
    >>> list(display.values)
    ['searches']
    """

    periods: NDArray[np.datetime64]
    values: dict[str, Floats]
    lower: dict[str, Floats]
    upper: dict[str, Floats]
    complete: NDArray[np.bool_]
    changes: dict[str, NDArray[np.datetime64]]
    every: str
    unit: str

    def _draw(self, ax: Axes) -> None:
        for number, name in enumerate(self.values):
            self._draw_series(ax, number, name)
        date_axis(ax)
        ax.set(xlabel=f"start of the period of {self.every} (UTC)", ylabel=self.unit)
        add_legend(ax)

    def _draw_series(self, ax: Axes, number: int, name: str) -> None:
        style, values = style_of(number), self.values[name]
        limits = {"lower": self.lower[name], "upper": self.upper[name]}
        label = name.replace("_", " ")
        draw_line(ax, self.periods, values, number, **limits, label=label, markersize=4)
        part = ~self.complete
        if part.any():
            ax.plot(
                self.periods[part],
                values[part],
                linestyle="none",
                marker=style.marker,
                markersize=7,
                markerfacecolor="white",
                markeredgecolor=style.color,
            )
        for change in self.changes.get(name, []):
            words = f"{label}: change on {np.datetime_as_string(change, unit='D')}"
            ax.axvline(change, color=style.color, linestyle=style.linestyle, label=words)
