"""The gate: whether a candidate may replace a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ..._shared.gate import GateMetric
from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError
from ..counterfactual.log_evaluation import LogEvaluation
from ..counterfactual.metrics import parse_log_metric
from ..metrics.bootstrap import paired_bootstrap
from ..metrics.ranking import parse_metric
from .gate_report import Gate
from .judged import DEFAULT_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from ...datasets.position_bias.estimator import PositionBias
    from ..counterfactual.metrics import LogMetric

    Floats = NDArray[np.float64]

LOG_METRICS = ("dcg@10", "dcg@5", "clicks@10")

_DRAWS = 10_000


class Ranker(Protocol):
    """Anything that scores pairs or a table of candidates, as `rankloom.ltr.Ranker` does."""

    def predict(self, X: Any, /) -> NDArray[np.float32]: ...  # noqa: D102


class _Estimates(NamedTuple):
    """Candidate, baseline, gain, lower, relative and relative lower of each metric.

    `statement` says why there are no bounds, if there are none.
    """

    metrics: Mapping[str, tuple[float, float, float, float | None, float | None, float | None]]
    baseline: str
    method: str
    statement: str | None = None
    notes: tuple[str, ...] = ()


def compare(
    candidate: Ranker | ArrayLike,
    baseline: Ranker | ArrayLike | str,
    pairs: TrainingPairs,
    *,
    metrics: Sequence[str] | None = None,
    tolerance: float = 0.01,
    confidence: float = 0.95,
    examination: ArrayLike | PositionBias | None = None,
    candidates: Any = None,
    propensity: ArrayLike | None = None,
    cluster: str = "auto",
    random_state: int | np.random.Generator | None = 0,
) -> Gate:
    """Decide whether a candidate may replace a baseline: better in one metric, no worse in others.

    The gate passes if the one-sided lower bound of the first metric's gain lies above 0, and that
    of every other metric's relative gain above -`tolerance`. On logs the metrics are doubly robust
    estimates (see `evaluate_from_logs`), and without enough overlap the gate does not pass. On
    judged pairs (positions -1) they are means over queries with the paired bootstrap.

    Parameters
    ----------
    candidate : Ranker, or array-like of shape (n,)
        A ranker, or its scores for the rows of pairs (of candidates where they are given).
    baseline : Ranker, array-like of shape (n,), or "production"
        "production" is what was shown, where it was shown; of judged pairs, the order of
        document_score.
    pairs : TrainingPairs
        None of its executions may lie in the candidate's training period.
    metrics : sequence of str, optional
        The first decides. By default dcg@10, dcg@5 and clicks@10 on logs; ndcg@10, mrr@10, map@10,
        p@10, r@10 and err@10 on judged pairs.
    tolerance : float
        Relative loss that the other metrics' bounds must exclude.
    confidence : float
        Of the one-sided bounds; above 0.5.
    examination, candidates, propensity, cluster
        For logs, as in `evaluate_from_logs`. Rankers score the candidates' rows, so that table
        needs their features, too.
    random_state : int, numpy Generator or None
        Of the bootstrap on judged pairs.

    Returns
    -------
    Gate

    Raises
    ------
    InvalidInputError
        If executions lie in the candidate's training period, or a parameter is wrong.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=2000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"))
    >>> gate = compare(-pairs.position, "production", pairs, tolerance=0.02)
    >>> gate.primary, gate.baseline
    ('DCG@10', 'the production order')
    """
    _check(pairs, baseline, tolerance, confidence)
    refuse_training_period(candidate, pairs)
    rows = pairs if candidates is None else candidates
    scores = _scores(candidate, rows)
    other = None if isinstance(baseline, str) else _scores(baseline, rows)
    if pairs.has_positions:
        judged_by = [parse_log_metric(text) for text in metrics or LOG_METRICS]
        prepared = LogEvaluation.prepare(
            pairs,
            examination=examination,
            candidates=candidates,
            propensity=propensity,
            cluster=cluster,
            confidence=2 * confidence - 1,
            clips=(),
        )
        estimates = _from_log(prepared, scores, other, judged_by)
    else:
        _refuse_log_options(examination, candidates, propensity)
        seed = int(np.random.default_rng(random_state).integers(2**31))
        names = metrics or DEFAULT_METRICS
        estimates = _from_grades(pairs, scores, other, names, confidence, seed)
    return _verdict(estimates, pairs, tolerance, confidence, _notes(candidate, pairs))


def refuse_training_period(candidate: Any, pairs: TrainingPairs) -> None:
    """Raise if an execution lies in the training period of a ranker, its ends included."""
    inside = executions_in_training_period(candidate, pairs)
    if not inside:
        return
    first, last = candidate.training_period_
    msg = (
        f"pairs: {inside:,} of {pairs.n_executions:,} executions lie in the candidate's training "
        f"period ({first} to {last}), so it was trained on them; use only those after {last}, with "
        "split_by_time or `rankloom compare --later`"
    )
    raise InvalidInputError(msg)


def executions_in_training_period(ranker: Any, pairs: TrainingPairs) -> int:
    """Return how many executions lie in a ranker's training period; 0 where times are unknown."""
    period = getattr(ranker, "training_period_", None)
    if period is None:
        return 0
    first, last = (np.datetime64(moment.rstrip("Z"), "us") for moment in period)
    return int(((pairs.time >= first) & (pairs.time <= last)).sum())


