"""The picture of a choice: how well each click model predicts clicks that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.drawing import (
    Display,
    draw_rows,
    height_of_rows,
    legend_under_rows,
    mark_value,
    name_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_Z: Final = 1.645  # 90 %, two-sided


@dataclass
class ClickModelChoiceDisplay(Display):
    """Log-likelihood of held-out executions by click model, over the better baseline.

    Bars are 90 % intervals. Baselines use positions and clicks above, but no document.

    Parameters
    ----------
    click_models : tuple of str
    over_baseline : ndarray of float64, shape (m,)
        Mean over executions, natural logarithm.
    standard_error : ndarray of float64, shape (m,)
    chosen : str or None

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import ClickModelChoiceDisplay
    >>> ClickModelChoiceDisplay(("pbm",), np.array([0.2]), np.array([0.01]), "pbm").chosen
    'pbm'
    """

    click_models: tuple[str, ...]
    over_baseline: Floats
    standard_error: Floats
    chosen: str | None

    def _height(self) -> float:
        return height_of_rows(len(self.click_models) + 1)

    def _draw(self, ax: Axes) -> None:
        half = _Z * self.standard_error
        is_chosen = np.array([name == self.chosen for name in self.click_models], np.bool_)
        for number, (mask, label) in enumerate(((is_chosen, "chosen"), (~is_chosen, "not chosen"))):
            if mask.any():
                value = np.where(mask, self.over_baseline, np.nan)
                draw_rows(ax, value, number, lower=value - half, upper=value + half, label=label)
        mark_value(ax, 0.0, "x")
        name_rows(ax, self.click_models)
        ax.set(xlabel="log-likelihood of an execution over the baseline, 90% interval")
        legend_under_rows(ax)
