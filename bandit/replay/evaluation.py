"""The evaluation of a candidate and a baseline: metrics, intervals, overlap, and the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.clustered import ClusteredErrors
from .candidates import by_list
from .estimates import RankDiscounts, contributions, effective_displays
from .policy_records import policy_records
from .pools import Pools, max_unshown_score
from .report import MetricReplay, ReplayOverlap, WeightsReplay
from .session_changes import session_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..base.identity import Identity
    from ..serving.fusion_weights import FusionWeights
    from .logged_lists import LoggedLists
    from .metrics import ReplayMetric

    Floats = NDArray[np.float64]

MIN_CERTAIN: Final = 0.5
"""Share of the metric at ranks that no document never shown could take, for intervals."""

MIN_AGREEMENT: Final = 0.9
"""Share of neighbours that must be in the order of the served weights."""

MIN_CLUSTERS: Final = 20

_SCORE_ROUNDING: Final = 1e-4
_SERVED: Final = "the lists as served"


class WeightedRanking(NamedTuple):
    """Weights of every pool, shape (p, arms), and the ranks of its documents, shape (m,)."""

    weights: Floats
    ranks: NDArray[np.int64]

    @classmethod
    def of(
        cls, weights: Mapping[str, float] | FusionWeights, log: LoggedLists, pools: Pools
    ) -> WeightedRanking:
        """Rank the documents of every pool by the weights of its segment and query."""
        of_pool = by_list(weights, log, pools.per_pool(log.segment), pools.per_pool(log.query))
        return cls(of_pool, pools.ranks(pools.scores(of_pool)))


@dataclass(frozen=True)
class ReplayEvaluation:
    """A log made ready for every metric of a candidate and a baseline."""

    log: LoggedLists
    curve: Identity  # whose examination is used
    pools: Pools
    candidate: WeightedRanking
    baseline: WeightedRanking | None  # None: what was served
    policy_aware: bool  # whether served weights are known
    own_lists: int  # lists that are part of the candidate's own evidence

    @classmethod
    def of(
        cls,
        log: LoggedLists,
        curve: Identity,
        candidate: Mapping[str, float] | FusionWeights,
        baseline: Mapping[str, float] | FusionWeights | None,
        *,
        policy_aware: bool,
        own_lists: int,
    ) -> ReplayEvaluation:
        """Pool and rank the documents."""
        pools = Pools.of(log, curve.examine(log.position), by_query=policy_aware)
        first = WeightedRanking.of(candidate, log, pools)
        second = None if baseline is None else WeightedRanking.of(baseline, log, pools)
        return cls(log, curve, pools, first, second, policy_aware, own_lists)

    def report(
        self,
        metrics: list[ReplayMetric],
        tolerance: float,
        confidence: float,
        *,
        assumed_curve: bool,
    ) -> WeightsReplay:
        """Return everything; `assumed_curve`: whether the examination is the default one."""
        errors = ClusteredErrors(self.log.cluster)
        overlap = self._overlap(metrics[0])
        statement = self._statement(overlap, errors.count)
        t_quantile = errors.t_quantile(confidence)
        replays = {
            str(metric): self._metric(
                metric, errors, None if statement else t_quantile, -tolerance if place else None
            )
            for place, metric in enumerate(metrics)
        }
        reasons = self._reasons(statement, replays)
        of_list = self.pools.of_list
        before = None if self.baseline is None else self.baseline.weights[of_list]
        return WeightsReplay(
            method="policy-aware" if self.policy_aware else "re-ranking",
            passed=not reasons,
            reasons=reasons,
            primary=str(metrics[0]),
            metrics=replays,
            statement=statement,
            overlap=overlap,
            policies=policy_records(self.log, t_quantile),
            sessions=session_changes(
                self.log, self.pools.examination, self.candidate.weights[of_list], before
            ),
            baseline=_SERVED if self.baseline is None else "the baseline's weights",
            lists=self.log.executions,
            queries=len(np.unique(self.log.query)),
            clusters=errors.count,
            clustered_by=self.log.clustered_by,
            left_out=self.log.left_out,
            confidence=confidence,
            notes=self._notes(overlap, assumed_curve=assumed_curve),
        )

    def _reasons(self, statement: str | None, metrics: dict[str, MetricReplay]) -> list[str]:
        failed = [f"{name}: {each.reason}" for name, each in metrics.items() if not each.passed]
        reasons = [statement] if statement else failed
        if self.own_lists:
            own = f"{self.own_lists:,} lists are part of the evidence of the candidate itself"
            reasons.append(own)
        return reasons

    def _metric(
        self,
        metric: ReplayMetric,
        errors: ClusteredErrors,
        t_quantile: float | None,
        limit: float | None,
    ) -> MetricReplay:
        """Return a metric; `limit` is that of the relative gain, None for the one that decides."""
        gain = metric.gain(self.log)
        a, b = (
            contributions(self.pools, self.log.execution, gain, discounts)
            for discounts in (
                self._discounts(metric, self.candidate),
                self._baseline_discounts(metric),
            )
        )
        difference = a.value - b.value
        relative = difference / b.value if b.value > 0 else None
        interval = lower = None
        if t_quantile is not None:
            reach = t_quantile * errors.standard_error(a.influence - b.influence)
            interval = (difference - reach, difference + reach)
            if relative is not None:
                # The linearised ratio varies as candidate - (1 + relative) * baseline does.
                error = errors.standard_error(a.influence - (1.0 + relative) * b.influence)
                lower = relative - t_quantile * error / b.value
        return MetricReplay(
            a.value,
            b.value,
            difference,
            None if interval is None else interval[0],
            relative,
            lower,
            limit=0.0 if limit is None else limit,
            decides=limit is None,
            interval=interval,
        )

    def _discounts(self, metric: ReplayMetric, ranking: WeightedRanking) -> RankDiscounts:
        return RankDiscounts(metric.discount(ranking.ranks, self.curve.examine(ranking.ranks)))

    def _baseline_discounts(self, metric: ReplayMetric) -> RankDiscounts:
        if self.baseline is not None:
            return self._discounts(metric, self.baseline)
        shown = metric.discount(self.log.position, self.pools.examination)
        return RankDiscounts(self.pools.mean_of_displays(shown), shown)

    def _overlap(self, metric: ReplayMetric) -> ReplayOverlap:
        certain = baseline = agreement = None
        served = 0
        if self.policy_aware:
            certain = self._certain(metric, self.candidate)
            baseline = 1.0 if self.baseline is None else self._certain(metric, self.baseline)
            served = len(np.unique(self.log.weights.round(6), axis=0))
            agreement = _agreement(self.log)
        effective = effective_displays(self.pools, self._discounts(metric, self.candidate))
        displays = len(self.log.execution)
        return ReplayOverlap(certain, baseline, effective, displays, served, agreement)

    def _certain(self, metric: ReplayMetric, ranking: WeightedRanking) -> float:
        bound = max_unshown_score(self.log, self.pools, ranking.weights)
        discount = self._discounts(metric, ranking).document
        scores = self.pools.scores(ranking.weights)
        certain = scores >= bound[self.pools.pool] - _SCORE_ROUNDING
        lists = self.pools.lists[self.pools.pool]
        return float((discount * certain * lists).sum() / (discount * lists).sum())

    def _statement(self, overlap: ReplayOverlap, clusters: int) -> str | None:
        """Return why there are no intervals."""
        if overlap.certain is None or overlap.agreement is None:
            return (
                "served weights were not logged, so this is plain re-ranking of shown lists; log "
                "metadata.fusion, as `Served.to_metadata` writes it"
            )
        if overlap.served_weights < 2:
            return (
                "all lists were drawn up with the same weights, so the log does not say what "
                "others would have shown; serve drawn weights, or set explore_pct"
            )
        if overlap.agreement < MIN_AGREEMENT:
            return (
                f"only {overlap.agreement:.0%} of neighbours are in the order of the served "
                "weights and logged scores: something behind the fusion reorders the lists, and "
                "would reorder the candidate's too"
            )
        certain = min(overlap.certain, overlap.baseline_certain or 0.0)
        if certain < MIN_CERTAIN:
            return (
                f"only {certain:.0%} of the metric is at ranks that no document never shown could "
                "take: the served weights were too far from these; raise explore_pct, or roll out "
                "in steps"
            )
        if clusters < MIN_CLUSTERS:
            return f"{clusters} clusters are too few to estimate how much they vary"
        return None

    def _notes(self, overlap: ReplayOverlap, *, assumed_curve: bool) -> list[str]:
        notes = ["examination is assumed to be 1 / (position + 1)"] if assumed_curve else []
        alone = int((self.pools.lists == 1).sum())
        if self.policy_aware and alone:
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
