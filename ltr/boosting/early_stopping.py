"""When to stop growing trees: a criterion that is corrected for the clicks' position bias.

Plain NDCG on clicks rewards a model for repeating the production order. Here each click of the
validation pairs counts 1 / examination, so that in expectation every relevant document counts
alike, wherever it was shown. Judged lists, which were not shown to users, are measured by plain
NDCG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.threads import load_lightgbm
from ..metrics.debiased import examination_weighted_dcg
from ..metrics.ranking import ndcg

if TYPE_CHECKING:
    from collections.abc import Callable

    import lightgbm
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CRITERION = "debiased_dcg"


def click_criterion(
    y: NDArray[Any], group: NDArray[Any], examination: Floats, clip: float
) -> Callable[[Floats, Any], tuple[str, float, bool]]:
    """Return LightGBM's ``feval`` for clicks: the self-normalised examination-weighted DCG."""

    def criterion(scores: Floats, _: Any) -> tuple[str, float, bool]:
        parts = examination_weighted_dcg(y, scores, group, examination, clip=clip)
        return CRITERION, float(parts[0].sum() / parts[1].sum()), True

    return criterion


def judged_criterion(
    y: NDArray[Any], group: NDArray[Any], k: int
) -> Callable[[Floats, Any], tuple[str, float, bool]]:
    """Return LightGBM's ``feval`` for judged lists: mean NDCG at k."""

    def criterion(scores: Floats, _: Any) -> tuple[str, float, bool]:
        return CRITERION, float(np.nanmean(ndcg(y, scores, group, k))), True

    return criterion


class EarlyStopping:
    """LightGBM callback: remember the best round, stop when no better one followed for a while.

    LightGBM's own looks at every metric that it computes; this one looks at the debiased
    criterion alone, whatever other metrics the user asks for.

    `rounds`: rounds without a better value after which to stop; None only records the values.
    `values`: the criterion after every round.
    """

    order = 30
    before_iteration = False

    def __init__(self, rounds: int | None) -> None:
        self.rounds = rounds
        self.values: list[float] = []

    def __call__(self, env: Any) -> None:
        """Record one round; raise LightGBM's `EarlyStopException` when it is time to stop."""
        from lightgbm import EarlyStopException

        criterion = next(each for each in env.evaluation_result_list if each[1] == CRITERION)
        self.values.append(float(criterion[2]))
        if self.rounds is None:
            return
        best = int(np.argmax(self.values))
        waited = len(self.values) - 1 - best
        if waited >= self.rounds or env.iteration == env.end_iteration - 1:
            raise EarlyStopException(best, env.evaluation_result_list)


def stop_afterwards(
    booster: lightgbm.Booster,
    X: NDArray[np.float32],
    criterion: Callable[[Floats, Any], tuple[str, float, bool]],
    stopping: EarlyStopping,
    threads: int,
) -> lightgbm.Booster:
    """Return the trees that would be left if `stopping` had been called after each round.

    For boosters that were grown where no callback can reach the criterion. `X`: validation rows,
    shape (n, n_features).
    """
    load_lightgbm()
    import lightgbm

    scores, rounds = np.zeros(len(X)), booster.current_iteration()
    for i in range(rounds):
        tree = booster.predict(
            X, raw_score=True, start_iteration=i, num_iteration=1, num_threads=threads
        )
        scores += np.asarray(tree)
        result: list[Any] = [("validation", *criterion(scores, None))]
        try:
            stopping(lightgbm.callback.CallbackEnv(booster, {}, i, 0, rounds, result))
        except lightgbm.EarlyStopException as stop:
            best = stop.best_iteration + 1
            return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=best))
    return booster
