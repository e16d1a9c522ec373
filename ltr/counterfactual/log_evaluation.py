"""One evaluation from logs: what all metrics and rankings share is computed once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError, NotIdentifiableError
from ..exposure.examination import Examination, assumed_examination, find_examination
from . import estimators as _estimators
from .clusters import Clusters, find_clusters
from .estimators import Contributions, Displays, Target, Value
from .logged_documents import LoggedDocuments, logged_documents
from .overlap import Overlap, effective_sample_size, find_overlap, missing_overlap
from .relevance_model import cross_fitted_relevance, rank_pools
from .report import Clipped, CounterfactualReport, Estimate, Gain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .metrics import LogMetric

    Floats = NDArray[np.float64]

CLIP = 0.01
PRODUCTION = "the production order"

MAX_REORDERED = 0.05
"""Share of executions whose order may differ from that by the documents' mean scores."""

_MIN_NOTED_SHARE = 0.0005

_CURVE_VARIANCE, _MAX_DIRECTIONS = 0.95, 4


class Options(NamedTuple):
    """Options of `evaluate_from_logs` that are used as they are."""

    pool: str
    clip: float
    clips: Sequence[float]
    confidence: float
    require_overlap: bool


@dataclass(frozen=True)
class LogEvaluation:
    """A log prepared for estimates of any metric and ranking."""

    pairs: TrainingPairs
    log: LoggedDocuments
    clusters: Clusters
    examination: Examination
    curve: Floats  # examination by position
    unidentified: str | None  # why the examination is only assumed, if it is
    propensity: Floats  # shape (m,)
    propensity_source: str
    options: Options

    @classmethod
    def prepare(
        cls,
        pairs: TrainingPairs,
        *,
        examination: Any = None,
        candidates: Any = None,
        propensity: ArrayLike | None = None,
        pool: str = "auto",
        clip: float = CLIP,
        clips: Sequence[float] = (),
        confidence: float = 0.90,
        cluster: str = "auto",
        require_overlap: bool = True,
    ) -> LogEvaluation:
        """Check everything that does not depend on the metric; see `evaluate_from_logs`."""
        options = Options(pool, clip, clips, confidence, require_overlap)
        _check(pairs, options)
        _check_pool(pool, candidates, propensity)
        if pool == "auto" and (candidates is not None or propensity is not None):
            options = options._replace(pool="query")
        used, unidentified = _examination(pairs, examination)
        log = logged_documents(pairs, candidates)
        return cls(
            pairs=pairs,
            log=log,
            clusters=find_clusters(pairs, cluster),
            examination=used,
            curve=used.filled_curve(),
            unidentified=unidentified,
            propensity=_propensity(log, used, propensity),
            propensity_source="estimated" if propensity is None else "given",
            options=options,
        )

    def report(
        self, scores: ArrayLike, baseline: ArrayLike | None, metric: LogMetric
    ) -> CounterfactualReport:
        """Return the estimates of a candidate and of a baseline, None for production."""
        reordered = self._reordered(scores, baseline)
        varying = reordered > MAX_REORDERED
        in_lists = self.options.pool == "execution" or (self.options.pool == "auto" and varying)

        def compared(prepared: LogEvaluation) -> _Compared:
            row_level = in_lists and varying
            return prepared._compare(
                scores, baseline, metric, in_lists=in_lists, row_level=row_level
            )

        found = compared(self)
        reason = self._reason_against(
            self._overlap(found.displays, found.target),
            self._overlap(found.displays, found.other),
            metric.k,
        )
        if varying and not in_lists:
            reason = _unknown_elsewhere(reordered)
        statement = self._statement(reason)
        identified = statement is None
        shifted = [compared(each) for each in self._with_shifted_curves()] if identified else []
        of_candidate, of_baseline = (
            _with_shifts(found.values(role), [each.values(role) for each in shifted])
            for role in ("of_candidate", "of_baseline")
        )
        estimating, displays, target = found.estimating, found.displays, found.target
        overlap, clip = self._overlap(displays, target), self.options.clip
        return CounterfactualReport(
            metric=str(metric),
            candidate=estimating.estimates(of_candidate, identified=identified),
            baseline=estimating.estimates(of_baseline, identified=identified),
            modelled=float(found.of_candidate.direct.mean()),
            baseline_name=PRODUCTION if baseline is None else "the baseline given",
            gain=estimating.gain(of_candidate, of_baseline, identified=identified),
            overlap=overlap,
            statement=statement,
            clipping=[estimating.clipped(target, each) for each in self.options.clips],
            clip=clip,
            effective_sample_size=effective_sample_size(displays, target, clip),
            displays=int((target.weight > 0)[displays.document].sum()),
            executions=self.pairs.n_executions,
            queries=len(self.log.executions_of_query),
            clusters=self.clusters.count,
            clustered_by=self.clusters.by,
            examination_source=self.examination.source,
            propensity_source=self.propensity_source,
            confidence=self.options.confidence,
            notes=[
                *self._notes(reason if identified else None, overlap.clipped),
                *([_reordered_note(reordered, in_lists=in_lists)] if reordered else []),
            ],
        )

    def _compare(
        self,
        scores: ArrayLike,
        baseline: ArrayLike | None,
        metric: LogMetric,
        *,
        in_lists: bool,
        row_level: bool,
    ) -> _Compared:
        displays = self._displays(metric, row_level=row_level)
        target = self._ranking(scores, "scores", metric, in_lists=in_lists)
        other = (
            _estimators.shown_target(self.log, self.pairs.position, metric, self.curve)
            if baseline is None
            else self._ranking(baseline, "baseline", metric, in_lists=in_lists)
        )
        pools = rank_pools(self.log, self.log.per_document("scores", scores), metric.k)
        model = cross_fitted_relevance(displays, pools, self.clusters.fold, self.options.clip)
        estimating = Estimating(displays, self.clusters, model, self.options.confidence)
        parts = (estimating.contributions(each, self.options.clip) for each in (target, other))
        return _Compared(displays, target, other, estimating, *parts)

    def _with_shifted_curves(self) -> Iterator[LogEvaluation]:
        """Yield evaluations by curves that are one standard error off, in a few directions."""
        covariance = self.examination.log_covariance
        if covariance is None:
            return
        for shift in curve_errors(covariance):
            used = self.examination.shifted(shift)
            propensity = self.propensity
            if self.propensity_source == "estimated":
                propensity = self.log.mean_over_executions(used.values)
            curve = used.filled_curve()
            yield replace(self, examination=used, curve=curve, propensity=propensity)

    def _reordered(self, *scores: ArrayLike | None) -> float:
        """Return in which share of the executions documents rank otherwise than by their means.

        More than 0 where scores of one (query, document) differ, as features of the user do.
        """
        if self.log.source is not None:
            return 0.0  # scores are of the candidates
        reordered = np.zeros(self.pairs.n_executions, dtype=bool)
        for name, each in zip(("scores", "baseline"), scores, strict=True):
            if each is None:
                continue
            mean = self.log.per_document(name, each)[self.log.documents.of_row]
            execution = self.pairs.execution_index
            order = np.lexsort((-mean, -self.log.checked(name, each), execution))
            rises = np.diff(mean[order]) > 1e-9 * np.abs(mean).max(initial=0.0)
            within = np.diff(execution[order]) == 0
            reordered[execution[order][1:][rises & within]] = True
        return float(reordered.mean())

    def _displays(self, metric: LogMetric, *, row_level: bool) -> Displays:
        return Displays(
            log=self.log,
            execution=self.pairs.execution_index,
            gain=metric.gain(self.pairs),
            examination=self.examination.values,
            propensity=self.propensity,
            frequency=self.log.mean_over_executions(self.examination.values),
            row_level=row_level,
        )

    def _ranking(
        self, scores: ArrayLike, name: str, metric: LogMetric, *, in_lists: bool
    ) -> Target:
        if in_lists:
            checked = self.log.checked(name, scores)
            return _estimators.reranked_target(
                self.log, checked, self.pairs.group, metric, self.curve
            )
        of_document = self.log.per_document(name, scores)
        return _estimators.ranked_target(self.log, of_document, metric, self.curve)

    def _overlap(self, displays: Displays, target: Target) -> Overlap:
        return find_overlap(displays, target, self.pairs.position, self.options.clip)

    def _reason_against(self, candidate: Overlap, baseline: Overlap, k: int) -> str | None:
        """Return why the log does not identify the values; None if it does."""
        by_features = self.examination.log_covariance is not None
        reason = missing_overlap(candidate, k, "the candidate", by_features=by_features)
        reason = reason or self.unidentified
        if reason is None and baseline.shown < 1:
            reason = missing_overlap(baseline, k, "the baseline")
        return reason

    def _statement(self, reason: str | None) -> str | None:
        """Return why there are no intervals; None if there are."""
        if self.clusters.count < 2:
            return "all executions are of one cluster, so their variance cannot be estimated"
        return reason if self.options.require_overlap else None

    def _notes(self, ignored: str | None, clipped: float) -> list[str]:
        """Return what the estimates depend on; `ignored` is a reason that was overruled."""
        notes = []
        if ignored:
            notes.append(f"intervals depend on the examination curve alone: {ignored}")
        if self.examination.log_covariance is not None:
            notes.append(
                "the examination curve was estimated with the help of features; intervals allow "
                "for its error, but not for relevance that features miss"
            )
        elif self.examination.source in ("estimated", "pairs"):
            notes.append("intervals take the examination curve as known, though it was estimated")
        if self.examination.source == "assumed":
            notes.append("examination is assumed to be 1 / (position + 1)")
        if clipped > _MIN_NOTED_SHARE:
            notes.append(
                f"{clipped:.1%} of the candidate's top has a propensity below the clip "
                f"{self.options.clip:g}; see how the estimates change with it"
            )
        return notes


