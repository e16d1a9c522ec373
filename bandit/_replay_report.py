"""What replay found, as plain values and as text."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .._gate import Required


@dataclass(frozen=True)
class MetricReplay:
    """One metric under the candidate's and the baseline's weights.

    Attributes
    ----------
    candidate, baseline, gain : float
    interval : tuple of float, or None
        Of the gain; its lower end is the one-sided bound. None where the log cannot tell it.
    relative, relative_lower : float or None
        Gain over the baseline's value, and its bound; None where that value is not above 0.
    decides : bool
        Whether this metric has to gain. Else it must not fall.
    limit : float
        What the bound must lie above: that of the gain where it decides, else that of the relative
        gain.
    """

    candidate: float
    baseline: float
    gain: float
    interval: tuple[float, float] | None
    relative: float | None
    relative_lower: float | None
    decides: bool
    limit: float

    @property
    def lower(self) -> float | None:
        """One-sided bound of the gain."""
        return None if self.interval is None else self.interval[0]

    @property
    def passed(self) -> bool:
        """Whether the bound lies above the limit."""
        return self._required.met

    @property
    def reason(self) -> str:
        """What is required and what there is."""
        return self._required.reason

    @property
    def _required(self) -> Required:
        bound = self.lower if self.decides else self.relative_lower
        return Required(bound, self.limit, relative=not self.decides)


@dataclass(frozen=True)
class ReplayOverlap:
    """How much of what the weights would show was shown.

    Attributes
    ----------
    certain, baseline_certain : float or None
        Share of the primary metric's discounts that stands at ranks which no document that was
        never shown could take. None without served weights.
    effective_displays : float
        Displays that the candidate's estimate rests on (Kish).
    displays : int
    served_weights : int
        Different sets of weights that were served.
    agreement : float or None
        Share of neighbours in the shown lists that stand in the order of the served weights.
    """

    certain: float | None
    baseline_certain: float | None
    effective_displays: float
    displays: int
    served_weights: int
    agreement: float | None


@dataclass(frozen=True)
class PolicyRecord:
    """What lists of one policy brought, without any model: users are assigned by a hash.

    Attributes
    ----------
    policy : str
    lists : int
    reward : float
        Mean sum of rewards of a list.
    clicks : float
        Mean number of documents with a positive reward.
    difference : float or None
        Of the reward, to that of the reference policy.
    interval : tuple of float, or None
    reference : str or None
    """

    policy: str
    lists: int
    reward: float
    clicks: float
    difference: float | None = None
    interval: tuple[float, float] | None = None
    reference: str | None = None


@dataclass(frozen=True)
class SessionChanges:
    """What reordering the shown lists does to the sessions with a click.

    Attributes
    ----------
    improved, degraded, unchanged : int
        Sessions by the sign of their difference: the sum over clicked documents of reward, over
        examination, times the change of 1 / log2(rank + 1). The counts favour the order that was
        shown, for people click what they see; the difference's mean does not.
    difference : float
        Its mean over sessions.
    p : float
        Two-sided, of the paired t-test that the mean is 0; users are the clusters.
    mean_rank, mean_rank_before : float
        Mean rank (1 is the top) of clicked documents. It favours the order that was shown.
    corrected_rank, corrected_rank_before : float
        The same with every click over its examination, which takes that out.
    """

    improved: int
    degraded: int
    unchanged: int
    difference: float
    p: float
    mean_rank: float
    mean_rank_before: float
    corrected_rank: float
    corrected_rank_before: float


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
        values: dict[str, Any] = _plain(asdict(self))
        for name, metric in self.metrics.items():
            values["metrics"][name]["passed"] = metric.passed
        return values

    def __str__(self) -> str:
        return "\n".join([*self._head(), *self._table(), *self._ground(), *self._sessions()])

    def _head(self) -> list[str]:
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

    def _ground(self) -> list[str]:
        found = self.overlap
        lines = [
            "",
            (
                f"rests on {found.effective_displays:,.0f} effective of {found.displays:,} "
                f"displays, {self.queries:,} queries, {self.clusters:,} clusters "
                f"({self.clustered_by}), {found.served_weights:,} different weights served"
            ),
        ]
        if found.certain is not None:
            lines.append(
                f"overlap: {found.certain:.0%} of {self.primary} stands at ranks that nothing "
                "unseen could take"
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


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
