"""Pictures of click models: how well they predict clicks, position by position and overall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.clustered import ClusteredErrors
from ..._shared.drawing import (
    NEUTRAL,
    Display,
    add_legend,
    draw_line,
    log_axis,
    percent,
    side_by_side,
    whole_numbers,
)
from ...errors import InvalidInputError
from .squarem import MIN_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs
    from .base import ClickModel

    Floats = NDArray[np.float64]

CONFIDENCE: Final = 0.90
"""Of the intervals, which allow for the sampling of queries."""


@dataclass
class PerplexityDisplay(Display):
    """Click models compared: perplexity by position on the same executions, with 90 % intervals.

    1 is certainty, 2 a coin. The legend has the mean over positions.

    Parameters
    ----------
    perplexity : dict of str to ndarray of float64, shape (n_positions,)
        Name of the model -> `ClickModel.perplexity`; NaN at positions without rows.
    lower, upper : dict of str to ndarray of float64, shape (n_positions,)
        Limits by the queries' sampling; NaN where one query has all rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.datasets.click_models import PerplexityDisplay
    >>> values = {"PBM": np.array([1.5, 1.2])}
    >>> PerplexityDisplay(values, lower=values, upper=values).perplexity["PBM"].mean()
    np.float64(1.35)
    """

    perplexity: dict[str, Floats]
    lower: dict[str, Floats]
    upper: dict[str, Floats]

    @classmethod
    def from_models(
        cls, models: Mapping[str, ClickModel], pairs: TrainingPairs, *, conditional: bool = True
    ) -> Self:
        """Compare fitted models on pairs, preferably held out.

        Parameters
        ----------
        models : mapping of str to ClickModel
            By the names that the legend gives them.
        pairs : TrainingPairs
        conditional : bool
            Given the clicks above, or not; see `ClickModel.perplexity`.
        """
        found = {name: _perplexity(each, pairs, conditional) for name, each in models.items()}
        return cls(*({name: each[row] for name, each in found.items()} for row in range(3)))

    def _draw(self, ax: Axes) -> None:
        for number, (name, values) in enumerate(self.perplexity.items()):
            shift = side_by_side(number, len(self.perplexity))
            draw_line(
                ax,
                np.arange(len(values)) + shift,
                values,
                number,
                lower=self.lower[name],
                upper=self.upper[name],
                label=f"{name} (mean {np.nanmean(values):.4f})",
            )
        ax.set(xlabel="position (0 is the first)")
        ax.set_ylabel(f"click perplexity, {CONFIDENCE:.0%} interval")
        whole_numbers(ax, "x")
        add_legend(ax)


@dataclass
class CalibrationDisplay(Display):
    """How often what a click model gives a probability was clicked, with 90 % intervals.

    Rows are put into bins of equal size by their probability. A calibrated model lies on the
    diagonal. The axes are logarithmic where every bin was clicked.

    Parameters
    ----------
    predicted, observed : dict of str to ndarray of float64, shape (bins,)
        Name of the model -> mean probability, and share that was clicked.
    lower, upper : dict of str to ndarray of float64, shape (bins,)
        Limits of `observed` by the queries' sampling.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.datasets.click_models import CalibrationDisplay
    >>> share = {"PBM": np.array([0.1, 0.4])}
    >>> CalibrationDisplay(share, share, lower=share, upper=share).observed["PBM"].max()
    np.float64(0.4)
    """

    predicted: dict[str, Floats]
    observed: dict[str, Floats]
    lower: dict[str, Floats]
    upper: dict[str, Floats]

    @classmethod
    def from_models(
        cls,
        models: Mapping[str, ClickModel],
        pairs: TrainingPairs,
        *,
        bins: int = 10,
        conditional: bool = True,
    ) -> Self:
        """Compare fitted models on pairs, preferably held out.

        Parameters
        ----------
        models : mapping of str to ClickModel
            By the names that the legend gives them.
        pairs : TrainingPairs
        bins : int
            Fewer are drawn where many rows have the same probability.
        conditional : bool
            Given the clicks above, or not; see `ClickModel.row_click_probability`.
        """
        if bins < 1 or not len(pairs):
            msg = f"bins, pairs: expected at least 1 bin and 1 row, got {bins} and {len(pairs)}"
            raise InvalidInputError(msg)
        found = {
            name: _calibration(
                each.row_click_probability(pairs, conditional=conditional), pairs, bins
            )
            for name, each in models.items()
        }
        return cls(*({name: each[row] for name, each in found.items()} for row in range(4)))

    def _draw(self, ax: Axes) -> None:
        for number, (name, predicted) in enumerate(self.predicted.items()):
            limits = {"lower": self.lower[name], "upper": self.upper[name]}
            draw_line(ax, predicted, self.observed[name], number, **limits, label=name)
        both = [*self.predicted.values(), *self.observed.values()]
        ends = np.array([min(map(np.min, both)), max(map(np.max, both))])
        ax.plot(ends, ends, color=NEUTRAL, linestyle=":", label="calibrated", zorder=0)
        ax.set(xlabel="probability of a click by the model, mean of a bin")
        ax.set_ylabel(f"share that was clicked, {CONFIDENCE:.0%} interval")
        is_log = ends[0] > 0
        for axis in ("x", "y"):
            log_axis(ax, axis, shares=True) if is_log else percent(ax, axis)
        if is_log:  # lower limits may be below 0, which has no place on the axis
            ax.set_ylim(bottom=ends[0] / 2)
        add_legend(ax)


def _perplexity(model: ClickModel, pairs: TrainingPairs, conditional: bool) -> Floats:  # noqa: FBT001 - passed on
    """Return perplexity by position with its limits; shape (3, n_positions)."""
    chance = model.row_click_probability(pairs, conditional=conditional)
    happened = np.where(pairs.clicked, chance, 1 - chance)
    surprise = -np.log(np.clip(happened, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    return np.exp(_means(surprise, pairs.position, pairs))


def _calibration(chance: Floats, pairs: TrainingPairs, bins: int) -> Floats:
    """Return mean prediction and observed share of every bin, with limits; shape (4, bins)."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)[1:-1]))
    of_row = np.searchsorted(edges, chance, side="right")
    _, of_row = np.unique(of_row, return_inverse=True)
    predicted = np.bincount(of_row, chance) / np.bincount(of_row)
    observed = _means(pairs.clicked.astype(np.float64), of_row, pairs)
    return np.vstack([predicted, observed])


def _means(values: Floats, group: NDArray[np.integer], pairs: TrainingPairs) -> Floats:
    """Return the mean of every group of rows with limits, clustered by query; shape (3, groups)."""
    query = np.repeat(pairs.query_code, pairs.group)
    found = np.full((3, int(group.max()) + 1), np.nan)
    for number in np.unique(group):
        chosen = group == number
        mean = float(values[chosen].mean())
        errors = ClusteredErrors(np.unique(query[chosen], return_inverse=True)[1])
        half = np.nan
        if errors.count > 1:
            error = errors.standard_error(values[chosen] - mean)
            half = errors.t_quantile((1 + CONFIDENCE) / 2) * error
        found[:, number] = mean, mean - half, mean + half
    return found
