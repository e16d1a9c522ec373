"""The picture of refinement chains: which query follows which, and whom it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._shared.drawing import (
    Display,
    draw_rows,
    height_of_rows,
    name_rows,
    note_rows,
    percent,
    shortened,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class RefinementChainsDisplay(Display):
    """Steps from query to query that are more frequent than by chance, and whom the second served.

    Parameters
    ----------
    from_query, to_query : tuple of str
    persons : ndarray of int64, shape (c,)
        Who took the step.
    lift : ndarray of float64, shape (c,)
        How many times as frequent as by chance.
    succeeded, lower, upper : ndarray of float64, shape (c,)
        Share of the persons whom the second query served, and its limits.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.insights import RefinementChainsDisplay
    >>> one = np.array([0.5])
    >>> RefinementChainsDisplay(("tv",), ("oled tv",), np.array([9]), one, one, one, one).persons
    array([9])
    """

    from_query: tuple[str, ...]
    to_query: tuple[str, ...]
    persons: NDArray[np.int64]
    lift: Floats
    succeeded: Floats
    lower: Floats
    upper: Floats

    def _height(self) -> float:
        return height_of_rows(len(self.from_query))

    def _draw(self, ax: Axes) -> None:
        draw_rows(ax, self.succeeded, lower=self.lower, upper=self.upper)
        steps = zip(self.from_query, self.to_query, strict=True)
        name_rows(ax, [f"{shortened(a, 16)} → {shortened(b, 16)}" for a, b in steps])
        counts = zip(self.persons, self.lift, strict=True)
        note_rows(ax, [f"{n:,} persons, lift {lift:.0f}" for n, lift in counts])
        percent(ax, "x")
        ax.set_xlim(0, 1)
        ax.set(xlabel="share of them whom the second query served, with its interval")
