"""The result of an evaluation from logs, as plain values and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.drawing import limits_or_nan
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .display import ClipSweepDisplay, EstimatesDisplay, OverlapDisplay
from .overlap import MIN_VARIED

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .overlap import Overlap

    Floats = NDArray[np.float64]

ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "doubly_robust": "doubly robust"}


@dataclass(frozen=True)
class Estimate:
    """One estimate of a ranking's value.

    Attributes
    ----------
    value : float
    standard_error : float or None
        None where the log does not identify it.
    interval : tuple of float, or None
        Two-sided; None where the log does not identify it.
    """

    value: float
    standard_error: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Gain:
    """Candidate minus baseline on the same executions, by the doubly robust estimate.

    Attributes
    ----------
    value : float
    relative : float or None
        Over the baseline's value; None where that is not above 0.
    standard_error : float or None
        None, as all below, where the log does not identify it.
    interval : tuple of float, or None
        Two-sided.
    lower, relative_lower : float or None
        Lower end of the interval: a one-sided bound that holds with (1 + confidence) / 2.
    """

    value: float
    relative: float | None = None
    standard_error: float | None = None
    interval: tuple[float, float] | None = None
    lower: float | None = None
    relative_lower: float | None = None


@dataclass(frozen=True)
class Clipped:
    """The candidate's estimates with another clip.

    Attributes
    ----------
    clip : float
        Smallest propensity counted.
    ips, snips, doubly_robust : float
    effective_sample_size : float
        As many displays of equal weight would say as much.
    """

    clip: float
    ips: float
    snips: float
    doubly_robust: float
    effective_sample_size: float


@dataclass(frozen=True)
class CounterfactualReport:
    """Value of a candidate ranking, and of a baseline, estimated from logged interactions.

    Attributes
    ----------
    metric : str
    candidate, baseline : dict of str to Estimate
        By "ips", "snips" and "doubly_robust".
    modelled : float
        The candidate's value by the relevance model alone (direct method), without correction.
    baseline_name : str
    gain : Gain
    overlap : Overlap
    statement : str or None
        Why there is no interval, where there is none.
    clipping : list of Clipped
    clip : float
        Clip of the estimates above.
    effective_sample_size : float
    displays : int
        Rows that showed a document of the candidate's top k.
    executions, queries, clusters : int
    clustered_by : str
    examination_source : str
        "given", "pairs", "estimated" or "assumed".
    propensity_source : str
        "given" or "estimated".
    confidence : float
    notes : list of str
        What the numbers depend on.
    """

    metric: str
    candidate: dict[str, Estimate]
    baseline: dict[str, Estimate]
    modelled: float
    baseline_name: str
    gain: Gain
    overlap: Overlap
    statement: str | None
    clipping: list[Clipped]
    clip: float
    effective_sample_size: float
    displays: int
    executions: int
    queries: int
    clusters: int
    clustered_by: str
    examination_source: str
    propensity_source: str
    confidence: float = 0.90
    notes: list[str] = field(default_factory=list)

    @property
    def identified(self) -> bool:
        """Whether the log identifies the value, so that there are intervals."""
        return self.statement is None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON; what is not finite becomes None."""
        values: dict[str, Any] = plain(asdict(self))
        return values

    def plot(self, ax: Axes | None = None) -> EstimatesDisplay:
        """Draw the value of candidate and baseline by each estimator, with intervals."""
        return EstimatesDisplay(
            tuple(ESTIMATORS.values()),
            _estimates([self.candidate[name] for name in ESTIMATORS]),
            _estimates([self.baseline[name] for name in ESTIMATORS]),
            self.metric,
            self.baseline_name,
            self.confidence,
            self.statement,
        ).plot(ax)

    def plot_clips(self, ax: Axes | None = None) -> ClipSweepDisplay:
        """Draw the candidate's estimates by clip.

        Raises
        ------
        InvalidInputError
            If the report has no sweep of clips.
        """
        if not self.clipping:
            msg = "clipping: empty, expected estimates by clip; evaluate with clips=(...)"
            raise InvalidInputError(msg)
        return ClipSweepDisplay(
            clip=np.array([each.clip for each in self.clipping]),
            estimates=np.array([[getattr(e, name) for e in self.clipping] for name in ESTIMATORS]),
            effective_share=np.array([e.effective_sample_size for e in self.clipping])
            / max(self.displays, 1),
            chosen=self.clip,
            interval=self.candidate["doubly_robust"].interval,
            metric=self.metric,
            confidence=self.confidence,
        ).plot(ax)

    def plot_overlap(self, ax: Axes | None = None) -> OverlapDisplay:
        """Draw how much of what the candidate would show the log holds."""
        found = self.overlap
        varied = float("nan") if found.varied is None else found.varied
        shown, several = "of its top: can have been shown", "of its top: at several positions"
        shares = {
            shown: found.shown,
            several: varied,
            "of these displays: not clipped": 1 - found.clipped,
            "of these displays: effective": self.effective_sample_size / max(self.displays, 1),
        }
        notes = {
            "of these displays: not clipped": f"(clip {self.clip:g})",
            "of these displays: effective": f"of {self.displays:,}",
        }
        required = {shown: 1.0, several: MIN_VARIED}
        return OverlapDisplay(shares, required, notes, self.statement).plot(ax)

    def __str__(self) -> str:
        """Return the estimates as a table, the overlap, the clipping sweep and the notes."""
        lines = [
            self._first_line(),
            f"{self.metric:16}  {'candidate':>26}  {'baseline':>26}",
            *(
                f"{words:16}  {_cell(self.candidate[name]):>26}  {_cell(self.baseline[name]):>26}"
                for name, words in ESTIMATORS.items()
            ),
            self._gain_line(),
            *([f"No interval: {self.statement}."] if self.statement else []),
            self._overlap_line(),
            f"{'clip':16}  {'IPS':>8}  {'SNIPS':>8}  {'doubly robust':>13}  effective displays",
            *(_clip_line(each) for each in self.clipping),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    def _first_line(self) -> str:
        return (
            f"From {self.executions:,} executions of {self.queries:,} queries, "
            f"{self.confidence:.0%} intervals over {self.clusters:,} clusters "
            f"({self.clustered_by}); baseline: {self.baseline_name}"
        )

    def _gain_line(self) -> str:
        gain = self.gain
        line = f"{'gain':16}  {gain.value:+.4f}"
        if gain.relative is not None:
            line += f" = {gain.relative:+.1%}"
        if gain.interval is None:
            return line
        low, high = gain.interval
        bound = f"at least {gain.lower:+.4f} with {(1 + self.confidence) / 2:.0%} confidence"
        return f"{line}, {low:+.4f} to {high:+.4f}; {bound}"

    def _overlap_line(self) -> str:
        overlap = self.overlap
        varied = "none" if overlap.varied is None else f"{overlap.varied:.1%}"
        return (
            f"{'overlap':16}  {overlap.shown:.1%} of the candidate's top shown, {varied} of it at "
            f"several positions; {self.displays:,} displays, effectively "
            f"{self.effective_sample_size:,.0f}; smallest propensity "
            f"{overlap.smallest_propensity:.3g}"
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each estimator and ranking.

        ``ranking`` ("candidate" or "baseline"), ``estimator``, ``value``, ``standard_error``,
        ``lower`` and ``upper``.
        """
        import polars as pl

        rows = [
            (ranking, name, each.value, each.standard_error, *(each.interval or (None, None)))
            for ranking, found in (("candidate", self.candidate), ("baseline", self.baseline))
            for name, each in found.items()
        ]
        floats = ("value", "standard_error", "lower", "upper")
        schema = {"ranking": pl.String(), "estimator": pl.String()}
        return pl.DataFrame(rows, {**schema, **dict.fromkeys(floats, pl.Float64())}, orient="row")

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        estimates = [
            (words, _cell(self.candidate[name]), _cell(self.baseline[name]))
            for name, words in ESTIMATORS.items()
        ]
        clipping = [
            (c.clip, c.ips, c.snips, c.doubly_robust, c.effective_sample_size)
            for c in self.clipping
        ]
        names = ["clip", "IPS", "SNIPS", "doubly robust", "effective displays"]
        statement = [f"No interval: {self.statement}."] if self.statement else []
        lines = [" ".join(line.split()) for line in (self._gain_line(), self._overlap_line())]
        return Summary(
            self._first_line(),
            [
                Table.of([self.metric, "candidate", "baseline"], estimates),
                Table.of(names, clipping),
            ],
            [*lines, *statement, *self.notes],
        )


def _estimates(found: list[Estimate]) -> Floats:
    """Return values and limits, NaN where there are none; shape (3, m)."""
    return np.array([[e.value for e in found], *limits_or_nan([e.interval for e in found])])


def _cell(estimate: Estimate) -> str:
    if estimate.interval is None:
        return f"{estimate.value:.4f}"
    low, high = estimate.interval
    return f"{estimate.value:.4f} ({low:.4f} to {high:.4f})"


def _clip_line(clipped: Clipped) -> str:
    return (
        f"{clipped.clip:<16g}  {clipped.ips:8.4f}  {clipped.snips:8.4f}  "
        f"{clipped.doubly_robust:13.4f}  {clipped.effective_sample_size:,.0f}"
    )
