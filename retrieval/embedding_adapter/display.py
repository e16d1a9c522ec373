"""The picture of what a map of embeddings is worth on held-out queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.drawing import (
    Display,
    draw_rows,
    height_of_rows,
    mark_value,
    name_rows,
    note_rows,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass
class HeldOutGainDisplay(Display):
    """Gain in DCG of mapped embeddings over those as they are, with its interval.

    Parameters
    ----------
    k : int
        Ranks that count.
    queries : int
    baseline, adapted, gain : float
    interval : tuple of float
    confidence : float

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rankloom.retrieval import HeldOutGainDisplay
    >>> HeldOutGainDisplay(10, 50, 1.0, 1.2, 0.2, (0.1, 0.3), 0.9).gain
    0.2
    """

    k: int
    queries: int
    baseline: float
    adapted: float
    gain: float
    interval: tuple[float, float]
    confidence: float

    def _height(self) -> float:
        return height_of_rows(1)

    def _draw(self, ax: Axes) -> None:
        low, high = self.interval
        draw_rows(ax, np.array([self.gain]), lower=np.array([low]), upper=np.array([high]))
        mark_value(ax, 0.0, "x")
        name_rows(ax, [f"DCG@{self.k}"])
        note_rows(ax, [f"{self.adapted:.4f} against {self.baseline:.4f}"])
        ax.set(xlabel=f"gain of the mapped embeddings, {self.confidence:.0%} interval")
        wrapped_title(ax, f"{self.queries:,} held-out queries, corrected for examination")
