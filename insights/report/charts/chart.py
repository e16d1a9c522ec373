"""What every chart offers, and the axes that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from .palette import GRID, INK, MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE: Final = 720
NARROW: Final = 340
"""Widths in pixels: every chart is drawn for screens and paper, and for phones."""


@dataclass(frozen=True)
class LegendEntry:
    """What a mark stands for; `number` is the series', from 0, `line` whether it has a line."""

    label: str
    number: int
    line: bool = True


class Chart(Protocol):
    """A picture's content, without sizes or colours."""

    @property
    def legend(self) -> Sequence[LegendEntry]:
        """Entries for the page's legend; none for a single series."""
        ...

    def height(self, width: int) -> int:
        """Return the height in pixels at a width."""
        ...

    def draw(self, figure: Figure, width: int) -> None:
        """Draw on a figure whose size is the chart's."""
        ...


@dataclass(frozen=True)
class Margins:
    """Space around the axes in pixels."""

    left: float
    right: float
    bottom: float
    top: float


def add_axes(figure: Figure, size: tuple[int, int], margins: Margins) -> Axes:
    """Return axes within the margins, with no frame but the lower line, and light grid lines."""
    width, height = size
    axes = figure.add_axes(
        (
            margins.left / width,
            margins.bottom / height,
            1 - (margins.left + margins.right) / width,
            1 - (margins.bottom + margins.top) / height,
        )
    )
    axes.set_facecolor("none")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, length=3, labelsize=12)
    axes.grid(visible=True, axis="both", color=GRID, linewidth=1)
    axes.set_axisbelow(True)
    return axes