@dataclass(frozen=True)
class Estimating:
    """What the estimates of all targets of one metric share."""

    displays: Displays
    clusters: Clusters
    model: Floats
    confidence: float

    def contributions(self, target: Target, clip: float) -> Contributions:
        """Return what each list contributes to the estimators of a target."""
        return _estimators.contributions(
            self.displays, target, self.model, self.clusters.fold, clip
        )

    def estimates(self, values: dict[str, Value], *, identified: bool) -> dict[str, Estimate]:
        """Return the estimates by name, with intervals where they are identified."""
        return {
            name: Estimate(each.value, *(self._interval(each) if identified else (None, None)))
            for name, each in values.items()
        }

    def gain(
        self, of_candidate: dict[str, Value], of_baseline: dict[str, Value], *, identified: bool
    ) -> Gain:
        """Return the difference between candidate and baseline, absolute and relative."""
        candidate, baseline = of_candidate["doubly_robust"], of_baseline["doubly_robust"]
        difference = candidate.minus(baseline)
        relative = difference.value / baseline.value if baseline.value > 0 else None
        if not identified:
            return Gain(difference.value, relative)
        error, interval = self._interval(difference)
        lower = None
        if relative is not None:
            # Linearised ratio: its influence is that of candidate - (1 + relative) * baseline.
            ratio = candidate.minus(baseline, 1 + relative).scaled(1 / baseline.value)
            lower = self._interval(ratio._replace(value=relative))[1][0]
        return Gain(difference.value, relative, error, interval, interval[0], lower)

    def clipped(self, target: Target, clip: float) -> Clipped:
        """Return the estimates with weights clipped at a bound."""
        estimates = _estimators.estimates(self.contributions(target, clip))
        return Clipped(
            clip=clip,
            **{name: each.value for name, each in estimates.items()},
            effective_sample_size=effective_sample_size(self.displays, target, clip),
        )

    def _interval(self, value: Value) -> tuple[float, tuple[float, float]]:
        return _estimators.interval(value, self.clusters, self.confidence)


