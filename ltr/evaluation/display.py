"""Pictures of an evaluation on held-out pairs: metrics of two rankers, and gains by query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.drawing import (
    Display,
    add_legend,
    draw_rows,
    height_of_rows,
    mark_value,
    name_rows,
    note_rows,
    style_of,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class ComparisonDisplay(Display):
    """What a ranker gains over a baseline in every metric, with intervals; the values beside it.

    Without a baseline, the ranker's values.

    Parameters
    ----------
    metrics : tuple of str
    ranker : ndarray of float64, shape (m,)
    baseline : ndarray of float64, shape (m,)
        NaN where there is none.
    lower, upper : ndarray of float64, shape (m,)
        Limits of ranker minus baseline; NaN where there are none.
    baseline_name : str or None
        None: there is none.
    confidence : float
        Of the intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import ComparisonDisplay
    >>> values = np.array([[0.7], [0.6], [0.05], [0.15]])
    >>> ComparisonDisplay(("nDCG@10",), *values, baseline_name="production").metrics
    ('nDCG@10',)
    """

    metrics: tuple[str, ...]
    ranker: Floats
    baseline: Floats
    lower: Floats
    upper: Floats
    baseline_name: str | None = None
    confidence: float = 0.95

    def _height(self) -> float:
        return height_of_rows(len(self.metrics) + 1)

    def _draw(self, ax: Axes) -> None:
        if self.baseline_name is None:
            draw_rows(ax, self.ranker)
            ax.set(xlabel="mean over queries")
        else:
            draw_rows(ax, self.ranker - self.baseline, lower=self.lower, upper=self.upper)
            mark_value(ax, 0.0, "x")
            ax.set(xlabel=f"ranker minus baseline, with its {self.confidence:.0%} interval")
            wrapped_title(ax, f"Gain over {self.baseline_name}")
            notes = zip(self.ranker, self.baseline, strict=True)
            note_rows(ax, [f"{own:.4f} against {other:.4f}" for own, other in notes])
        name_rows(ax, self.metrics)


@dataclass
class QueryGainDisplay(Display):
    """Gain over the baseline of every query, from the largest loss to the largest gain.

    Parameters
    ----------
    gain : ndarray of float64, shape (q,)
        Ranker minus baseline, in ascending order.
    metric : str
    baseline_name : str or None

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import QueryGainDisplay
    >>> QueryGainDisplay(np.array([-0.1, 0.0, 0.3]), metric="nDCG@10").shares
    (0.333..., 0.333..., 0.333...)
    """

    gain: Floats
    metric: str
    baseline_name: str | None = None

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of the queries that lose, stay as they were, and gain."""
        lost, gained = float((self.gain < 0).mean()), float((self.gain > 0).mean())
        return lost, float((self.gain == 0).mean()), gained

    def _draw(self, ax: Axes) -> None:
        edges = np.linspace(0, 1, len(self.gain) + 1)
        lost, same, gained = self.shares
        for sign, number, words in ((-1, 1, f"lose ({lost:.0%})"), (1, 0, f"gain ({gained:.0%})")):
            part = np.where(sign * self.gain > 0, self.gain, 0.0)
            ax.stairs(part, edges, fill=True, color=style_of(number).color, label=words)
        ax.stairs(self.gain, edges, color="black", linewidth=1)
        mark_value(ax, 0.0, "y")
        mean = float(self.gain.mean())
        mark_value(ax, mean, "y", label=f"mean {mean:+.4f}")
        against = f" over {self.baseline_name}" if self.baseline_name else ""
        ax.set(xlabel=f"queries by gain, as a share of {len(self.gain):,}", xlim=(0, 1))
        ax.set_ylabel(f"gain in {self.metric}")
        wrapped_title(ax, f"{self.metric}{against}; {same:.0%} of the queries stay the same")
        add_legend(ax)
