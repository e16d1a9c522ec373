"""The objective of a search: the debiased criterion over folds that no trial learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from ...errors import InvalidInputError
from ..evaluation.cross_validation import joined
from ..evaluation.folds import folds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..evaluation.folds import Fold, TestedValues
    from ..ranker import Ranker

    Report = Callable[[float, int], None]
    """Takes the criterion over the folds so far and their number; raises to end the trial."""


def _nothing(_score: float, _folds: int) -> None:
    pass


@dataclass(frozen=True)
class FoldObjective:
    """Fits rankers on the training executions of each fold and scores them on its test.

    `ranker`: whose parameters the criterion uses. `folds`: with curves that are estimated once.
    """

    ranker: Ranker
    folds: tuple[Fold, ...]

    @classmethod
    def prepare(cls, ranker: Ranker, pairs: TrainingPairs, cv: Any) -> Self:
        """Split the pairs and estimate the curve of each fold; see `folds_of`."""
        quiet: Any = clone(ranker)
        quiet.set_params(progress=False)
        folds = tuple(folds_of(pairs, cv, ranker.examination))
        if not folds:
            msg = f"cv: {cv!r} makes no fold"
            raise InvalidInputError(msg)
        return cls(quiet, folds)

    def values(self, parameters: Mapping[str, Any], report: Report = _nothing) -> TestedValues:
        """Return the values of all tested executions.

        `parameters`: of the ranker, where they differ from its own.
        """
        tested: list[TestedValues] = []
        for number, fold in enumerate(self.folds, 1):
            ranker: Any = clone(self.ranker)
            ranker.set_params(**parameters).fit(fold.training())
            test = fold.testing()
            found = fold.values(
                test, ranker.predict(test), clip=self.ranker.clip, k=self.ranker.truncation_level
            )
            tested.append(found)
            report(joined(tested).ranker.mean(), number)
        return joined(tested)
