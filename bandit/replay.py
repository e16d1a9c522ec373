"""Replay: what other fusion weights would have been worth, told from the log; and the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import InvalidInputError
from ._channel_weights import checked_weights
from ._decay import as_datetime
from ._replay_estimates import Spread, Target, contributions, effective_displays
from ._replay_log import read_lists
from ._replay_metrics import parse_replay_metric
from ._replay_pools import Pools, highest_unseen
from ._replay_report import MetricReplay, ReplayOverlap, WeightsReplay
from ._replay_sides import policy_records, session_changes
from .identity import Identity
from .rewards import RewardTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ._replay_log import LoggedLists
    from ._replay_metrics import ReplayMetric
    from .fusion_bandit import FusionBandit
    from .weights import FusionWeights

    Floats = NDArray[np.float64]
    Weights = Mapping[str, float] | FusionWeights | FusionBandit

METRICS: Final = ("dcg@10", "dcg@5", "clicks@10")
LEAST_CERTAIN: Final = 0.5
"""Share of the metric that must stand where nothing unseen could, for intervals to be given."""
LEAST_AGREEMENT: Final = 0.9
LEAST_CLUSTERS: Final = 20
_SCORE_ROUNDING: Final = 1e-4
_SERVED: Final = "the lists as served"


def replay_weights(
    log: Any,
    candidate: Weights,
    *,
    baseline: Weights | str = "served",
    metrics: Sequence[str] = METRICS,
    examination: ArrayLike | None = None,
    rewards: Mapping[str, float] | None = None,
    retriever_id: str | None = None,
    later: bool = True,
    tolerance: float = 0.01,
    confidence: float = 0.95,
) -> WeightsReplay:
    """Estimate what other weights would have been worth, and say whether they may ship.

    The gate passes if the one-sided lower bound of the first metric's gain lies above 0, and that
    of every other metric's relative gain above -`tolerance`.

    Parameters
    ----------
    log : path, glob, table, list of dicts, or a list of paths
        Interactions with ``metadata.features[uri].score`` of every shown document and, for more
        than plain re-ranking, ``metadata.fusion``; see `Served.to_metadata` and `Fused.metadata`.
    candidate : FusionWeights, FusionBandit, or mapping of feature_uri to float
        Snapshots are judged at their mean, every segment at its own.
    baseline : "served", FusionWeights, FusionBandit, or mapping of feature_uri to float
        "served" is what was shown, experiments included.
    metrics : sequence of str
        ``dcg@K`` or ``clicks@K``; the first decides.
    examination : array-like, shape (positions,), optional
        Examination by position, the first 1; None: 1 / (position + 1).
    rewards : mapping of str to float, optional
        Interaction type -> reward, over the defaults; see `RewardTable`.
    retriever_id : str, optional
        Take rows of this retriever, and rows that name none; None: all.
    later : bool
        Leave out lists up to the newest evidence of a candidate that is a snapshot. With False
        they are used, and the gate does not pass where there are any: weights are flattered by the
        clicks they were learnt from.
    tolerance : float
        Relative loss that the other metrics' bounds must exclude.
    confidence : float
        Of one-sided bounds, above 0.5.

    Returns
    -------
    WeightsReplay

    Raises
    ------
    InvalidInputError
        If no list has scores of all its documents, none is later than the candidate's evidence, or
        a parameter is wrong.

    Notes
    -----
    A document of a query is worth r(d) when examined, whoever put it there (position-based model).
    With e_i(d) the examination of its position in list i and c_i(d) its reward there,

        V(v) = mean over lists of sum_d discount(rank of d under v) * sum_i c_i(d) / sum_i e_i(d).

    *Policy-aware*: where served weights were logged, d ranges over all documents that were shown
    for the query (and segment). Each set of weights that was served for the query is one logging
    policy, and sum_i e_i(d) / n is the document's examination under their mixture: the
    policy-aware propensity [1]_ with the balance heuristic over loggers [2]_. A document that one
    policy buried is thus known from the others, above all from ``explore_pct`` (weights uniform on
    the simplex) and ``control_pct`` (equal ones).

    What no policy ever showed remains unknown. But the served weights bound how high the candidate
    could rank it (a document that weights w left out scored no more under w than the last one
    shown), so it is known up to which rank the candidate's list is certain. Where less than half
    of the first metric stands at such ranks, where served weights never varied, where lists do not
    follow from the logged weights, or where there are fewer than 20 clusters, a statement stands
    instead of intervals, and the gate does not pass.

    *Re-ranking*: where served weights were not logged, d ranges over the documents of each list
    alone. That says what reordering the shown lists is worth; it is blind to what the candidate
    would have shown instead, so there are no intervals and nothing passes.

    Intervals are linearised: with m(d) the document's reward over its examination in the other
    lists, list i adds sum_d discount(d) m(d) and, for each display, discount / propensity *
    (c_i - e_i m). These are summed over clusters (user, else session, else execution); quantiles
    are Student's. Examination is taken as known. Candidate and baseline are estimated from the
    same lists, so the gain's error is a paired one.

    References
    ----------
    .. [1] H. Oosterhuis and M. de Rijke, "Policy-Aware Unbiased Learning to Rank for Top-k
       Rankings", SIGIR 2020.
    .. [2] A. Agarwal, S. Basu, T. Schnabel and T. Joachims, "Effective Evaluation Using Logged
       Bandit Feedback from Multiple Loggers", KDD 2017.

    Examples
    --------
    >>> rows = []
    >>> for n in range(60):
    ...     served = {"bm25": 0.8, "clip": 0.2} if n % 2 else {"bm25": 0.4, "clip": 0.6}
    ...     for position, document in enumerate("ab" if n % 2 else "ba"):
    ...         score = {"bm25": {"score": document == "a"}, "clip": {"score": document == "b"}}
    ...         score = {uri: {"score": float(s["score"])} for uri, s in score.items()}
    ...         types = ["impression", "click"] if document == "a" and n % 3 else ["impression"]
    ...         rows.append({"execution_id": f"e{n}", "user_id": f"u{n}", "feature_id": document,
    ...                      "position": position, "interaction_type": types,
    ...                      "query_snapshot": {"query": "q"}, "result_set_size": 2,
    ...                      "timestamp": "2026-01-31",
    ...                      "metadata": {"features": score, "fusion": {"weights": served}}})
    >>> found = replay_weights(rows, {"bm25": 0.9, "clip": 0.1}, tolerance=0.2)
    >>> found.method, found.passed, found.overlap.certain
    ('policy-aware', True, 1.0)
    """
    named = [parse_replay_metric(text) for text in metrics]
    _check_options(named, tolerance, confidence)
    mine, theirs = _frozen(candidate), None if _is_served(baseline) else _frozen(baseline)
    segment_by = _segment_by(mine, theirs)
    arms = _arms(mine, theirs)
    lists = read_lists(
        log, arms, rewards=rewards, segment_by=segment_by, retriever_id=retriever_id
    )
    lists, known = _later(lists, mine, later=later)
    aware = bool(lists.weighted.any())
    if aware:
        lists = lists.keep(lists.weighted, "no served weights logged")
    curve = Identity.of(RewardTable(), half_life=1.0, examination=examination)  # type: ignore[arg-type]
    replay = _Replay.of(lists, curve, mine, theirs, aware=aware)
    return replay.report(named, tolerance, confidence, known, given=examination is not None)


@dataclass(frozen=True)
class _Replay:
    """Everything that all metrics share."""

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
        cls, log: LoggedLists, curve: Identity, mine: Any, theirs: Any, *, aware: bool
    ) -> _Replay:
        pools = Pools.of(log, curve.examine(log.position), together=aware)
        segment = pools.per_pool(log.segment)
        first = _by_segment(mine, log)[segment]
        second = None if theirs is None else _by_segment(theirs, log)[segment]
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
        return MetricReplay(
            a.value, b.value, difference, interval, relative, lower, decides, limit
        )

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

    def _certain(
        self, metric: ReplayMetric, weights: Floats, ranks: NDArray[np.int64]
    ) -> float:
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


def _later(log: LoggedLists, candidate: Any, *, later: bool) -> tuple[LoggedLists, int]:
    """Leave out the candidate's own evidence, or count it."""
    time = None if isinstance(candidate, Mapping) else candidate.time
    known = 0 if time is None else int((log.time <= time).sum())
    if not known or not later:
        return log, known
    if known == log.executions:
        msg = (
            f"log: no list is later than the candidate's evidence, which ends at "
            f"{as_datetime(candidate.time):%Y-%m-%d %H:%M:%S}. Give later interactions, or look at "
            "these all the same with later=False (`rankloom replay --all`)"
        )
        raise InvalidInputError(msg)
    return log.keep(log.time > candidate.time, "up to the candidate's evidence"), 0


