from __future__ import annotations

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr.boosting.parameters import main_names, merged, seed_from, thread_count


def test_aliases_become_main_names():
    given = {"eta": 0.1, "min_child_samples": 3, "reg_lambda": np.float32(2), "nthread": 1}
    assert main_names(given) == {
        "learning_rate": 0.1,
        "min_data_in_leaf": 3,
        "lambda_l2": 2.0,
        "num_threads": 1,
    }
    assert main_names(None) == {}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"lerning_rate": 0.1}, "no parameter 'lerning_rate'. Did you mean 'learning_rate'"),
        ({"eta": 0.1, "learning_rate": 0.2}, "'learning_rate', which is given twice"),
        ({"objective": lambda: None}, "'objective' must be a number, text"),
        ({"lambda_l2": float("nan")}, "'lambda_l2' must be a number, text"),
        ({"cat_feature": [0]}, "come from pairs.categories"),
        ({"num_class": 3}, "one score a document"),
        ([("eta", 1)], "expected a dict"),
        ({1: 2}, "no parameter 1"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(params, says):
    with pytest.raises(InvalidInputError, match=says):
        main_names(params)


def test_user_params_take_precedence_and_column_wise_histograms_replace_row_wise_ones():
    ours = {"learning_rate": 0.05, "force_row_wise": True}
    assert merged(ours, {"learning_rate": 0.2}) == {"learning_rate": 0.2, "force_row_wise": True}
    assert merged(ours, {"force_col_wise": True}) == {"learning_rate": 0.05, "force_col_wise": True}


def test_threads_are_a_definite_number():
    assert thread_count(3) == 3
    assert thread_count(None) == thread_count(-1) >= 1
    for wrong in (0, -2, 1.5, True, "all"):
        with pytest.raises(InvalidInputError, match="n_jobs"):
            thread_count(wrong)


def test_seeds_come_from_numbers_and_generators():
    assert seed_from(7) == 7
    assert seed_from(np.random.default_rng(1)) == seed_from(np.random.default_rng(1))
    assert 0 <= seed_from(None) < 2**31
    for wrong in (-1, 2**31, 0.5, True, "x"):
        with pytest.raises(InvalidInputError, match="random_state"):
            seed_from(wrong)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"label_gain": "0, 1,3.5"}, {"label_gain": [0, 1, 3.5]}),
        ({"label_gain": (0, 1, 3)}, {"label_gain": [0, 1, 3]}),
        ({"label_gain": np.array([0, 1, 3])}, {"label_gain": [0, 1, 3]}),
        ({"num_round": "50", "random_state": " 7"}, {"num_iterations": 50, "seed": 7}),
        ({"sigmoid": "2", "lambdarank_norm": "False"}, {"sigmoid": 2, "lambdarank_norm": False}),
        ({"num_leaves": "31"}, {"num_leaves": "31"}),
    ],
)
def test_values_may_be_written_as_text(given, expected):
    """LightGBM takes text for every parameter, so what the ranker reads itself is converted."""
    assert main_names(given) == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"label_gain": "0,one"}, "'label_gain': expected numbers such as .* got '0,one'"),
        ({"label_gain": [0, "x"]}, "'label_gain': expected numbers"),
        ({"n_estimators": "many"}, "'n_estimators': expected a whole number, got 'many'"),
        ({"lambdarank_norm": "maybe"}, "'lambdarank_norm': expected true or false"),
    ],
)
def test_text_that_is_no_such_value_is_refused(given, says):
    with pytest.raises(InvalidInputError, match=says):
        main_names(given)
