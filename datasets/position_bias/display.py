"""Pictures of examination curves, and of the swaps that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.drawing import (
    Display,
    add_legend,
    draw_line,
    log_axis,
    side_by_side,
    style_of,
    whole_numbers,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from numpy.typing import NDArray

    from .curve import ExaminationCurve

_MAX_NUMBERED = 12
"""Positions up to which every cell of the swaps has its number."""

_DARK = 0.55
"""Share of the scale of greys above which a number is written in white."""


@dataclass
class PositionBiasDisplay(Display):
    """Examination curves with pointwise intervals (bars) and simultaneous bands (shade).

    Parameters
    ----------
    curves : dict of str to ExaminationCurve
        Label -> curve: a context value, or any other name for the legend.
    truth : ndarray of float64, shape (m,), or None
        The curve that is to be found, where it is known, relative to its first position.
    log : bool
        Whether the axis of examination is logarithmic: equal ratios are then equally far apart.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rankloom.datasets import PositionBias, PositionBiasDisplay
    >>> bias = PositionBias.from_curve([1.0, 0.5])
    >>> len(PositionBiasDisplay({"known": bias.curve()}).curves["known"])
    2
    """

    curves: dict[str, ExaminationCurve]
    truth: NDArray[np.float64] | None = None
    log: bool = False

    def _draw(self, ax: Axes) -> None:
        for number, (label, curve) in enumerate(self.curves.items()):
            self._draw_curve(ax, number, label, curve)
        if self.truth is not None:
            positions = np.arange(len(self.truth))
            ax.plot(positions, self.truth, color="black", marker="x", linestyle=":", label="truth")
        ax.set(xlabel="position (0 is the first)", ylabel="examination, relative to position 0")
        whole_numbers(ax, "x")
        if self.log:
            log_axis(ax, "y")
        else:
            ax.set_ylim(bottom=0)
        add_legend(ax)

    def _draw_curve(self, ax: Axes, number: int, label: str, curve: ExaminationCurve) -> None:
        shift = side_by_side(number, len(self.curves))
        positions = np.arange(len(curve)) + shift
        ax.fill_between(
            positions, curve.band_lower, curve.band_upper, color=style_of(number).color, alpha=0.15
        )
        draw_line(
            ax,
            positions,
            curve.examination,
            number,
            lower=curve.lower,
            upper=curve.upper,
            label=label,
        )


@dataclass
class SwapGraphDisplay(Display):
    """Between which positions documents were swapped, and which of them reach position 0.

    A cell counts the (query, document) pairs that were shown at both positions; crossed out are
    positions that clicks do not tie to position 0.

    Parameters
    ----------
    swaps : ndarray of int64, shape (k, k)
        As `PositionBias.swaps_`. The diagonal, pairs shown at that position, is left white.
    tied : ndarray of bool, shape (k,)
        Whether swaps with clicks tie the position to position 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.datasets import SwapGraphDisplay
    >>> swaps = np.array([[9, 4], [4, 7]])
    >>> SwapGraphDisplay(swaps, tied=np.array([True, True])).swaps[0, 1]
    np.int64(4)
    """

    swaps: NDArray[np.int64]
    tied: NDArray[np.bool_]

    def _draw(self, ax: Axes) -> None:
        from matplotlib.colors import LogNorm

        shown = np.where(np.eye(len(self.swaps), dtype=bool), 0, self.swaps)
        counts = shown[shown > 0]
        ends = (counts.min(), counts.max()) if len(counts) else (1, 1)
        norm = LogNorm(ends[0] / 2, ends[1] + 1)
        cells = np.ma.masked_equal(shown, 0)
        image = ax.imshow(cells, cmap="Greys", norm=norm, origin="upper")
        figure = ax.get_figure(root=True)
        if figure is not None:
            figure.colorbar(image, ax=ax, label="(query, document) pairs shown at both")
        if len(shown) <= _MAX_NUMBERED:
            _number_cells(ax, shown, norm)
        for position in np.flatnonzero(~self.tied):
            ax.plot(position, position, color="#D55E00", marker="x", markersize=9, zorder=3)
        ax.set(xlabel="position (0 is the first)", ylabel="position (0 is the first)")
        for axis in ("x", "y"):
            whole_numbers(ax, axis)
        if not self.tied.all():
            wrapped_title(ax, "x: not tied to position 0 by swaps with clicks")


def _number_cells(ax: Axes, shown: NDArray[np.int64], norm: Normalize) -> None:
    for row, column in zip(*np.nonzero(shown), strict=True):
        count = int(shown[row, column])
        colour = "white" if float(norm(count)) > _DARK else "black"
        ax.text(column, row, f"{count:,}", ha="center", va="center", fontsize="small", color=colour)
