"""LightGBM with the ranker's settings, for the several models that one fit may need."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError, RankloomError
from ._training import TrainingData, can_split, dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Objective = Callable[[Floats, Any], tuple[Floats, Floats]]

LAMBDARANK_ONLY = frozenset(
    {"label_gain", "lambdarank_truncation_level", "lambdarank_norm", "sigmoid"}
)

LEAST_CURVATURE = 1e-6
"""Added to second derivatives: LightGBM divides by their sums."""


@dataclass(frozen=True)
class Trainer:
    """Trains models over the features of some pairs.

    Attributes
    ----------
    params : dict
        LightGBM's, under their main names, for lambdarank.
    names, categorical : sequence of str
        Real feature names, and which of them are categorical.
    """

    params: Mapping[str, Any]
    names: Sequence[str]
    categorical: Sequence[str]

    def setting(self, **changes: Any) -> Trainer:
        """Return a trainer with other parameters."""
        return replace(self, params={**self.params, **changes})

    def default(self, **values: Any) -> Trainer:
        """Return a trainer with parameters that hold where none were given."""
        return replace(self, params={**values, **self.params})

    def capped(self, rounds: int) -> Trainer:
        """Return a trainer of at most so many rounds."""
        return self.setting(num_iterations=min(rounds, int(self.params["num_iterations"])))

    def dataset(self, data: TrainingData) -> lightgbm.Dataset:
        """Return the arrays as a LightGBM dataset under neutral feature names."""
        return dataset(data, self.names, self.categorical)

    def rank(self, data: TrainingData) -> lightgbm.Booster:
        """Train lambdarank on (soft) labels."""
        import lightgbm

        params = {**self.params, "objective": "lambdarank", "label_gain": data.label_gain}
        with refusals():
            return lightgbm.train(params, self.dataset(data))

    def regress(
        self, X: NDArray[np.float32], y: Floats, weight: Floats | None = None
    ) -> lightgbm.Booster:
        """Train a regression with squared error."""
        return self.under("regression", X, y, weight)

    def under(
        self,
        objective: str | Objective,
        X: NDArray[np.float32],
        y: Floats | None = None,
        weight: Floats | None = None,
    ) -> lightgbm.Booster:
        """Train under another objective, or one of our own; its raw scores start at 0."""
        import lightgbm

        params = {name: value for name, value in self.params.items() if name not in LAMBDARANK_ONLY}
        params["metric"] = "None"
        labels = np.zeros(len(X)) if y is None else y
        one_list = np.array([len(X)])  # these objectives know no lists
        train_set = self.dataset(TrainingData(X, labels, group=one_list, weight=weight))
        with refusals():
            if callable(objective) and not can_split(train_set, params):
                objective = "regression"  # of zeros: every score is 0
            return lightgbm.train({**params, "objective": objective}, train_set)

    def predict(self, booster: lightgbm.Booster, X: NDArray[np.float32]) -> Floats:
        """Return raw scores."""
        threads = self.params["num_threads"]
        scores = booster.predict(X, raw_score=True, num_threads=threads)
        return np.asarray(scores, dtype=np.float64)


@contextmanager
def refusals() -> Iterator[None]:
    """Raise what LightGBM objects to as an error of the caller's."""
    import lightgbm

    try:
        yield
    except RankloomError:
        raise
    except (lightgbm.basic.LightGBMError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"LightGBM refuses to train: {reason}; check params and the pairs"
        raise InvalidInputError(msg) from error
