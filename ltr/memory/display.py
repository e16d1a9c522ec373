"""The picture of a memory's replay: its gain by how frequent queries are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.drawing import (
    Display,
    draw_rows,
    height_of_rows,
    legend_under_rows,
    mark_value,
    name_rows,
    note_rows,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class MemoryDisplay(Display):
    """Gain of a memory over its prior by frequency band, down to its one-sided bound.

    Parameters
    ----------
    bands : tuple of str
        The last one is all bands together.
    gain : ndarray of float64, shape (b,)
        NaN for a band without executions.
    lower : ndarray of float64, shape (b,)
        One-sided bounds; NaN for less than five queries.
    passed : ndarray of bool, shape (b,)
        Which bands the memory serves.
    executions, queries : ndarray of int64, shape (b,)
    cutoff : int
        Ranks that count.
    confidence : float
        Of the bounds.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import MemoryDisplay
    >>> one, count = np.array([0.1]), np.array([20])
    >>> MemoryDisplay(("all",), one, one / 2, one > 0, count, count, 10, 0.95).bands
    ('all',)
    """

    bands: tuple[str, ...]
    gain: Floats
    lower: Floats
    passed: NDArray[np.bool_]
    executions: NDArray[np.int64]
    queries: NDArray[np.int64]
    cutoff: int
    confidence: float

    def _height(self) -> float:
        return height_of_rows(len(self.bands) + 2)

    def _draw(self, ax: Axes) -> None:
        for number, (mask, label) in enumerate(((self.passed, "passes"), (~self.passed, "fails"))):
            if mask.any():
                gain = np.where(mask, self.gain, np.nan)
                draw_rows(ax, gain, number, lower=self.lower, upper=gain, label=label)
        mark_value(ax, 0.0, "x")
        name_rows(ax, self.bands)
        counts = zip(self.executions, self.queries, strict=True)
        note_rows(ax, [f"{n:,} executions, {q:,} queries" for n, q in counts])
        ax.set_ylabel("impressions of the query")
        ax.set(
            xlabel=f"gain in DCG@{self.cutoff} over the prior, and its {self.confidence:.0%} bound"
        )
        wrapped_title(ax, "Memory against its prior, later executions")
        legend_under_rows(ax)
