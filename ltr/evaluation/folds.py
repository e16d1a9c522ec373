"""Folds of a cross-validation: which executions each trains on and tests, and the test's curve.

The examination of tested rows is that of a curve which was estimated on the training executions:
one that was estimated on the tested clicks would explain a part of their noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...datasets.pairs.query_k_fold import QueryKFold
from ...datasets.pairs.selection import selected_executions
from ...errors import InvalidInputError
from ..exposure.examination import find_validation_examination
from .debiased_score import ExecutionValues, execution_values
from .judged import baseline_scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..exposure.examination import Given

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

ASSUMED_NOTE = (
    "the training executions of some folds do not identify an examination curve (neither swaps nor "
    "features do): clicks are weighted as by 1 / (position + 1); Ranker(examination=...) takes "
    "another curve"
)

SET_ASIDE_NOTE = (
    "pairs.examination was set aside, as its curve may come from the tested executions; a curve "
    "that is known from elsewhere goes to Ranker(examination=...)"
)


class TestedValues(NamedTuple):
    """The criterion's values of one fold's tested executions.

    Attributes
    ----------
    ranker : ExecutionValues
    baseline : ndarray of float64, shape (e,), or None
        Values of the baseline by the same weights; None where there is no baseline.
    query : ndarray of int32, shape (e,)
    """

    ranker: ExecutionValues
    baseline: Floats | None
    query: NDArray[np.int32]


@dataclass(frozen=True)
class Fold:
    """Executions to train on and to test on, and the examination of the tested rows.

    `examination`, shape (rows tested,): None for judged pairs. `source`: where it comes from.
    """

    pairs: TrainingPairs
    train: Numbers
    test: Numbers
    examination: Floats | None
    source: str | None

    def training(self) -> TrainingPairs:
        """Return the pairs to train on, without judgements of queries that are only tested."""
        pairs = self.pairs.take(self.train)
        judgments = pairs.judgments
        if judgments is None:
            return pairs
        tested = np.setdiff1d(self.pairs.query_code[self.test], pairs.query_code)
        kept = ~np.isin(judgments.query_code, tested)
        return replace(pairs, judgments=judgments.take(kept) if kept.any() else None)

    def testing(self) -> TrainingPairs:
        """Return the pairs to test on."""
        return self.pairs.take(self.test)

    def values(self, test: TrainingPairs, scores: Any, *, clip: float, k: int) -> TestedValues:
        """Return the criterion of scores of `test`, and of the baseline."""
        return tested_values(test, scores, self.examination, clip=clip, k=k)


def tested_values(
    test: TrainingPairs, scores: Any, examination: Floats | None, *, clip: float, k: int
) -> TestedValues:
    """Return the criterion's values of scores, and those of the baseline by the same weights."""
    own = execution_values(test, scores, examination, clip=clip, k=k)
    _, other = baseline_scores(test)
    baseline = None
    if other is not None:
        baseline = execution_values(test, other, examination, clip=clip, k=k).value
    return TestedValues(own, baseline, test.query_code)


def examination_of_test(
    train: TrainingPairs, test: TrainingPairs, given: Given
) -> tuple[Floats | None, str | None]:
    """Return the examination of tested rows by the training pairs' curve, and where it is from.

    None of judged pairs. `given`: as the ranker's parameter. Both without values of their own.
    """
    if not test.has_positions:
        return None, None
    found = find_validation_examination(test, given, train, None)
    return found.values, found.source


def folds_of(pairs: TrainingPairs, cv: Any, examination: Given) -> Iterator[Fold]:
    """Yield the folds that `cv` makes of pairs whose own examination is set aside.

    `cv`: number of folds, a splitter, or pairs of arrays of executions. `examination`: as the
    ranker's parameter; None to estimate a curve on the training executions.

    Raises InvalidInputError if a fold trains on what it tests, or has nothing to test.
    """
    plain = replace(pairs, examination=None)
    for number, (train, test) in enumerate(_splits(plain, cv), 1):
        if np.intersect1d(train, test).size or len(np.unique(test)) < len(test):
            msg = f"cv: fold {number} trains on executions that it tests, or tests some twice"
            raise InvalidInputError(msg)
        tested = plain.take(test)
        if not len(tested) or tested.y.max() <= 0:
            msg = (
                f"cv: no execution that fold {number} tests has a positive grade, so nothing can "
                "be scored there; use fewer folds, or load more data"
            )
            raise InvalidInputError(msg)
        yield Fold(plain, train, test, *examination_of_test(plain.take(train), tested, examination))


def _splits(pairs: TrainingPairs, cv: Any) -> Iterator[tuple[Numbers, Numbers]]:
    is_number = isinstance(cv, int | np.integer) and not isinstance(cv, bool)
    split = getattr(QueryKFold(int(cv)) if is_number else cv, "split", None)
    folds: Any = cv if split is None or isinstance(cv, str) else split(pairs)
    if isinstance(cv, str) or not isinstance(folds, Iterable):
        msg = (
            "cv: expected a number of folds, a splitter such as QueryKFold or "
            f"TimeSeriesQuerySplit, or pairs of arrays of executions, got {cv!r}"
        )
        raise InvalidInputError(msg)
    n = pairs.n_executions
    for train, test in folds:
        yield np.sort(selected_executions(train, n)), np.sort(selected_executions(test, n))
