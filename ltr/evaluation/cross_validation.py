"""Cross-validation of a ranker by the debiased criterion."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError
from ..held_out import fitted_copy
from ..metrics.bootstrap import paired_bootstrap
from .cross_validation_report import CrossValidation, FoldResult
from .debiased_score import ExecutionValues, criterion_name
from .folds import ASSUMED_NOTE, SET_ASIDE_NOTE, Fold, TestedValues, folds_of
from .judged import baseline_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def cross_validate(
    ranker: Any,
    pairs: TrainingPairs,
    *,
    cv: Any = 5,
    confidence: float = 0.95,
    n: int = 2000,
    random_state: int | np.random.Generator | None = 0,
) -> CrossValidation:
    """Score a ranker on executions that it did not learn from, fold by fold.

    A copy of the ranker is fitted on the training executions of each fold and scored, as by
    `Ranker.score`, on its test, whose clicks are corrected for position by a curve that is
    estimated on the training executions alone. The score over all folds is that of all tested
    executions together; so is the difference from the order that production gave them.

    Parameters
    ----------
    ranker : Ranker
        Its parameters are used; it is left as it is. With its `examination`, every fold uses that
        curve, and nothing is estimated for the score.
    pairs : TrainingPairs
    cv : int, splitter, or iterable of (train, test)
        A number of folds without common queries (`QueryKFold`), `TimeSeriesQuerySplit`, any object
        with ``split(pairs)``, or arrays of executions. A splitter of scikit-learn that knows
        nothing of queries trains on the queries that it tests, whose documents the ranker then
        knows.
    confidence : float
        Of the intervals.
    n : int
        Bootstrap draws, over distinct queries.
    random_state : int, numpy Generator or None
        Of the bootstrap.

    Returns
    -------
    CrossValidation

    Raises
    ------
    InvalidInputError
        If a fold trains on what it tests, has no positive grade to test, or a parameter is wrong.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> from rankloom.ltr import Ranker
    >>> documents = simulate_catalogue(n_queries=50, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=1000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"), builtin_features=())
    >>> ranker = Ranker("position", n_jobs=1, n_estimators=10, examination=[1, 0.6, 0.4, 0.3])
    >>> result = cross_validate(ranker, pairs, cv=2)
    >>> len(result.folds), result.baseline_name, result.difference > 0
    (2, 'the production order', True)
    """
    if not isinstance(pairs, TrainingPairs):
        msg = f"pairs: expected TrainingPairs (see load_pairs), got {type(pairs).__name__}"
        raise InvalidInputError(msg)
    seed = int(np.random.default_rng(random_state).integers(2**31))
    statistics = Statistics(confidence, n, seed)
    scores = np.full(len(pairs), np.nan)
    results, tested, sources = [], [], set()
    for fold in folds_of(pairs, cv, getattr(ranker, "examination", None)):
        values, seconds = _fit_and_score(ranker, fold, scores)
        results.append(_fold_result(fold, values, statistics, seconds))
        tested.append(values)
        sources.add(fold.source)
    if not results:
        msg = f"cv: {cv!r} makes no fold"
        raise InvalidInputError(msg)
    return CrossValidation(
        criterion=criterion_name(pairs, _settings_of(ranker)["k"]),
        folds=tuple(results),
        **statistics.of(joined(tested))._asdict(),
        baseline_name=baseline_scores(pairs)[0],
        confidence=confidence,
        scores=scores,
        notes=_notes(pairs, sources),
    )


class Summary(NamedTuple):
    """The criterion over some executions; see `CrossValidation` for each."""

    score: float
    score_interval: tuple[float, float]
    baseline: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True)
class Statistics:
    """Means and their intervals, clustered by query, with the same draws each time."""

    confidence: float
    n: int
    seed: int

    def of(self, values: TestedValues) -> Summary:
        """Return the criterion, the baseline's, and their difference."""
        score = values.ranker.mean()
        own = self._paired(values, np.zeros(len(values.query)))
        if values.baseline is None:
            return Summary(score, own.interval, None, None, None, None)
        paired = self._paired(values, values.baseline)
        baseline = ExecutionValues(values.baseline, values.ranker.weight).mean()
        return Summary(score, own.interval, baseline, paired.difference, paired.interval, paired.p)

    def _paired(self, values: TestedValues, others: Floats) -> Any:
        return paired_bootstrap(
            values.ranker.value,
            others,
            self.n,
            self.seed,
            self.confidence,
            weight=values.ranker.weight,
            cluster=values.query,
        )


def joined(tested: Sequence[TestedValues]) -> TestedValues:
    """Return the values of several folds as those of one."""
    baselines = [values.baseline for values in tested if values.baseline is not None]
    return TestedValues(
        ExecutionValues(
            np.concatenate([values.ranker.value for values in tested]),
            np.concatenate([values.ranker.weight for values in tested]),
        ),
        np.concatenate(baselines) if len(baselines) == len(tested) else None,
        np.concatenate([values.query for values in tested]),
    )


def _settings_of(ranker: Any) -> dict[str, Any]:
    """Return the ranker's parameters that the criterion depends on."""
    return {
        "clip": getattr(ranker, "clip", 0.05),
        "k": getattr(ranker, "truncation_level", 10),
    }


def _fit_and_score(ranker: Any, fold: Fold, scores: Floats) -> tuple[TestedValues, float]:
    """Return the values of a fold and the seconds of its fit; write the scores of tested rows."""
    start = time.perf_counter()
    copy = fitted_copy(ranker, fold.training())
    seconds = time.perf_counter() - start
    test = fold.testing()
    predicted = copy.predict(test)
    is_tested = np.zeros(fold.pairs.n_executions, dtype=bool)
    is_tested[fold.test] = True  # ascending and distinct, as the rows of `test` are
    scores[is_tested[fold.pairs.execution_index]] = predicted
    return fold.values(test, predicted, **_settings_of(ranker)), seconds


def _fold_result(
    fold: Fold, values: TestedValues, statistics: Statistics, seconds: float
) -> FoldResult:
    summary = statistics.of(values)
    return FoldResult(
        executions_trained=len(fold.train),
        executions_tested=len(fold.test),
        queries_tested=len(np.unique(values.query)),
        score=summary.score,
        baseline=summary.baseline,
        difference=summary.difference,
        interval=summary.interval,
        examination_source=fold.source,
        seconds=seconds,
    )


def _notes(pairs: TrainingPairs, sources: set[str | None]) -> list[str]:
    notes = [SET_ASIDE_NOTE] if pairs.examination is not None else []
    return notes + [ASSUMED_NOTE] * ("assumed" in sources)