def _is_served(baseline: Any) -> bool:
    if isinstance(baseline, str) and baseline != "served":
        msg = f"baseline: expected 'served' or weights, got {baseline!r}"
        raise InvalidInputError(msg)
    return isinstance(baseline, str)


def _frozen(weights: Any) -> Any:
    """Return a mapping or a snapshot."""
    if isinstance(weights, Mapping):
        return checked_weights(weights, list(weights), "candidate")
    found = weights.snapshot() if hasattr(weights, "snapshot") else weights
    if not hasattr(found, "feature_uris") or not hasattr(found, "segments"):
        got = type(weights).__name__
        msg = f"candidate, baseline: expected weights by feature_uri or FusionWeights, got {got}"
        raise InvalidInputError(msg)
    return found


def _arms(*sides: Any) -> tuple[str, ...]:
    known = [tuple(each if isinstance(each, Mapping) else each.feature_uris) for each in sides if each]
    if len({frozenset(arms) for arms in known}) > 1:
        msg = f"baseline: expected weights of {sorted(known[0])}, got {sorted(known[1])}"
        raise InvalidInputError(msg)
    return known[0]


def _segment_by(*sides: Any) -> tuple[str, ...]:
    known = {each.segment_by for each in sides if each and not isinstance(each, Mapping)} - {()}
    if len(known) > 1:
        msg = f"baseline: its segments differ from the candidate's: {sorted(known)}"
        raise InvalidInputError(msg)
    return next(iter(known), ())


def _by_segment(weights: Any, log: LoggedLists) -> Floats:
    """Return weights by segment, scaled to the sum 1; the last row is for lists without one."""
    if isinstance(weights, Mapping):
        rows = [weights] * (len(log.segments) + 1)
    else:
        own = log.segments if weights.segment_by else [None] * len(log.segments)
        rows = [*(weights.mean(segment=each) for each in own), weights.mean()]
    table = np.array([[row[arm] for arm in log.arms] for row in rows], np.float64)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _check_options(metrics: list[ReplayMetric], tolerance: float, confidence: float) -> None:
    if not metrics:
        msg = "metrics: got none; the first one decides"
        raise InvalidInputError(msg)
    if not 0.5 < confidence < 1:
        msg = f"confidence: expected a number between 0.5 and 1, got {confidence!r}"
        raise InvalidInputError(msg)
    if not tolerance >= 0:
        msg = f"tolerance: expected a number from 0 on, got {tolerance!r}"
        raise InvalidInputError(msg)
