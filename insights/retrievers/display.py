"""The picture of a comparison of retrievers: each one's difference to the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._shared.drawing import (
    Display,
    draw_rows,
    height_of_rows,
    legend_under_rows,
    mark_value,
    name_rows,
    note_rows,
    side_by_side,
    wrapped_title,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass
class RetrieverComparisonDisplay(Display):
    """Difference of every retriever to the baseline in one metric, with both of its intervals.

    The first bar is the interval for one look at the end, the second (wider) one holds however
    often one looks.

    Parameters
    ----------
    rows : tuple of str
        Retriever, and what its traffic is standardised by.
    difference, lower, upper : ndarray of float64, shape (r,)
    sequential_lower, sequential_upper : ndarray of float64, shape (r,)
    verdicts : tuple of str
    metric : str
        With what it is the mean of.
    baseline : str
    lower_is_better : bool

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.insights import RetrieverComparisonDisplay
    >>> one = np.array([0.1])
    >>> display = RetrieverComparisonDisplay(
    ...     ("new",), one, one - 0.1, one + 0.1, one - 0.2, one + 0.2, ("better",), "clicks", "old"
    ... )
    >>> display.verdicts
    ('better',)
    """

    rows: tuple[str, ...]
    difference: Floats
    lower: Floats
    upper: Floats
    sequential_lower: Floats
    sequential_upper: Floats
    verdicts: tuple[str, ...]
    metric: str
    baseline: str
    lower_is_better: bool = False

    def _height(self) -> float:
        return height_of_rows(2 * len(self.rows) + 2)

    def _draw(self, ax: Axes) -> None:
        for number, (label, lower, upper) in enumerate(
            (
                ("interval for one look", self.lower, self.upper),
                ("interval at any time", self.sequential_lower, self.sequential_upper),
            )
        ):
            shift = side_by_side(number, 2, 0.3)
            limits = {"lower": lower, "upper": upper}
            draw_rows(ax, self.difference, number, **limits, label=label, shift=shift)
        mark_value(ax, 0.0, "x")
        name_rows(ax, self.rows)
        note_rows(ax, self.verdicts)
        better = "less" if self.lower_is_better else "more"
        ax.set(xlabel=f"difference to {self.baseline} ({better} is better)")
        wrapped_title(ax, self.metric)
        legend_under_rows(ax)