@dataclass(frozen=True)
class _Compared:
    """A candidate and a baseline by one examination curve."""

    displays: Displays
    target: Target
    other: Target
    estimating: Estimating
    of_candidate: Contributions
    of_baseline: Contributions

    def values(self, role: str) -> dict[str, Value]:
        """Return the estimates of "of_candidate" or "of_baseline" by name."""
        return _estimators.estimates(getattr(self, role))


def _with_shifts(values: dict[str, Value], shifted: Sequence[dict[str, Value]]) -> dict[str, Value]:
    """Return the estimates with their changes by the curve's errors."""
    return {
        name: each._replace(
            shifts=np.array([other[name].value - each.value for other in shifted], dtype=np.float64)
        )
        for name, each in values.items()
    }


def curve_errors(covariance: Floats) -> Floats:
    """Return uncorrelated errors of a log curve, one standard error each, the largest first.

    As many as hold 95 % of the variance, at most four; the others are negligible. Shape
    (directions, positions).
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0.0), vectors.T[::-1]
    total = values.sum()
    if total <= 0:
        return np.zeros((0, len(covariance)))
    number = int(np.searchsorted(np.cumsum(values) / total, _CURVE_VARIANCE)) + 1
    number = min(number, _MAX_DIRECTIONS)
    scale = np.sqrt(values[:number] * total / values[:number].sum())
    return np.asarray(vectors[:number] * scale[:, None])


def _examination(pairs: TrainingPairs, given: Any) -> tuple[Examination, str | None]:
    """Return the examination of every row, and why it is only assumed, if it is."""
    try:
        return find_examination(pairs, given), None
    except NotIdentifiableError as error:
        cause = str(error).split(" Ways out:")[0].rstrip(".")
        return assumed_examination(pairs), (
            "the log does not identify the examination curve, and no document was shown where the "
            f"candidate would show it ({cause})"
        )


def _propensity(log: LoggedDocuments, used: Examination, given: ArrayLike | None) -> Floats:
    if given is None:
        return log.mean_over_executions(used.values)
    rho = log.per_document("propensity", given)
    bad = (rho < 0) | ((rho == 0) & (log.shown > 0))
    if bad.any():
        msg = (
            "propensity: expected numbers above 0 for documents that were shown and none below 0, "
            f"got {int(bad.sum())} others such as {rho[bad][0]}"
        )
        raise InvalidInputError(msg)
    return rho


def _check_pool(pool: str, candidates: Any, propensity: ArrayLike | None) -> None:
    if pool not in ("auto", "query", "execution"):
        msg = f"pool: expected 'auto', 'query' or 'execution', got {pool!r}"
        raise InvalidInputError(msg)
    for name, given in (("candidates", candidates), ("propensity", propensity)):
        if pool == "execution" and given is not None:
            msg = f"{name}: for pool='query' only; pool='execution' reorders what was shown"
            raise InvalidInputError(msg)


def _unknown_elsewhere(reordered: float) -> str:
    return (
        f"scores of one (query, document) differ between executions: in {reordered:.0%} of them "
        "the order is not that by the documents' means, and scores of documents that an execution "
        "did not show are unknown. With pool='execution' what each execution showed is reordered"
    )


def _reordered_note(reordered: float, *, in_lists: bool) -> str:
    how = (
        "the lists that were shown are reordered, each display weighted by its own examination"
        if in_lists
        else "documents are ranked by their mean scores"
    )
    return (
        f"scores of one (query, document) differ between executions, so that {reordered:.1%} of "
        f"the lists are ordered otherwise than by mean scores: {how}"
    )


def _check(pairs: Any, options: Options) -> None:
    if not isinstance(pairs, TrainingPairs):
        msg = f"pairs: expected TrainingPairs (see load_pairs), got {type(pairs).__name__}"
        raise InvalidInputError(msg)
    if not pairs.has_positions:
        msg = (
            "pairs: positions are needed to estimate from a log, and these pairs have none (judged "
            "lists?); rankloom.ltr.evaluate judges by grades"
        )
        raise InvalidInputError(msg)
    for value in (options.clip, *options.clips):
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not 0 <= value <= 1:
            msg = f"clip, clips: expected numbers from 0 to 1, got {value!r}"
            raise InvalidInputError(msg)
    confidence = options.confidence
    if not isinstance(confidence, float | np.floating) or not 0 < confidence < 1:
        msg = f"confidence: expected a number between 0 and 1, got {confidence!r}"
        raise InvalidInputError(msg)
