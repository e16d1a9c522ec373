"""Pictures of fusion weights: at one moment, and over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._shared.drawing import (
    Display,
    add_legend,
    date_axis,
    draw_line,
    draw_rows,
    height_of_rows,
    literal,
    mark_value,
    name_rows,
    style_of,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class WeightsDisplay(Display):
    """Weight of every channel at the posterior mean, and the interval of what is served.

    Parameters
    ----------
    feature_uris : tuple of str
    mean, lower, upper : ndarray of float64, shape (arms,)
    confidence : float
        Share of the sampled weights that lies within the limits.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.bandit import WeightsDisplay
    >>> mean = np.array([0.7, 0.3])
    >>> WeightsDisplay(("bm25", "clip"), mean, mean - 0.1, mean + 0.1).mean.sum()
    np.float64(1.0)
    """

    feature_uris: tuple[str, ...]
    mean: Floats
    lower: Floats
    upper: Floats
    confidence: float = 0.90

    def _height(self) -> float:
        return height_of_rows(len(self.feature_uris))

    def _draw(self, ax: Axes) -> None:
        draw_rows(ax, self.mean, lower=self.lower, upper=self.upper)
        equal = 1 / max(len(self.feature_uris), 1)
        mark_value(ax, equal, "x", label=f"equal weights ({equal:.2g})")
        name_rows(ax, self.feature_uris)
        ax.set(xlabel=f"weight; {self.confidence:.0%} of the sampled ones lie within the bar")
        ax.set_xlim(0, 1)
        ax.set_ylim(len(self.feature_uris) + 0.4, -0.5)
        ax.legend(frameon=False, loc="lower right")


@dataclass
class WeightsOverTimeDisplay(Display):
    """Weights of channels over time, with the interval of what is served (shade).

    Parameters
    ----------
    feature_uris : tuple of str
    times : ndarray of datetime64, shape (t,)
        Ascending.
    weights, lower, upper : ndarray of float64, shape (t, arms)
        NaN where a channel had no weight, or nothing had been shown yet.
    confidence : float
        Share of the sampled weights that lies within the limits.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.bandit import WeightsOverTimeDisplay
    >>> times = np.array(["2026-01-01", "2026-01-02"], "datetime64[us]")
    >>> weights = np.array([[0.5, 0.5], [0.6, 0.4]])
    >>> display = WeightsOverTimeDisplay(("bm25", "clip"), times, weights, weights, weights)
    >>> display.weights[-1].max()
    np.float64(0.6)
    """

    feature_uris: tuple[str, ...]
    times: NDArray[np.datetime64]
    weights: Floats
    lower: Floats
    upper: Floats
    confidence: float = 0.90

    def _draw(self, ax: Axes) -> None:
        for number, uri in enumerate(self.feature_uris):
            style = style_of(number)
            low, high = self.lower[:, number], self.upper[:, number]
            ax.fill_between(self.times, low, high, color=style.color, alpha=0.2, linewidth=0)
            for end in (low, high):  # where shades overlap in grey, their edges differ
                ax.plot(
                    self.times, end, color=style.color, linestyle=style.linestyle, linewidth=0.6
                )
            weights = self.weights[:, number]
            draw_line(ax, self.times, weights, number, label=literal(uri), markersize=4)
        date_axis(ax)
        ax.set(xlabel="time (UTC)")
        ax.set_ylabel(f"weight (shade: {self.confidence:.0%} of the sampled ones)")
        ax.set_ylim(0, 1)
        add_legend(ax)
