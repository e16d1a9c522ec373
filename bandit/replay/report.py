"""The result of a replay, as plain values and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..._shared.gate import GateMetric, gate_frame, gate_table, verdict_dict
from ..._shared.gate_display import GateDisplay
from ..._shared.summary import Summary, Table, interval
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

    from .policy_records import PolicyRecord
    from .session_changes import SessionChanges


@dataclass(frozen=True)
class MetricReplay(GateMetric):
    """One metric under the candidate's and the baseline's weights; see `GateMetric`.

    Attributes
    ----------
    interval : tuple of float, or None
        Of the gain; its lower end is the one-sided bound. None where the log does not determine
        it.
    """

    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ReplayOverlap:
    """How much of what the weights would show was shown.

    Attributes
    ----------
    certain, baseline_certain : float or None
        Share of the primary metric's discounts at ranks that no document never shown could take.
        None without served weights.
    effective_displays : float
        Displays that the candidate's estimate rests on (Kish).
    displays : int
    served_weights : int
        Different sets of weights that were served.
    agreement : float or None
        Share of neighbours in the shown lists that are in the order of the served weights.
    """

    certain: float | None
    baseline_certain: float | None
    effective_displays: float
    displays: int
    served_weights: int
    agreement: float | None


@dataclass(frozen=True)
class WeightsReplay:
    """What other weights would have been worth, and whether they may ship; print it.

    Attributes
    ----------
    method : {"policy-aware", "re-ranking"}
        See `replay_weights`.
    passed : bool
        Whether the candidate may ship.
    reasons : list of str
        Why not; empty if it may.
    primary : str
        The metric that has to gain.
    metrics : dict of str to MetricReplay
    statement : str or None
        Why there are no intervals, if there are none.
    overlap : ReplayOverlap
    policies : list of PolicyRecord
    sessions : SessionChanges
    baseline : str
    lists, queries, clusters : int
    clustered_by : str
    left_out : dict of str to int
        Lists that were not used, by reason.
    confidence : float
        Of one-sided bounds.
    notes : list of str
    """

    method: Literal["policy-aware", "re-ranking"]
    passed: bool
    reasons: list[str]
    primary: str
    metrics: dict[str, MetricReplay]
    statement: str | None
    overlap: ReplayOverlap
    policies: list[PolicyRecord]
    sessions: SessionChanges
    baseline: str
    lists: int
    queries: int
    clusters: int
    clustered_by: str
    left_out: dict[str, int]
    confidence: float
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; what is not finite becomes None."""
        return verdict_dict(self)

    def plot(self, ax: Axes | None = None) -> GateDisplay:
        """Draw the relative gain of every metric, its bound, and the limit."""
        return GateDisplay(self.metrics, self.passed, self.baseline, self.confidence).plot(ax)

    def __str__(self) -> str:
        return "\n".join([*self._verdict(), *self._table(), *self._evidence(), *self._sessions()])

    def _verdict(self) -> list[str]:
        verdict = "The gate passes" if self.passed else "The gate does not pass"
        aware = self.method == "policy-aware"
        method = self.method if aware else "plain re-ranking of shown lists"
        lines = [
            f"{verdict}: {method} over {self.lists:,} lists, against {self.baseline}",
            *(f"reason: {reason}" for reason in self.reasons),
            *(f"left out: {count:,} lists: {why}" for why, count in self.left_out.items()),
        ]
        return [*lines, ""]

    def _table(self) -> list[str]:
        wide = f"{2 * self.confidence - 1:.0%} interval"
        lines = [f"{'':10}  candidate  baseline     gain  {wide:>18}  relative  bound"]
        for name, metric in self.metrics.items():
            interval = "-" if metric.interval is None else _interval(metric.interval)
            lines.append(
                f"{name:10}  {metric.candidate:9.4f}  {metric.baseline:8.4f}  "
                f"{metric.gain:+7.4f}  {interval:>18}  {_share(metric.relative):>8}  "
                f"{_share(metric.relative_lower):>5}  {'ok' if metric.passed else 'fails'}"
            )
        return lines

    def _evidence(self) -> list[str]:
        overlap = self.overlap
        lines = [
            "",
            (
                f"rests on {overlap.effective_displays:,.0f} effective of {overlap.displays:,} "
                f"displays, {self.queries:,} queries, {self.clusters:,} clusters "
                f"({self.clustered_by}), {overlap.served_weights:,} different weights served"
            ),
        ]
        if overlap.certain is not None:
            lines.append(
                f"overlap: {overlap.certain:.0%} of {self.primary} is at ranks that no document "
                "never shown could take"
            )
        for each in self.policies:
            line = f"policy {each.policy}: {each.lists:,} lists, reward {each.reward:.4f} a list"
            if each.difference is not None and each.interval is not None:
                line += f", {each.difference:+.4f} {_interval(each.interval)} to {each.reference}"
            lines.append(line)
        return lines

    def _sessions(self) -> list[str]:
        s = self.sessions
        return [
            "",
            (
                f"sessions with a click, their lists reordered: {s.improved:,} improved, "
                f"{s.degraded:,} degraded, {s.unchanged:,} unchanged; paired test p = {s.p:.3g}"
            ),
            (
                f"mean rank of clicked documents: {s.mean_rank:.2f}, before "
                f"{s.mean_rank_before:.2f}; clicks over examination: {s.corrected_rank:.2f}, "
                f"before {s.corrected_rank_before:.2f}"
            ),
            *(f"note: {note}" for note in self.notes),
        ]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each metric: ``metric``, the fields of `GateMetric`, ``passed``."""
        return gate_frame(self.metrics)

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        title, *reasons = (line for line in self._verdict() if line)
        policies = [
            (p.policy, p.lists, p.reward, p.difference, interval(p.interval, "+.4f"))
            for p in self.policies
        ]
        names = ["policy", "lists", "reward a list", "difference", "interval"]
        lines = [line for line in (self._evidence()[1], *self._sessions()) if line]
        return Summary(
            title,
            [gate_table(self.metrics, f"{self.confidence:.0%} bound"), Table.of(names, policies)],
            [*reasons, *lines],
        )


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"
