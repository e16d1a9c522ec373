"""The picture of both gates, of rankers and of fusion weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .drawing import (
    Display,
    draw_rows,
    height_of_rows,
    legend_under_rows,
    mark_value,
    name_rows,
    note_rows,
    percent,
    wrapped_title,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .gate import GateMetric

    Floats = NDArray[np.float64]


@dataclass
class GateDisplay(Display):
    """Relative gain of every metric, its bound, and the limit that the bound has to lie above.

    A row shows the gain (mark), the one-sided bound (end of the bar) and the limit (upright line).
    Metrics that pass have a round mark, those that fail a square one.

    Parameters
    ----------
    metrics : dict of str to GateMetric
        The one that decides first. Those whose baseline is not above 0 have no relative gain.
    passed : bool
        Whether the gate passes.
    baseline : str
        What the candidate is compared with.
    confidence : float
        Of the one-sided bounds.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rankloom.ltr import GateDisplay
    >>> GateDisplay({}, passed=False, baseline="production", confidence=0.95).passed
    False
    """

    metrics: Mapping[str, GateMetric]
    passed: bool
    baseline: str
    confidence: float

    def _height(self) -> float:
        return height_of_rows(len(self.metrics) + 2)

    def _draw(self, ax: Axes) -> None:
        for number, passed in enumerate((True, False)):
            gain, lower = self._values(passed=passed)
            if np.isfinite(gain).any():
                word = "passes" if passed else "fails"
                draw_rows(ax, gain, number, lower=lower, upper=gain, label=word)
        ax.vlines(
            self._limits(),
            np.arange(len(self.metrics)) - 0.35,
            np.arange(len(self.metrics)) + 0.35,
            color="black",
            linewidth=2,
            label="limit",
        )
        note_rows(ax, [_note(metric) for metric in self.metrics.values()])
        name_rows(ax, [f"{n} (decides)" if m.decides else n for n, m in self.metrics.items()])
        ax.margins(x=0.08)
        percent(ax, "x")
        mark_value(ax, 0.0, "x")
        ax.set(xlabel=f"relative gain over the baseline, and its {self.confidence:.0%} bound")
        verdict = "The gate passes" if self.passed else "The gate does not pass"
        wrapped_title(ax, f"{verdict}, against {self.baseline}")
        legend_under_rows(ax)

    def _values(self, *, passed: bool) -> tuple[Floats, Floats]:
        """Return relative gains and bounds of the metrics that pass or not; NaN for the others."""
        chosen = [m if m.passed is passed else None for m in self.metrics.values()]
        gain = np.array([None if m is None else m.relative for m in chosen], np.float64)
        lower = np.array([None if m is None else m.relative_lower for m in chosen], np.float64)
        return gain, lower

    def _limits(self) -> list[float]:
        # The one that decides has to gain at all, which is the same of its relative gain.
        return [0.0 if m.decides else m.limit for m in self.metrics.values()]


def _note(metric: GateMetric) -> str:
    """Return what the mark does not show."""
    text = f"{metric.candidate:.4f} against {metric.baseline:.4f}"
    return text if metric.relative_lower is not None else f"{text}; no bound"
