"""Pictures of an evaluation from logs: estimates, what clipping does to them, and overlap."""

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
    legend_under_rows,
    mark_value,
    name_rows,
    note_rows,
    percent,
    side_by_side,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_SERIES: Final = ("IPS", "SNIPS", "doubly robust")


@dataclass
class EstimatesDisplay(Display):
    """Value of a candidate and of a baseline by each estimator, with intervals where identified.

    Parameters
    ----------
    estimators : tuple of str
    candidate, baseline : ndarray of float64, shape (3, m)
        Rows are value, lower and upper limit; NaN where the log determines no limits.
    metric : str
    baseline_name : str
    confidence : float
        Of the intervals.
    statement : str or None
        Why there are no intervals.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import EstimatesDisplay
    >>> values = np.array([[1.2], [1.1], [1.3]])
    >>> EstimatesDisplay(("IPS",), values, values - 0.1, "DCG@10", "production", 0.9).metric
    'DCG@10'
    """

    estimators: tuple[str, ...]
    candidate: Floats
    baseline: Floats
    metric: str
    baseline_name: str
    confidence: float
    statement: str | None = None

    def _height(self) -> float:
        return height_of_rows(2 * len(self.estimators) + 1)

    def _draw(self, ax: Axes) -> None:
        for number, (name, found) in enumerate(
            (("candidate", self.candidate), (self.baseline_name, self.baseline))
        ):
            value, lower, upper = found
            shift = side_by_side(number, 2)
            draw_rows(ax, value, number, lower=lower, upper=upper, label=name, shift=shift)
        name_rows(ax, self.estimators)
        if self.statement is None:
            ax.set(xlabel=f"{self.metric} of an execution, {self.confidence:.0%} interval")
        else:
            ax.set(xlabel=f"{self.metric} of an execution")
            wrapped_title(ax, f"No intervals: {self.statement}")
        legend_under_rows(ax)


@dataclass
class ClipSweepDisplay(Display):
    """The candidate's estimates by clip: where they depend on it, few displays decide.

    Clips are equally far apart, in ascending order.

    Parameters
    ----------
    clip : ndarray of float64, shape (c,)
        Smallest propensity counted.
    estimates : ndarray of float64, shape (3, c)
        IPS, SNIPS and doubly robust.
    effective_share : ndarray of float64, shape (c,)
        Effective sample size as a share of all displays.
    chosen : float
        Clip of the report's estimates.
    interval : tuple of float, or None
        Of the doubly robust estimate with that clip.
    metric : str
    confidence : float

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import ClipSweepDisplay
    >>> clip, values = np.array([0.01, 0.1]), np.ones((3, 2))
    >>> ClipSweepDisplay(clip, values, np.ones(2), 0.1, None, "DCG@10", 0.9).chosen
    0.1
    """

    clip: Floats
    estimates: Floats
    effective_share: Floats
    chosen: float
    interval: tuple[float, float] | None
    metric: str
    confidence: float

    def _draw(self, ax: Axes) -> None:
        order = np.argsort(self.clip)
        places = np.arange(len(order))
        for number, (name, values) in enumerate(zip(_SERIES, self.estimates, strict=True)):
            shift = side_by_side(number, len(_SERIES))
            draw_line(ax, places + shift, values[order], number, label=name)
        chosen = float(np.interp(self.chosen, self.clip[order], places))
        if self.interval is not None:
            label = f"{self.confidence:.0%} interval, doubly robust"
            ax.vlines(chosen, *self.interval, color="black", linewidth=2, label=label)
        mark_value(ax, chosen, "x", label="clip of the report")
        effective = self.effective_share[order]
        names = zip(self.clip[order], effective, strict=True)
        ax.set_xticks(places, [f"{clip:g}\n({share:.0%})" for clip, share in names])
        ax.set(xlabel="clip: smallest propensity counted (share of the displays that is effective)")
        ax.set_ylabel(f"{self.metric} of the candidate")
        add_legend(ax)


@dataclass
class OverlapDisplay(Display):
    """How much of what a candidate would show the log holds.

    Parameters
    ----------
    shares : dict of str to float
        What -> share; NaN where unknown.
    required : dict of str to float
        Share from which on intervals are given, of those that have one.
    notes : dict of str to str
        What stands to the right of a row.
    statement : str or None
        Why the log does not identify the value.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from rankloom.ltr import OverlapDisplay
    >>> OverlapDisplay({"shown": 1.0}, {"shown": 1.0}, {}, None).shares["shown"]
    1.0
    """

    shares: dict[str, float]
    required: dict[str, float]
    notes: dict[str, str]
    statement: str | None

    def _height(self) -> float:
        return height_of_rows(len(self.shares) + 2)

    def _draw(self, ax: Axes) -> None:
        rows = {name: row for row, name in enumerate(self.shares)}
        ax.barh(list(rows.values()), list(self.shares.values()), height=0.5, color="#56B4E9")
        for name, share in self.required.items():
            ax.vlines(share, rows[name] - 0.4, rows[name] + 0.4, color="black", linewidth=3)
        name_rows(ax, list(self.shares))
        note_rows(ax, [self._note(name, share) for name, share in self.shares.items()])
        percent(ax, "x")
        ax.set_xlim(0, 1.02)
        ax.set(xlabel="share; upright line: required for an interval")
        if self.statement is not None:
            wrapped_title(ax, f"Not identified: {self.statement}")

    def _note(self, name: str, share: float) -> str:
        text = "unknown" if np.isnan(share) else f"{share:.1%}"
        return f"{text} {self.notes.get(name, '')}".strip()
