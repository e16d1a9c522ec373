"""The search for a ranker's parameters by the debiased criterion."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...datasets.pairs.time_series_query_split import TimeSeriesQuerySplit
from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError
from ..boosting.progress import progress_bar
from ..evaluation.cross_validation import Statistics
from ..evaluation.debiased_score import criterion_name
from ..evaluation.folds import (
    ASSUMED_NOTE,
    SET_ASIDE_NOTE,
    TestedValues,
    examination_of_test,
    tested_values,
)
from ..ranker import Ranker
from .fold_objective import FoldObjective
from .search_space import checked_space, ranker_parameters
from .study import identity_of, open_study, quiet_optuna, require_optuna
from .tuning import Gain, Tuning

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from optuna.distributions import BaseDistribution

    from ..boosting.progress import Progress
    from .fold_objective import Report

SELECTED_NOTE = (
    "the gain on the folds is too high: the best trial was chosen by it; holdout= takes later "
    "pairs that are scored once, at the end"
)

_DRAWS = 2_000


def tune(
    pairs: TrainingPairs,
    *,
    n_trials: int = 50,
    timeout: float | None = None,
    ranker: Ranker | None = None,
    space: Mapping[str, BaseDistribution] | None = None,
    cv: Any = None,
    holdout: TrainingPairs | None = None,
    storage: str | None = None,
    study_name: str = "rankloom",
    seed: int = 0,
    confidence: float = 0.95,
    progress: Progress = "auto",
) -> Tuning:
    """Search the parameters of a ranker that do best on held-out executions.

    Trials are proposed by optuna's tree-structured Parzen estimator [1]_, and scored fold by fold
    as by `cross_validate`: each click of the tested executions is corrected for position by a curve
    that is estimated on the fold's training executions, once for all trials. A trial that is below
    the median of earlier ones after a fold is pruned there. The ranker that is given, with its
    parameters as they are, is scored on the same folds.

    Parameters
    ----------
    pairs : TrainingPairs
        All that the search reads: leave out the test period.
    n_trials : int
        Of the study, those of earlier runs in `storage` included.
    timeout : float, optional
        Seconds after which no further trial is begun.
    ranker : Ranker, optional
        Whose parameters are searched; by default ``Ranker()``. What `space` does not name stays.
    space : dict of str to optuna distribution, optional
        Parameters of `Ranker`, or LightGBM's; by default trees' number, size, step, rows of a leaf,
        L2 and share of features, and the priors of the mode. `clip` and `truncation_level` cannot
        be searched, as the criterion depends on them.
    cv : int, splitter, or iterable of (train, test), optional
        As for `cross_validate`; by default ``TimeSeriesQuerySplit(3, disjoint_queries=True,
        test_fraction=0.2)``: tests are later than what is trained on, and of other queries. That
        favours what holds for queries that were never seen; where most searches repeat,
        ``TimeSeriesQuerySplit(3, test_fraction=0.2)`` tests later searches of the same queries.
    holdout : TrainingPairs, optional
        Pairs on which the best ranker and the given one, both fitted on all of `pairs`, are
        compared at the end; nothing else depends on them. Of the kind that `cv` tests: parameters
        that gain on queries never seen may lose on those that were trained on.
    storage : str, optional
        URL such as ``sqlite:///study.db``, where trials are stored. A search that is called again
        with the same arguments continues there.
    study_name : str
        Of the study in `storage`.
    seed : int
        Of the proposals.
    confidence : float
        Of the intervals.
    progress : bool or "auto"
        Whether to show a progress bar over trials; "auto" shows it on a terminal only.

    Returns
    -------
    Tuning

    Raises
    ------
    InvalidInputError
        If optuna is not installed (extra ``tune``), or a parameter is wrong.
    StateMismatchError
        If the stored study has another search space, other pairs, folds or parameters.
    StoreError
        If the storage cannot be opened.

    References
    ----------
    .. [1] J. Bergstra, R. Bardenet, Y. Bengio and B. Kegl, "Algorithms for Hyper-Parameter
       Optimization", NeurIPS 2011; T. Akiba, S. Sano, T. Yanase, T. Ohta and M. Koyama, "Optuna: A
       Next-generation Hyperparameter Optimization Framework", KDD 2019.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=50, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=1000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"), builtin_features=())
    >>> ranker = Ranker("position", n_jobs=1, n_estimators=5, examination=[1, 0.6, 0.4, 0.3])
    >>> result = tune(pairs, n_trials=2, ranker=ranker, cv=2)
    >>> result.folds_gain.best >= result.folds_gain.default, len(result.history)
    (True, 2)
    >>> tuned = result.ranker().fit(pairs)
    """
    require_optuna()
    base = Ranker() if ranker is None else ranker
    _check(pairs, base, n_trials, timeout, holdout)
    cv = _default_cv() if cv is None else cv
    searched = checked_space(space, base)
    identity = identity_of(base, pairs, searched, cv)
    with quiet_optuna(), open_study(storage, study_name, identity, seed) as study:
        objective = FoldObjective.prepare(base, pairs, cv)
        search = _Search(base, objective, searched, objective.values({}))
        search.run(study, n_trials, timeout, progress)
        return search.result(study, pairs, holdout, confidence)


def _default_cv() -> TimeSeriesQuerySplit:
    return TimeSeriesQuerySplit(3, disjoint_queries=True, test_fraction=0.2)


@dataclass
class _Search:
    """Trials of a study over folds, beside the defaults, and the values of the best one so far."""

    base: Ranker
    objective: FoldObjective
    space: Mapping[str, BaseDistribution]
    defaults: TestedValues
    values_of: dict[int, TestedValues] = field(default_factory=dict)  # of the best trial alone

    def run(
        self, study: optuna.Study, n_trials: int, timeout: float | None, progress: Progress
    ) -> None:
        """Run what is left of the trials."""
        end = np.inf if timeout is None else time.monotonic() + timeout
        with progress_bar(progress, "Searching parameters", n_trials) as show:
            show(done := len(_finished(study)))
            while done < n_trials and time.monotonic() < end:
                self._run_one(study, study.ask(dict(self.space)))
                show(done := len(_finished(study)))

    def _run_one(self, study: optuna.Study, trial: optuna.Trial) -> None:
        from optuna import TrialPruned
        from optuna.trial import TrialState

        parameters = ranker_parameters(self.objective.ranker, trial.params)
        try:
            tested = self.objective.values(parameters, _pruning(trial))
        except TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
            return
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        score = tested.ranker.mean()
        if score > max((_value(each) for each in _completed(study)), default=-np.inf):
            self.values_of = {trial.number: tested}
        study.tell(trial, score)

    def result(
        self,
        study: optuna.Study,
        pairs: TrainingPairs,
        holdout: TrainingPairs | None,
        confidence: float,
    ) -> Tuning:
        """Return the best parameters, and what they gain on the folds and on the holdout."""
        statistics = Statistics(confidence, _DRAWS, 0)
        parameters, best = self._best(study)
        on_holdout = None
        if holdout is not None:
            on_holdout = _holdout_gain(self.base, parameters, pairs, holdout, statistics)
        notes = [] if pairs.examination is None else [SET_ASIDE_NOTE]
        notes += [ASSUMED_NOTE] * any(fold.source == "assumed" for fold in self.objective.folds)
        notes += [SELECTED_NOTE] * (holdout is None)
        return Tuning(
            best_params=parameters,
            criterion=criterion_name(pairs, self.base.truncation_level),
            folds_gain=_gain(best, self.defaults, statistics),
            holdout_gain=on_holdout,
            history=_history(study, self.space),
            study_name=study.study_name,
            confidence=confidence,
            base=self.base,
            notes=notes,
        )

    def _best(self, study: optuna.Study) -> tuple[dict[str, Any], TestedValues]:
        """Return the parameters of the best trial and its values; none if the defaults are best."""
        best = max(_completed(study), key=_value, default=None)
        if best is None or _value(best) <= self.defaults.ranker.mean():
            return {}, self.defaults
        parameters = ranker_parameters(self.objective.ranker, best.params)
        if best.number not in self.values_of:  # it is one of an earlier run
            self.values_of = {best.number: self.objective.values(parameters)}
        return parameters, self.values_of[best.number]


def _finished(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _completed(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _value(trial: optuna.trial.FrozenTrial) -> float:
    return -np.inf if trial.value is None else trial.value


def _pruning(trial: optuna.Trial) -> Report:
    """Return what ends a trial that falls behind after a fold."""
    from optuna import TrialPruned

    def report(score: float, folds: int) -> None:
        trial.report(score, folds)
        if trial.should_prune():
            raise TrialPruned

    return report


def _gain(best: TestedValues, default: TestedValues, statistics: Statistics) -> Gain:
    paired = statistics.of(best._replace(baseline=default.ranker.value))
    assert paired.baseline is not None  # noqa: S101 - a baseline was given
    assert paired.difference is not None  # noqa: S101
    assert paired.interval is not None  # noqa: S101
    assert paired.p is not None  # noqa: S101
    return Gain(
        best=paired.score,
        default=paired.baseline,
        difference=paired.difference,
        interval=paired.interval,
        p=paired.p,
        executions=len(best.query),
        queries=len(np.unique(best.query)),
    )


def _holdout_gain(
    base: Ranker,
    parameters: Mapping[str, Any],
    pairs: TrainingPairs,
    holdout: TrainingPairs,
    statistics: Statistics,
) -> Gain:
    """Fit the defaults and the best parameters on all pairs; compare them on the holdout."""
    from sklearn.base import clone

    train, test = replace(pairs, examination=None), replace(holdout, examination=None)
    examination, _ = examination_of_test(train, test, base.examination)
    values = []
    for changes in (parameters, {}):
        copy: Any = clone(base)
        ranker: Ranker = copy.set_params(**changes).fit(train)
        scores = ranker.predict(test)
        values.append(
            tested_values(test, scores, examination, clip=base.clip, k=base.truncation_level)
        )
    return _gain(values[0], values[1], statistics)


def _history(study: optuna.Study, space: Mapping[str, BaseDistribution]) -> pl.DataFrame:
    rows = [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "score": trial.value,
            "folds": len(trial.intermediate_values),
            "seconds": trial.duration.total_seconds(),
            **{name: trial.params.get(name) for name in space},
        }
        for trial in _finished(study)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _check(pairs: Any, ranker: Any, n_trials: Any, timeout: Any, holdout: Any) -> None:
    for name, value in (("pairs", pairs), ("holdout", holdout)):
        if not isinstance(value, TrainingPairs) and not (name == "holdout" and value is None):
            msg = f"{name}: expected TrainingPairs (see load_pairs), got {type(value).__name__}"
            raise InvalidInputError(msg)
    if not isinstance(ranker, Ranker):
        msg = f"ranker: expected a Ranker, got {type(ranker).__name__}"
        raise InvalidInputError(msg)
    if ranker.early_stopping_rounds is not None:
        msg = "ranker: early_stopping_rounds needs validation pairs, which the folds do not have"
        raise InvalidInputError(msg)
    checked_number("n_trials", n_trials, 1, whole=True)
    if timeout is not None:
        checked_number("timeout", timeout, 0)
    if holdout is not None:
        common = holdout.execution_id.is_in(pairs.execution_id.implode()).sum()
        if common:
            msg = f"holdout: {common:,} of its executions are among the pairs; split them first"
            raise InvalidInputError(msg)
        if not len(holdout) or holdout.y.max() <= 0:
            msg = "holdout: no execution has a positive grade, so nothing could be compared there"
            raise InvalidInputError(msg)
