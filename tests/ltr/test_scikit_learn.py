"""A `Ranker` is an estimator as scikit-learn has them: cloned, searched, pickled."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace

import joblib
import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from rankloom.datasets import PositionBias, QueryKFold
from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, cross_validate, pairs_from_arrays

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 10, "min_data_in_leaf": 20, "examination": CURVE}
OTHER = {
    "debias": "ips",
    "n_estimators": 7,
    "learning_rate": 0.3,
    "num_leaves": 5,
    "min_data_in_leaf": 9,
    "truncation_level": 4,
    "examination": [1.0, 0.5],
    "clip": 0.2,
    "prior_exposure": 1.5,
    "prior_strength": 2.5,
    "early_stopping_rounds": 3,
    "n_jobs": 1,
    "random_state": 8,
    "progress": False,
    "params": {"lambda_l2": 3.0},
}


@pytest.fixture(scope="module")
def fitted(pairs):
    return Ranker("position", **FAST).fit(pairs)


def test_every_parameter_is_got_set_and_cloned_as_given():
    assert set(OTHER) == set(Ranker().get_params())
    ranker = Ranker().set_params(**OTHER)
    for copy in (ranker, clone(ranker), Ranker(**OTHER)):
        assert copy.get_params() == OTHER
    assert ranker.get_params()["params"] is OTHER["params"]  # nothing is copied or parsed
    with pytest.raises(ValueError, match="Invalid parameter 'trees'"):
        ranker.set_params(trees=3)


def test_a_clone_is_unfitted_and_the_original_stays_as_it_was(fitted, pairs):
    bias = PositionBias.from_curve(CURVE)
    before = fitted.predict(pairs)
    copy = clone(fitted.set_params(examination=bias))
    fitted.set_params(examination=CURVE)
    assert not hasattr(copy, "booster_")
    np.testing.assert_array_equal(copy.examination.examination_, bias.examination_)
    np.testing.assert_array_equal(fitted.predict(pairs), before)
    np.testing.assert_array_equal(copy.fit(pairs).predict(pairs), before)


PREDICT = """
import pickle, sys
rankers, X, pairs = pickle.load(sys.stdin.buffer)
fitted = [each if hasattr(each, "booster_") else each.fit(pairs) for each in rankers]
sys.stdout.buffer.write(pickle.dumps([each.predict(X) for each in fitted]))
"""


def test_a_pickle_works_in_another_process(pairs):
    rankers = [Ranker(debias, **FAST) for debias in ("position", "pairwise", "ips")]
    fitted = [clone(each).fit(pairs) for each in rankers]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT],
        input=pickle.dumps((rankers + fitted, pairs.X, pairs)),
        capture_output=True,
        check=True,
    )
    expected = [each.predict(pairs.X) for each in fitted]
    found = pickle.loads(done.stdout)  # noqa: S301 - our own
    np.testing.assert_array_equal(found, expected + expected)


@pytest.mark.slow
@pytest.mark.parametrize("debias", ["auto", "click_model"])
def test_a_pickle_holds_what_the_fit_found(pairs, debias):
    ranker = Ranker(debias, **FAST).fit(pairs)
    again = pickle.loads(pickle.dumps(ranker))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.predict(pairs), ranker.predict(pairs))
    assert str(again.choice_) == str(ranker.choice_)
    assert again.training_report_ == ranker.training_report_


def test_joblib_stores_a_fitted_ranker(fitted, pairs, tmp_path):
    joblib.dump(fitted, tmp_path / "ranker.joblib")
    again = joblib.load(tmp_path / "ranker.joblib")
    np.testing.assert_array_equal(again.predict(pairs), fitted.predict(pairs))
    assert again.get_feature_names_out().tolist() == [*pairs.feature_names]


# Fitting on arrays


@pytest.mark.parametrize("debias", ["position", "none", "pairwise"])
def test_arrays_of_clicks_train_the_ranker_of_the_same_pairs(pairs, debias):
    ranker = Ranker(debias, **FAST)
    expected = clone(ranker).fit(pairs).predict(pairs.X)
    order = np.random.default_rng(0).permuted(np.arange(3000).reshape(300, 10), axis=1).ravel()
    got = ranker.fit(
        pairs.X[order], pairs.y[order], group=pairs.group, position=pairs.position[order]
    )
    np.testing.assert_array_equal(got.predict(pairs.X), expected)


def test_named_columns_become_the_features(pairs):
    table = pl.DataFrame(pairs.X, schema=["a", "b", "c", "d", "e"])
    ranker = Ranker("none", **FAST).fit(table, pairs.y, group=pairs.group)
    assert ranker.get_feature_names_out().tolist() == ["a", "b", "c", "d", "e"]
    turned = table.select("e", "d", "c", "b", "a")
    np.testing.assert_array_equal(ranker.predict(turned), ranker.predict(pairs.X))
    with pytest.raises(InvalidInputError, match="input_features"):
        ranker.get_feature_names_out(["e", "d", "c", "b", "a"])


def test_data_of_two_kinds_or_none_is_refused(pairs):
    ranker = Ranker("none", **FAST)
    for arguments, message in (
        (([[1.0]],), "without y"),
        (([[1.0]], [1]), "without group"),
        ((pairs, pairs.y), "hold their labels"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            ranker.fit(*arguments)
    with pytest.raises(InvalidInputError, match="what follows them is validation"):
        ranker.fit(pairs, pairs, validation=pairs)
    with pytest.raises(InvalidInputError, match="are for arrays"):
        ranker.fit(pairs, group=pairs.group)
    with pytest.raises(InvalidInputError, match="sum to 2,990, but X has 3,000 rows"):
        ranker.fit(pairs.X, pairs.y, group=pairs.group[1:])


# The score


def test_the_score_is_the_criterion_of_cross_validation(pairs):
    train, test = next(QueryKFold(3).split(pairs))
    ranker = Ranker("position", **FAST)
    result = cross_validate(ranker, pairs, cv=[(train, test)])
    assert ranker.fit(pairs[train]).score(pairs[test]) == result.score


def test_a_curve_is_found_in_order_of_how_near_it_was_given(pairs):
    flat = np.ones(10)
    ranker = Ranker("position", **{**FAST, "examination": None}).fit(pairs)
    applied = PositionBias.from_curve(CURVE).apply(replace(pairs))
    by_curve, by_flat = (ranker.score(pairs, examination=each) for each in (CURVE, flat))
    assert by_curve != by_flat
    assert ranker.score(applied) == pytest.approx(by_curve)
    assert ranker.score(applied, examination=flat) == by_flat
    assert ranker.set_params(examination=flat).score(applied) == by_flat
    learnt = Ranker("ips", **FAST).fit(pairs)
    expected = learnt.score(pairs, examination=CURVE)
    assert learnt.set_params(examination=None).score(pairs) == pytest.approx(expected)


def test_nothing_is_estimated_on_what_is_scored(pairs):
    ranker = Ranker("position", **{**FAST, "examination": None}).fit(pairs)
    with pytest.raises(InvalidInputError, match="found no curve"):
        ranker.score(pairs)
    with pytest.raises(InvalidInputError, match="not fitted"):
        ranker.score(pairs, examination=PositionBias())


def test_judged_lists_need_no_curve(pairs):
    judged = pairs_from_arrays(pairs.X, pairs.y, group=pairs.group)
    ranker = Ranker("none", **FAST).fit(judged)
    value = ranker.evaluate(judged, metrics=["ndcg@10"], n=1).metrics["nDCG@10"].ranker
    assert ranker.score(judged) == pytest.approx(value)
    with pytest.raises(InvalidInputError, match="expected TrainingPairs alone"):
        ranker.score(pairs.X)


# Searches of scikit-learn


def test_a_search_over_pairs_scores_whole_executions_by_the_criterion(pairs):
    grid = {"num_leaves": [2, 8], "learning_rate": [0.01, 0.2]}
    search = GridSearchCV(Ranker("position", **FAST), grid, cv=QueryKFold(3)).fit(pairs)
    expected = cross_validate(search.best_estimator_, pairs, cv=3)
    scores = [search.cv_results_[f"split{i}_test_score"][search.best_index_] for i in range(3)]
    assert scores == [fold.score for fold in expected.folds]
    best = clone(search.best_estimator_).fit(pairs)
    np.testing.assert_array_equal(search.predict(pairs), best.predict(pairs))


@pytest.mark.slow
def test_other_utilities_count_executions_as_samples(pairs):
    scores = cross_val_score(Ranker("position", **FAST), pairs, cv=KFold(2), n_jobs=2)
    assert len(scores) == 2
    assert np.isfinite(scores).all()


def test_a_search_over_rows_of_arrays_says_why_it_fails(pairs):
    search = GridSearchCV(Ranker("none", **FAST), {"num_leaves": [4]}, cv=2, error_score="raise")
    with pytest.raises(InvalidInputError, match="group: the sizes sum to 3,000, but X has 1,500"):
        search.fit(pairs.X, pairs.y, group=pairs.group)
