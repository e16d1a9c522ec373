"""One model that reproduces the scores of a blend of models.

Scores of a model have no noise, so more trees follow them more closely, without limit on the
documents that are learnt from. On other documents a smoother model may even rank better than its
teacher. So trees are added as long as they explain more of the scores of held-out documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from ..boosting.dataset import TrainingData
    from ..boosting.trainer import Trainer

MIN_IMPROVEMENT: Final = 0.25
"""Part of the held-out squared error by which twice as many trees have to be better."""

MAX_DOUBLINGS: Final = 3

_HELD_OUT: Final = 5  # one list in so many


def student_params(data: TrainingData, trainer: Trainer, *, add_trees: bool) -> dict[str, Any]:
    """Return LightGBM's parameters to learn scores with, the number of trees among them.

    `data`: documents with the scores to reproduce as labels, in lists of one query each.
    `add_trees`: whether there may be more of them than `trainer` has.
    """
    params = {"objective": "regression", "metric": "None"}
    if not add_trees or len(data.group) < _HELD_OUT:
        return params
    return {**params, "num_iterations": _rounds(data, trainer)}


def _rounds(data: TrainingData, trainer: Trainer) -> int:
    """Return the number of trees from which on twice as many explain little more."""
    held = np.repeat(np.arange(len(data.group)) % _HELD_OUT == 0, data.group)
    errors = HeldOutErrors(int(trainer.params["num_iterations"]))
    trainer.with_params(num_iterations=errors.start << MAX_DOUBLINGS).regress_until(
        data.X[~held], data.y[~held], data.X[held], data.y[held], errors
    )
    return errors.rounds


class HeldOutErrors:
    """LightGBM callback that stops when the error no longer falls enough from doubling the trees.

    `start`: trees at which the error is looked at first.
    `rounds`: the number of trees that was enough, so far.
    """

    order = 30
    before_iteration = False

    def __init__(self, start: int) -> None:
        self.start = self.rounds = start
        self._error = np.inf

    def __call__(self, env: Any) -> None:
        """Look at the error after `start` trees, twice as many, and so on."""
        from lightgbm import EarlyStopException

        trees = env.iteration + 1
        if trees != self.start and trees != 2 * self.rounds:
            return
        error = float(env.evaluation_result_list[0][2])
        if error > (1 - MIN_IMPROVEMENT) * self._error:
            raise EarlyStopException(env.iteration, env.evaluation_result_list)
        self.rounds, self._error = trees, error
