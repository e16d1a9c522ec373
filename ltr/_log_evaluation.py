"""One evaluation from logs: what all metrics share is worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..datasets.training_pairs import TrainingPairs
from ..errors import InvalidInputError, NotIdentifiableError
from . import _estimators
from ._clusters import Clusters, find_clusters
from ._estimators import Contributions, Displays, Target, Value
from ._examination import Examination, find_examination
from ._logged import Documents, logged_documents
from ._overlap import Overlap, effective_sample_size, find_overlap, missing_overlap
from ._relevance_model import cross_fitted_relevance, rank_pools
from .counterfactual_report import Clipped, CounterfactualReport, Estimate, Gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ._log_metrics import LogMetric

    Floats = NDArray[np.float64]

CLIP = 0.01
PRODUCTION = "the production order"
_WORTH_A_NOTE = 0.0005


class Options(NamedTuple):
    """Options of `evaluate_from_logs` that are read as they are."""

    pool: str
    clip: float
    clips: Sequence[float]
    confidence: float
    require_overlap: bool


@dataclass(frozen=True)
class LogEvaluation:
    """A log made ready for estimates of any metric and ranking.

    Attributes
    ----------
    pairs : TrainingPairs
    documents : Documents
    clusters : Clusters
    seen : Examination
    curve : ndarray of float64
        Examination by position.
    unidentified : str or None
        Why the examination is but assumed, if it is.
    propensity : ndarray of float64, shape (d,)
    propensity_source : str
    options : Options
    """

    pairs: TrainingPairs
    documents: Documents
    clusters: Clusters
    seen: Examination
    curve: Floats
    unidentified: str | None
    propensity: Floats
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
        pool: str = "query",
        clip: float = CLIP,
        clips: Sequence[float] = (),
        confidence: float = 0.90,
        cluster: str = "auto",
        require_overlap: bool = True,
    ) -> LogEvaluation:
        """Check everything that does not depend on the metric; see `evaluate_from_logs`."""
        options = Options(pool, clip, clips, confidence, require_overlap)
        _check(pairs, options)
        if pool == "execution" and propensity is not None:
            msg = "propensity: goes with pool='query'; what each execution showed needs none"
            raise InvalidInputError(msg)
        seen, unidentified = _examination(pairs, examination)
        documents = _documents(pairs, candidates, pool)
        return cls(
            pairs=pairs,
            documents=documents,
            clusters=find_clusters(pairs, cluster),
            seen=seen,
            curve=seen.filled_curve(pairs.position),
            unidentified=unidentified,
            propensity=_propensity(documents, seen, propensity),
            propensity_source="estimated" if propensity is None else "given",
            options=options,
        )

    def report(
        self, scores: ArrayLike, baseline: ArrayLike | None, metric: LogMetric
    ) -> CounterfactualReport:
        """Return the estimates of a candidate and of a baseline, None for production."""
        displays = Displays(
            self.documents,
            self.pairs.execution_index,
            metric.gain(self.pairs),
            self.seen.values,
            self.propensity,
            self.documents.total(self.seen.values) / self.documents.traffic,
        )
        target = self._ranking(scores, "scores", metric)
        if baseline is None:
            other = _estimators.shown_target(
                self.documents, self.pairs.position, metric, self.curve
            )
        else:
            other = self._ranking(baseline, "baseline", metric)
        overlap = self._overlap(displays, target)
        statement, withheld = self._statement(overlap, self._overlap(displays, other), metric.k)
        clip = self.options.clip
        pools = rank_pools(self.documents, self.documents.per_document("scores", scores), metric.k)
        model = cross_fitted_relevance(displays, pools, self.clusters.fold, clip)
        estimating = Estimating(displays, self.clusters, model, self.options.confidence)
        mine, theirs = (estimating.contributions(each, clip) for each in (target, other))
        told = statement is None
        return CounterfactualReport(
            metric=str(metric),
            candidate=estimating.estimates(mine, told=told),
            baseline=estimating.estimates(theirs, told=told),
            modelled=float(mine.modelled.mean()),
            baseline_name=PRODUCTION if baseline is None else "the baseline given",
            gain=estimating.gain(mine, theirs, told=told),
            overlap=overlap,
            statement=statement,
            clipping=[estimating.clipped(target, each) for each in self.options.clips],
            clip=clip,
            effective_sample_size=effective_sample_size(displays, target, clip),
            displays=int((target.weight > 0)[self.documents.of_row].sum()),
            executions=self.pairs.n_executions,
            queries=len(self.documents.asked),
            clusters=self.clusters.count,
            clustered_by=self.clusters.by,
            examination_source=self.seen.source,
            propensity_source=self.propensity_source,
            confidence=self.options.confidence,
            notes=self._notes(withheld if told else None, overlap.clipped),
        )

    def _ranking(self, scores: ArrayLike, name: str, metric: LogMetric) -> Target:
        documents = self.documents
        if self.options.pool == "execution":
            checked = documents.checked(name, scores)
            return _estimators.reranked_target(
                documents, checked, self.pairs.group, metric, self.curve
            )
        return _estimators.ranked_target(
            documents, documents.per_document(name, scores), metric, self.curve
        )

    def _overlap(self, displays: Displays, target: Target) -> Overlap:
        return find_overlap(displays, target, self.pairs.position, self.options.clip)

    def _statement(self, mine: Overlap, theirs: Overlap, k: int) -> tuple[str | None, str | None]:
        """Return why there are no intervals, and why there would be none if overlap counted."""
        withheld = missing_overlap(mine, k, "the candidate") or self.unidentified
        if withheld is None and theirs.shown < 1:
            withheld = missing_overlap(theirs, k, "the baseline")
        if self.clusters.count < 2:
            alone = "all executions are of one cluster, so nothing tells how much they vary"
            return alone, withheld
        return (withheld if self.options.require_overlap else None), withheld

    def _notes(self, trusted: str | None, clipped: float) -> list[str]:
        notes = []
        if trusted:
            notes.append(f"intervals rest on the examination curve all the same: {trusted}")
        if self.seen.source in ("estimated", "pairs"):
            notes.append("intervals take the examination curve as known, though it was estimated")
        if self.seen.source == "assumed":
            notes.append("examination is assumed to be 1 / (position + 1)")
        if clipped > _WORTH_A_NOTE:
            notes.append(
                f"{clipped:.1%} of the candidate's top has a propensity below the clip "
                f"{self.options.clip:g}; see how the estimates move with it"
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
        return _estimators.contributions(
            self.displays, target, self.model, self.clusters.fold, clip
        )

    def estimates(self, found: Contributions, *, told: bool) -> dict[str, Estimate]:
        return {
            name: Estimate(value.value, *self._interval(value)) if told else Estimate(value.value)
            for name, value in _estimators.values(found).items()
        }

    def gain(self, mine: Contributions, theirs: Contributions, *, told: bool) -> Gain:
        candidate, baseline = (
            _estimators.values(found)["doubly_robust"] for found in (mine, theirs)
        )
        value = candidate.value - baseline.value
        relative = value / baseline.value if baseline.value > 0 else None
        if not told:
            return Gain(value, relative)
        error, interval = self._interval(Value(value, candidate.influence - baseline.influence))
        lower = None
        if relative is not None:
            # Linearised ratio: its influence is that of candidate - (1 + relative) * baseline.
            influence = candidate.influence - (1 + relative) * baseline.influence
            lower = self._interval(Value(relative, influence / baseline.value))[1][0]
        return Gain(value, relative, error, interval, interval[0], lower)

    def clipped(self, target: Target, clip: float) -> Clipped:
        found = _estimators.values(self.contributions(target, clip))
        return Clipped(
            clip=clip,
            **{name: each.value for name, each in found.items()},
            effective_sample_size=effective_sample_size(self.displays, target, clip),
        )

    def _interval(self, value: Value) -> tuple[float, tuple[float, float]]:
        return _estimators.interval(value, self.clusters, self.confidence)


def _examination(pairs: TrainingPairs, given: Any) -> tuple[Examination, str | None]:
    """Return the examination of every row, and why it is but assumed, if it is."""
    try:
        return find_examination(pairs, given), None
    except NotIdentifiableError as error:
        cause = str(error).split(" Ways out:")[0].rstrip(".")
        assumed = 1.0 / (pairs.position.astype(np.float64) + 1.0)
        return Examination(assumed, "assumed"), (
            f"the log cannot tell the examination curve, and nothing was ever shown where the "
            f"candidate would show it ({cause})"
        )


def _documents(pairs: TrainingPairs, candidates: Any, pool: str) -> Documents:
    if pool not in ("query", "execution"):
        msg = f"pool: expected 'query' or 'execution', got {pool!r}"
        raise InvalidInputError(msg)
    if pool == "execution" and candidates is not None:
        msg = "candidates: go with pool='query'; pool='execution' reorders what was shown"
        raise InvalidInputError(msg)
    return logged_documents(pairs, candidates)


def _propensity(documents: Documents, seen: Examination, given: ArrayLike | None) -> Floats:
    if given is None:
        return documents.total(seen.values) / documents.traffic
    rho = documents.per_document("propensity", given)
    bad = (rho < 0) | ((rho == 0) & (documents.shown > 0))
    if bad.any():
        msg = (
            "propensity: expected numbers above 0 for what was shown and none below 0, got "
            f"{int(bad.sum())} others such as {rho[bad][0]}"
        )
        raise InvalidInputError(msg)
    return rho


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
