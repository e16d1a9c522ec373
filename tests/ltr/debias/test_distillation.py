"""A student gets as many trees as reproduce its teacher on documents that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.ltr.boosting.dataset import TrainingData
from rankloom.ltr.boosting.trainer import Trainer
from rankloom.ltr.debias.distillation import MAX_DOUBLINGS, HeldOutErrors, student_params

ROUNDS = 20


def data_of(teacher, lists=60):
    X = np.random.default_rng(0).normal(size=(lists * 20, 4)).astype(np.float32)
    return TrainingData(X, teacher(X), group=np.full(lists, 20))


def trainer(**params):
    params = {
        "num_leaves": 7,
        "learning_rate": 0.05,
        "min_data_in_leaf": 10,
        "verbosity": -1,
    } | params
    return Trainer(
        {"num_iterations": ROUNDS, "num_threads": 1, "seed": 0} | params, list("abcd"), []
    )


TEACHERS = {
    "one step": (lambda X: np.where(X[:, 0] > 0, 1.0, -1.0), 1 << MAX_DOUBLINGS),
    "many steps": (lambda X: X[:, 0] + X[:, 1] ** 2 + X[:, 2], 1 << MAX_DOUBLINGS),
    "noise": (lambda X: np.random.default_rng(1).normal(size=len(X)), 1),
}


@pytest.mark.parametrize(("teacher", "times"), TEACHERS.values(), ids=TEACHERS)
def test_trees_are_added_while_held_out_documents_need_them(teacher, times):
    params = student_params(data_of(teacher), trainer(), add_trees=True)
    assert params["num_iterations"] == times * ROUNDS


def test_trees_are_not_added_where_their_number_was_set_or_no_list_can_be_held_out():
    teacher, _ = TEACHERS["many steps"]
    assert "num_iterations" not in student_params(data_of(teacher), trainer(), add_trees=False)
    few = data_of(teacher, lists=4)
    assert "num_iterations" not in student_params(few, trainer(), add_trees=True)


def test_training_stops_where_the_error_no_longer_falls():
    from lightgbm import EarlyStopException
    from lightgbm.callback import CallbackEnv

    def after(trees, error):
        return CallbackEnv(None, {}, trees - 1, 0, 80, [("valid", "l2", error, False)])

    errors = HeldOutErrors(10)
    for trees, error in ((1, 9.0), (10, 1.0), (15, 0.9), (20, 0.7), (30, 0.6)):
        errors(after(trees, error))
    assert errors.rounds == 20
    with pytest.raises(EarlyStopException):
        errors(after(40, 0.6))
    assert errors.rounds == 20
