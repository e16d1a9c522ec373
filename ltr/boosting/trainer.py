"""LightGBM with one set of parameters, for the several models that one fit may need."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.threads import load_lightgbm
from ...errors import InvalidInputError, RankloomError
from .dataset import TrainingData, can_split, lightgbm_dataset
from .progress import progress_callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import lightgbm
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Objective = Callable[[Floats, Any], tuple[Floats, Floats]]

LAMBDARANK_ONLY = frozenset(
    {"label_gain", "lambdarank_truncation_level", "lambdarank_norm", "sigmoid"}
)

MIN_CURVATURE = 1e-6
"""Added to second derivatives: LightGBM divides by their sums."""


@dataclass(frozen=True)
class Trainer:
    """Trains models on the features of some pairs."""

    params: Mapping[str, Any]  # LightGBM's, under their main names, for lambdarank
    names: Sequence[str]  # real feature names, and which of them are categorical
    categorical: Sequence[str]

    def with_params(self, **changes: Any) -> Trainer:
        """Return a trainer with other parameters."""
        return replace(self, params={**self.params, **changes})

    def with_defaults(self, **values: Any) -> Trainer:
        """Return a trainer with parameters that hold where none were given."""
        return replace(self, params={**values, **self.params})

    def with_rounds_up_to(self, rounds: int) -> Trainer:
        """Return a trainer of at most so many rounds."""
        return self.with_params(num_iterations=min(rounds, int(self.params["num_iterations"])))

    def dataset(self, data: TrainingData) -> lightgbm.Dataset:
        """Return the arrays as a LightGBM dataset under neutral feature names."""
        return lightgbm_dataset(data, self.names, self.categorical, self.params)

    def rank(self, data: TrainingData) -> lightgbm.Booster:
        """Train lambdarank on (soft) labels."""
        load_lightgbm()
        import lightgbm

        params = {**self.params, "objective": "lambdarank", "label_gain": data.label_gain}
        with refusals(), self._callbacks() as callbacks:
            return lightgbm.train(params, self.dataset(data), callbacks=callbacks)

    def regress(
        self, X: NDArray[np.float32], y: Floats, weight: Floats | None = None
    ) -> lightgbm.Booster:
        """Train a regression with squared error."""
        return self.with_objective("regression", X, y, weight)

    def regress_until(
        self,
        X: NDArray[np.float32],
        y: Floats,
        held_X: NDArray[np.float32],
        held_y: Floats,
        callback: Callable[[Any], None],
    ) -> lightgbm.Booster:
        """Train a regression that a callback may stop by the squared error of held-out rows.

        Shapes: `X` (n, n_features), `y` (n,); `held_X` (h, n_features), `held_y` (h,).
        """
        load_lightgbm()
        import lightgbm

        params = self._regression_params("l2")
        train_set = self._one_list(X, y, None, params)
        held = lightgbm.Dataset(held_X, held_y, reference=train_set)
        with refusals(), self._callbacks() as callbacks:
            return lightgbm.train(
                {**params, "objective": "regression"},
                train_set,
                valid_sets=[held],
                callbacks=[callback, *callbacks],
            )

    def with_objective(
        self,
        objective: str | Objective,
        X: NDArray[np.float32],
        y: Floats | None = None,
        weight: Floats | None = None,
    ) -> lightgbm.Booster:
        """Train with an objective other than lambdarank.

        `objective`: LightGBM's, or a custom one: ``objective(scores, dataset)`` returns gradient
        and hessian. Raw scores of a custom one start at 0. Shapes: `X` (n, n_features); `y`,
        `weight` (n,).
        """
        load_lightgbm()
        import lightgbm

        params = self._regression_params("None")
        train_set = self._one_list(X, np.zeros(len(X)) if y is None else y, weight, params)
        with refusals(), self._callbacks() as callbacks:
            if callable(objective) and not can_split(train_set):
                objective = "regression"  # of zeros: every score is 0
            params = {**params, "objective": objective}
            return lightgbm.train(params, train_set, callbacks=callbacks)

    def _callbacks(self) -> AbstractContextManager[list[Callable[[Any], None]]]:
        rounds = int(self.params["num_iterations"])
        return progress_callback("auto", rounds, "Growing trees of a member")

    def _regression_params(self, metric: str) -> dict[str, Any]:
        """Return the parameters without those of lambdarank."""
        params = {name: value for name, value in self.params.items() if name not in LAMBDARANK_ONLY}
        return {**params, "metric": metric}

    def _one_list(
        self, X: NDArray[np.float32], y: Floats, weight: Floats | None, params: Mapping[str, Any]
    ) -> lightgbm.Dataset:
        """Return rows as a dataset for objectives that do not look at lists."""
        data = TrainingData(X, y, group=np.array([len(X)]), weight=weight)
        return lightgbm_dataset(data, self.names, self.categorical, params)

    def predict(self, booster: lightgbm.Booster, X: NDArray[np.float32]) -> Floats:
        """Return raw scores."""
        threads = self.params["num_threads"]
        scores = booster.predict(X, raw_score=True, num_threads=threads)
        return np.asarray(scores, dtype=np.float64)


@contextmanager
def refusals() -> Iterator[None]:
    """Raise LightGBM's errors as `InvalidInputError`, with its reason."""
    load_lightgbm()
    import lightgbm

    try:
        yield
    except RankloomError:
        raise
    except (lightgbm.basic.LightGBMError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        msg = f"LightGBM refuses to train: {reason}; check params and the pairs"
        raise InvalidInputError(msg) from error
