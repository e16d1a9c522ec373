"""The verdict on weights: metrics with their intervals, what they rest on, the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ._replay_candidates import by_segment
from ._replay_estimates import Spread, Target, contributions, effective_displays
from ._replay_pools import Pools, highest_unseen
from ._replay_report import MetricReplay, ReplayOverlap, WeightsReplay
from ._replay_sides import policy_records, session_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ._replay_log import LoggedLists
    from ._replay_metrics import ReplayMetric
    from .identity import Identity
    from .weights import FusionWeights

    Floats = NDArray[np.float64]

LEAST_CERTAIN: Final = 0.5
"""Share of the metric that must stand where nothing unseen could, for intervals to be given."""

LEAST_AGREEMENT: Final = 0.9
"""Share of neighbours that must stand in the order of the served weights."""

LEAST_CLUSTERS: Final = 20

_SCORE_ROUNDING: Final = 1e-4
_SERVED: Final = "the lists as served"


@dataclass(frozen=True)
class Judgement:
    """A log made ready for every metric of a candidate and a baseline.

    Attributes
    ----------
    log : LoggedLists
    curve : Identity
        Whose examination is used.
    pools : Pools
    mine, theirs : ndarray of float64, shape (p, arms), or None
        Weights of every pool; theirs None: what was served.
    ranks, other_ranks : ndarray of int64, shape (m,), or None
        Under these.
    aware : bool
        Whether served weights are known.
    """

    log: LoggedLists
    curve: Identity
    pools: Pools
    mine: Floats
    theirs: Floats | None
    ranks: NDArray[np.int64]
    other_ranks: NDArray[np.int64] | None
    aware: bool

    @classmethod
    def of(
        cls,
        log: LoggedLists,
        curve: Identity,
        mine: Mapping[str, float] | FusionWeights,
        theirs: Mapping[str, float] | FusionWeights | None,
        *,
        aware: bool,
    ) -> Judgement:
        """Pool and rank the documents."""
        pools = Pools.of(log, curve.examine(log.position), together=aware)
        segment = pools.per_pool(log.segment)
        first = by_segment(mine, log)[segment]
        second = None if theirs is None else by_segment(theirs, log)[segment]
        ranks = pools.ranks(pools.scores(first))
        other = None if second is None else pools.ranks(pools.scores(second))
        return cls(log, curve, pools, first, second, ranks, other, aware)

    def report(
        self,
        metrics: list[ReplayMetric],
        tolerance: float,
        confidence: float,
        known: int,
        *,
        given: bool,
    ) -> WeightsReplay:
        """Return everything; `known` counts the candidate's own evidence among the lists."""
        spread = Spread(self.log.cluster)
        overlap = self._overlap(metrics[0])
        statement = self._statement(overlap, spread.count)
        reach = None if statement else spread.reach(confidence)
        found = {
            str(metric): self._metric(metric, spread, reach, tolerance if place else None)
            for place, metric in enumerate(metrics)
        }
        failed = [f"{name}: {metric.reason}" for name, metric in found.items() if not metric.passed]
        reasons = [statement] if statement else failed
        if known:
            reasons.append(f"{known:,} lists are part of the evidence of the candidate itself")
        own = self.mine[self.pools.of_list]
        before = None if self.theirs is None else self.theirs[self.pools.of_list]
        return WeightsReplay(
            method="policy-aware" if self.aware else "re-ranking",
            passed=not reasons,
            reasons=reasons,
            primary=str(metrics[0]),
            metrics=found,
            statement=statement,
            overlap=overlap,
            policies=policy_records(self.log, spread.reach(confidence)),
            sessions=session_changes(self.log, self.pools.examination, own, before),
            baseline=_SERVED if self.theirs is None else "the baseline's weights",
            lists=self.log.executions,
            queries=len(np.unique(self.log.query)),
            clusters=spread.count,
            clustered_by=self.log.clustered_by,
            left_out=self.log.left_out,
            confidence=confidence,
            notes=self._notes(overlap, given=given),
        )

    def _metric(
        self, metric: ReplayMetric, spread: Spread, reach: float | None, tolerance: float | None
    ) -> MetricReplay:
        gain = metric.gain(self.log)
        a, b = (
            contributions(self.pools, self.log.execution, gain, target)
            for target in (self._target(metric), self._other(metric))
        )
        difference = a.value - b.value
        relative = difference / b.value if b.value > 0 else None
        interval = lower = None
        if reach is not None:
            error = spread.error(a.influence - b.influence)
            interval = (difference - reach * error, difference + reach * error)
            if relative is not None:
                # The linearised ratio varies as candidate - (1 + relative) * baseline does.
                error = spread.error(a.influence - (1.0 + relative) * b.influence)
                lower = relative - reach * error / b.value
        limit = 0.0 if tolerance is None else -tolerance
        decides = tolerance is None
        return MetricReplay(a.value, b.value, difference, interval, relative, lower, decides, limit)

    def _target(self, metric: ReplayMetric) -> Target:
        return Target(metric.discount(self.ranks, self.curve.examine(self.ranks)))

    def _other(self, metric: ReplayMetric) -> Target:
        if self.other_ranks is not None:
            return Target(metric.discount(self.other_ranks, self.curve.examine(self.other_ranks)))
        shown = metric.discount(self.log.position, self.pools.examination)
        return Target(self.pools.mean_of_displays(shown), shown)

    def _overlap(self, metric: ReplayMetric) -> ReplayOverlap:
        certain = baseline = agreement = None
        served = 0
        if self.aware:
            certain = self._certain(metric, self.mine, self.ranks)
            baseline = 1.0
            if self.theirs is not None and self.other_ranks is not None:
                baseline = self._certain(metric, self.theirs, self.other_ranks)
            served = len(np.unique(self.log.weights.round(6), axis=0))
            agreement = _agreement(self.log)
        effective = effective_displays(self.pools, self._target(metric))
        displays = len(self.log.execution)
        return ReplayOverlap(certain, baseline, effective, displays, served, agreement)

    def _certain(self, metric: ReplayMetric, weights: Floats, ranks: NDArray[np.int64]) -> float:
        unseen = highest_unseen(self.log, self.pools, weights)
        discount = metric.discount(ranks, self.curve.examine(ranks))
        sure = self.pools.scores(weights) >= unseen[self.pools.pool] - _SCORE_ROUNDING
        lists = self.pools.lists[self.pools.pool]
        return float((discount * sure * lists).sum() / (discount * lists).sum())

    def _statement(self, overlap: ReplayOverlap, clusters: int) -> str | None:
        """Return why there are no intervals."""
        if overlap.certain is None or overlap.agreement is None:
            return (
                "served weights were not logged, so this is plain re-ranking of shown lists; log "
                "metadata.fusion, as `Served.to_metadata` writes it"
            )
        if overlap.served_weights < 2:
            return (
                "all lists were drawn up with the same weights, so nothing tells what others would "
                "have shown; serve drawn weights, or set explore_pct"
            )
        if overlap.agreement < LEAST_AGREEMENT:
            return (
                f"only {overlap.agreement:.0%} of neighbours stand in the order of the served "
                "weights and logged scores: something behind the fusion reorders the lists, and "
                "would reorder the candidate's too"
            )
        certain = min(overlap.certain, overlap.baseline_certain or 0.0)
        if certain < LEAST_CERTAIN:
            return (
                f"only {certain:.0%} of the metric stands at ranks that no unseen document could "
                "take: the served weights were too far from these; raise explore_pct, or roll out "
                "in steps"
            )
        if clusters < LEAST_CLUSTERS:
            return f"{clusters} clusters are too few to tell how much they vary"
        return None

    def _notes(self, overlap: ReplayOverlap, *, given: bool) -> list[str]:
        notes = [] if given else ["examination is assumed to be 1 / (position + 1)"]
        alone = int((self.pools.lists == 1).sum())
        if self.aware and alone:
            share = alone / self.log.executions
            notes.append(f"{share:.0%} of the lists are their query's only one: they are reordered")
        if overlap.certain is not None and overlap.certain < 1:
            notes.append(
                "intervals do not cover what documents that were never shown would change at the "
                f"other {1 - overlap.certain:.0%} of the metric"
            )
        return notes


def _agreement(log: LoggedLists) -> float:
    fused = (log.x * log.weights[log.execution]).sum(axis=1)
    neighbours = log.execution[1:] == log.execution[:-1]
    if not neighbours.any():
        return 1.0
    falls = fused[:-1] >= fused[1:] - _SCORE_ROUNDING
    return float(falls[neighbours].mean())