def executions_after_training(ranker: Any, pairs: TrainingPairs) -> TrainingPairs:
    """Return the executions after a ranker's training period; all where its times are unknown.

    Raises InvalidInputError if none is later.
    """
    period = getattr(ranker, "training_period_", None)
    if period is None or not pairs.has_times:
        return pairs
    later = pairs.time > np.datetime64(period[1].rstrip("Z"), "us")
    if not later.any():
        msg = f"pairs: no execution is later than the ranker's training, which ends at {period[1]}"
        raise InvalidInputError(msg)
    return pairs.take(later)


def _scores(ranker: Any, rows: Any) -> Any:
    return ranker.predict(rows) if hasattr(ranker, "predict") else ranker


def _from_log(
    prepared: LogEvaluation,
    scores: ArrayLike,
    other: ArrayLike | None,
    metrics: Sequence[LogMetric],
) -> _Estimates:
    reports = [prepared.report(scores, other, metric) for metric in metrics]
    return _Estimates(
        metrics={
            report.metric: (
                report.candidate["doubly_robust"].value,
                report.baseline["doubly_robust"].value,
                report.gain.value,
                report.gain.lower,
                report.gain.relative,
                report.gain.relative_lower,
            )
            for report in reports
        },
        baseline=reports[0].baseline_name,
        method="doubly robust estimates",
        statement=next((report.statement for report in reports if report.statement), None),
        notes=tuple(reports[0].notes),
    )


def _from_grades(
    pairs: TrainingPairs,
    scores: ArrayLike,
    other: ArrayLike | None,
    metrics: Sequence[str],
    confidence: float,
    seed: int,
) -> _Estimates:
    name = "the baseline given"
    if other is None:
        name, other = "the order of document_score", _production_scores(pairs)

    def bound(a: Floats, b: Floats) -> float:
        drawn = paired_bootstrap(a, b, _DRAWS, seed, 2 * confidence - 1, cluster=pairs.query_code)
        return drawn.interval[0]

    values = {}
    for metric in map(parse_metric, metrics):
        a, b = (metric(pairs.y, each, pairs.group) for each in (scores, other))
        candidate, baseline = _mean(a), _mean(b)
        relative, relative_lower = None, None
        if baseline > 0:
            # The linearised ratio varies as candidate - (1 + relative) * baseline does.
            relative = candidate / baseline - 1
            relative_lower = relative + bound(a, (1 + relative) * b) / baseline
        gain = candidate - baseline
        values[str(metric)] = (candidate, baseline, gain, bound(a, b), relative, relative_lower)
    return _Estimates(values, name, "means over judged queries with a positive grade")


def _mean(values: Floats) -> float:
    defined = values[np.isfinite(values)]
    if not len(defined):
        msg = "pairs: no query has a positive grade, so there is nothing to compare"
        raise InvalidInputError(msg)
    return float(defined.mean())


def _production_scores(pairs: TrainingPairs) -> Floats:
    missing = int((~np.isfinite(pairs.document_score)).sum())
    if missing:
        msg = (
            f"baseline: 'production' of judged pairs is the order of document_score, which "
            f"{missing:,} of {len(pairs):,} rows lack; give a Ranker or scores"
        )
        raise InvalidInputError(msg)
    return pairs.document_score


def _verdict(
    estimates: _Estimates,
    pairs: TrainingPairs,
    tolerance: float,
    confidence: float,
    notes: list[str],
) -> Gate:
    metrics = {
        name: GateMetric(*values, limit=-tolerance if number else 0.0, decides=number == 0)
        for number, (name, values) in enumerate(estimates.metrics.items())
    }
    failed = [f"{name}: {metric.reason}" for name, metric in metrics.items() if not metric.passed]
    reasons = [estimates.statement] if estimates.statement else failed
    return Gate(
        passed=not reasons,
        primary=next(iter(metrics)),
        metrics=metrics,
        reasons=reasons,
        baseline=estimates.baseline,
        executions=pairs.n_executions,
        method=estimates.method,
        confidence=confidence,
        notes=[*notes, *estimates.notes],
    )


def _notes(candidate: Any, pairs: TrainingPairs) -> list[str]:
    if not hasattr(candidate, "predict"):
        return [
            "scores were given: whether their ranker was trained on these executions is unknown"
        ]
    if pairs.has_positions and (candidate.training_period_ is None or not pairs.has_times):
        return [
            "times are unknown: whether the candidate was trained on these executions is unknown"
        ]
    return []


def _refuse_log_options(*options: Any) -> None:
    for name, value in zip(("examination", "candidates", "propensity"), options, strict=True):
        if value is not None:
            msg = f"{name}: is for logs, but these pairs are judged lists without positions"
            raise InvalidInputError(msg)


def _check(pairs: Any, baseline: Any, tolerance: Any, confidence: Any) -> None:
    if not isinstance(pairs, TrainingPairs):
        msg = f"pairs: expected TrainingPairs (see load_pairs), got {type(pairs).__name__}"
        raise InvalidInputError(msg)
    if isinstance(baseline, str) and baseline != "production":
        msg = f"baseline: expected a Ranker, scores or 'production', got {baseline!r}"
        raise InvalidInputError(msg)
    numbers = int | float | np.number
    if not isinstance(tolerance, numbers) or not 0 <= tolerance < 1:
        msg = f"tolerance: expected a number from 0 to below 1, got {tolerance!r}"
        raise InvalidInputError(msg)
    if not isinstance(confidence, numbers) or not 0.5 < confidence < 1:
        msg = f"confidence: expected a number above 0.5 and below 1, got {confidence!r}"
        raise InvalidInputError(msg)
