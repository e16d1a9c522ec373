"""The picture of a load's labels: which grades the documents got that were shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.drawing import (
    Display,
    add_legend,
    draw_line,
    draw_rows,
    height_of_rows,
    log_axis,
    name_rows,
    side_by_side,
    whole_numbers,
)
from ...errors import InvalidInputError
from .row_blocks import row_blocks

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

MAX_POSITIONS: Final = 100
_Z: Final = 1.645  # 90 %, two-sided


@dataclass
class LabelMixDisplay(Display):
    """Share of the shown documents that got each grade, by position where that is known.

    Bars are 90 % intervals that take documents for independent (Wilson 1927). Grade 0, which
    nearly all have, is drawn only where positions are unknown. Shares of 0 have no place on the
    logarithmic axis and are left out.

    Parameters
    ----------
    grades : ndarray of int64, shape (g,)
        Those that occur, ascending.
    counts : ndarray of int64, shape (g, k)
        Documents of each grade at each of the first k positions; k is 1 where positions are
        unknown.
    by_position : bool

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.datasets import LabelMixDisplay
    >>> mix = LabelMixDisplay(np.array([0, 1]), np.array([[60, 90], [40, 10]]), by_position=True)
    >>> mix.shares
    array([[0.6, 0.9],
           [0.4, 0.1]])
    """

    grades: NDArray[np.int64]
    counts: NDArray[np.int64]
    by_position: bool

    @classmethod
    def from_pairs(cls, pairs: TrainingPairs) -> Self:
        """Count the grades of pairs, at the first 100 positions.

        Raises
        ------
        InvalidInputError
            If there are no pairs.
        """
        if not len(pairs):
            msg = "pairs: empty, expected at least one document"
            raise InvalidInputError(msg)
        by_position = pairs.has_positions
        width = min(int(pairs.position.max(initial=0)) + 1, MAX_POSITIONS) if by_position else 1
        found: dict[int, NDArray[np.int64]] = {}
        for block in row_blocks(pairs):
            position = np.maximum(pairs.position[block.rows], 0)
            grade = pairs.y[block.rows].astype(np.int64)[position < width]
            position = position[position < width]
            for each in np.unique(grade).tolist():
                counted = np.bincount(position[grade == each], minlength=width)
                found[each] = found.get(each, np.zeros(width, np.int64)) + counted
        grades = sorted(found)
        counts = np.array([found[each] for each in grades], np.int64).reshape(len(grades), width)
        return cls(np.array(grades, np.int64), counts, by_position)

    @property
    def shares(self) -> Floats:
        """Share of each grade at each position; shape (g, k), NaN where nothing was shown."""
        shown = self.counts.sum(axis=0)
        return np.where(shown > 0, self.counts / np.maximum(shown, 1), np.nan)

    @property
    def limits(self) -> tuple[Floats, Floats]:
        """Lower and upper limits of the shares; shape (g, k) each, NaN for shares of 0."""
        n, share = np.maximum(self.counts.sum(axis=0), 1), self.shares
        centre = share + _Z**2 / (2 * n)
        half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        ends = ((centre + sign * half) / (1 + _Z**2 / n) for sign in (-1, 1))
        lower, upper = (np.where(self.counts > 0, end, np.nan) for end in ends)
        return lower, upper

    def _height(self) -> float | None:
        return None if self.by_position else height_of_rows(len(self.grades) + 1)

    def _draw(self, ax: Axes) -> None:
        share = np.where(self.counts > 0, self.shares, np.nan)
        if self.by_position:
            self._draw_lines(ax, share)
            log_axis(ax, "y", shares=True)
        else:
            lower, upper = self.limits
            draw_rows(ax, share[:, 0], lower=lower[:, 0], upper=upper[:, 0])
            name_rows(ax, [f"grade {grade}" for grade in self.grades])
            log_axis(ax, "x", shares=True)
            ax.set(xlabel="share of the judged documents, 90% interval")

    def _draw_lines(self, ax: Axes, share: Floats) -> None:
        lower, upper = self.limits
        everywhere = self.counts.sum(axis=1) / max(int(self.counts.sum()), 1)
        rows = np.flatnonzero(self.grades > 0)
        for number, row in enumerate(rows):
            positions = np.arange(share.shape[1]) + side_by_side(number, len(rows))
            draw_line(
                ax,
                positions,
                share[row],
                number,
                lower=lower[row],
                upper=upper[row],
                label=f"grade {self.grades[row]} ({everywhere[row]:.2%} of all)",
            )
        ax.set(xlabel="position (0 is the first)")
        ax.set_ylabel("share of the documents shown there, 90% interval")
        whole_numbers(ax, "x")
        add_legend(ax)
