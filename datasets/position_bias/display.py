"""Drawing: displays hold the arrays and draw them, as scikit-learn's do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .curve import ExaminationCurve


@dataclass
class PositionBiasDisplay:
    """Examination curves with pointwise intervals (bars) and simultaneous bands (shade).

    Parameters
    ----------
    curves : dict of str to ExaminationCurve
        Label -> curve: a context value, or any other name for the legend.

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

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw on the given axes, or on new ones."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        for label, curve in self.curves.items():
            _draw(ax, label, curve)
        ax.set(xlabel="position", ylabel="examination, relative to position 0")
        ax.set_ylim(bottom=0)
        if len(self.curves) > 1:
            ax.legend()
        self.ax_: Axes = ax
        self.figure_: Figure | None = ax.get_figure(root=True)
        return self


def _draw(ax: Axes, label: str, curve: ExaminationCurve) -> None:
    positions = range(len(curve))
    colour = ax.plot(positions, curve.examination, marker="o", label=label)[0].get_color()
    ax.fill_between(positions, curve.band_lower, curve.band_upper, color=colour, alpha=0.15)
    ax.vlines(positions, curve.lower, curve.upper, color=colour, linewidth=3, alpha=0.5)
