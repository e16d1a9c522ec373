"""The picture of a posterior: densities of what channels are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.drawing import Display, add_legend, literal, style_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..base.contexts import Context
    from .beta import BetaPosterior
    from .fusion_posterior import FusionPosterior
    from .linear import LinearPosterior

    Floats = NDArray[np.float64]

_POINTS: Final = 401
_TAIL: Final = 1e-4
_INTERVAL: Final = (0.05, 0.95)


@dataclass
class PosteriorDisplay(Display):
    """Posterior density of every channel's success rate or slope, its mean and 90 % interval.

    The interval is the thick line below the density, the mark on it the mean.

    Parameters
    ----------
    feature_uris : tuple of str
    grid : ndarray of float64, shape (g,)
    density : ndarray of float64, shape (arms, g)
    mean, lower, upper : ndarray of float64, shape (arms,)
    quantity : str
        What the density is of.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rankloom.bandit import FusionBandit
    >>> rows = [{"execution_id": f"e{n}", "feature_id": "d", "position": 0,
    ...          "feature_uri": ("bm25", "clip")[n % 2], "timestamp": "2026-01-31",
    ...          "interaction_type": ["impression", *["click"][: n % 4 == 0]]} for n in range(200)]
    >>> bandit = FusionBandit(["bm25", "clip"])
    >>> report = bandit.update(rows)
    >>> from rankloom.bandit import PosteriorDisplay
    >>> display = PosteriorDisplay.from_posterior(bandit.snapshot().posterior)
    >>> display.quantity, display.density.shape
    ('success rate', (2, 401))
    """

    feature_uris: tuple[str, ...]
    grid: Floats
    density: Floats
    mean: Floats
    lower: Floats
    upper: Floats
    quantity: str

    @classmethod
    def from_posterior(cls, posterior: FusionPosterior, context: Context = ()) -> Self:
        """Compute the densities of everybody, or of a segment.

        Parameters
        ----------
        posterior : FusionPosterior
            With slopes of scores, these are shown, else success rates.
        context : tuple of str
            ``()``, or ``("segment", *values)``.
        """
        level = posterior.level(context)
        linear = level.linear
        mean = level.beta.mean if linear is None else linear.mean
        each = _rates(level.beta) if linear is None else _slopes(linear)
        ends = each.ppf(np.array([_TAIL, 1 - _TAIL]))
        grid = np.linspace(ends.min(), ends.max(), _POINTS)
        lower, upper = each.ppf(np.array(_INTERVAL)).T
        quantity = "success rate" if linear is None else "slope of the channel's score"
        return cls(posterior.arms, grid, each.pdf(grid), mean, lower, upper, quantity)

    def _draw(self, ax: Axes) -> None:
        height = float(self.density.max())
        for number, uri in enumerate(self.feature_uris):
            style = style_of(number)
            lines = {"color": style.color, "linestyle": style.linestyle}
            ax.plot(self.grid, self.density[number], **lines)
            ax.fill_between(self.grid, self.density[number], color=style.color, alpha=0.15)
            below = -0.06 * height * (number + 1)
            ax.hlines(below, self.lower[number], self.upper[number], color=style.color, linewidth=3)
            ax.plot(self.mean[number], below, marker=style.marker, label=literal(uri), **lines)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(xlabel=f"{self.quantity} (mark: mean; thick line: 90% interval)", ylabel="density")
        ax.set_yticks([tick for tick in ax.get_yticks() if tick >= 0])
        ax.set_ylim(bottom=-0.06 * height * (len(self.feature_uris) + 1), top=1.05 * height)
        add_legend(ax)


class _Distribution(NamedTuple):
    """Densities and quantiles of every channel at points; shape (arms, points)."""

    pdf: Callable[[Floats], Floats]
    ppf: Callable[[Floats], Floats]


def _rates(posterior: BetaPosterior) -> _Distribution:
    from scipy import stats

    success = (posterior.mean * posterior.strength)[:, None]
    failure = ((1 - posterior.mean) * posterior.strength)[:, None]
    return _Distribution(
        lambda x: np.asarray(stats.beta.pdf(x, success, failure)),
        lambda tail: np.asarray(stats.beta.ppf(tail, success, failure)),
    )


def _slopes(posterior: LinearPosterior) -> _Distribution:
    from scipy import stats

    mean = posterior.mean[:, None]
    deviation = np.sqrt((posterior.root @ posterior.root.T).diagonal())[:, None]
    return _Distribution(
        lambda x: np.asarray(stats.norm.pdf(x, mean, deviation)),
        lambda tail: np.asarray(stats.norm.ppf(tail, mean, deviation)),
    )
