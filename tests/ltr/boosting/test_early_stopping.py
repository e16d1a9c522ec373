from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, examination_weighted_dcg, ndcg
from rankloom.ltr.boosting.early_stopping import (
    EarlyStopping,
    click_criterion,
    judged_criterion,
    stop_afterwards,
)

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 60, "learning_rate": 0.3, "min_data_in_leaf": 5}


@pytest.fixture(scope="module")
def later(make_pairs):
    return make_pairs(200, random_state=9)


def truncated(ranker, pairs, rounds):
    return ranker.booster_.predict(pairs.X, num_iteration=rounds, num_threads=1)


def test_the_criterion_is_the_self_normalised_examination_weighted_dcg(later):
    scores = np.random.default_rng(0).normal(size=len(later))
    examination = CURVE[later.position]
    name, value, higher_is_better = click_criterion(later.y, later.group, examination, 0.05)(
        scores, None
    )
    weighted, weight = examination_weighted_dcg(later.y, scores, later.group, examination)
    assert (name, higher_is_better) == ("debiased_dcg", True)
    assert value == pytest.approx(weighted.sum() / weight.sum())


def test_judged_lists_are_measured_by_plain_ndcg(make_pairs):
    judged = make_pairs(judged=True)
    scores = np.random.default_rng(0).normal(size=len(judged))
    value = judged_criterion(judged.y, judged.group, 5)(scores, None)[1]
    assert value == pytest.approx(np.nanmean(ndcg(judged.y, scores, judged.group, 5)))


@pytest.mark.parametrize("debias", ["none", "position", "ips", "click_model", "auto"])
def test_training_stops_at_the_best_round_and_prediction_uses_it(pairs, later, debias):
    ranker = Ranker(debias, examination=CURVE, early_stopping_rounds=8, **FAST)
    ranker.fit(pairs, later)
    values = ranker.validation_values_
    assert len(values) < 60
    assert ranker.best_iteration_ == int(np.argmax(values)) + 1
    assert len(values) == ranker.best_iteration_ + 8
    assert ranker.booster_.num_trees() == ranker.best_iteration_
    weighted, weight = examination_weighted_dcg(
        later.y, ranker.predict(later), later.group, CURVE[later.position]
    )
    assert weighted.sum() / weight.sum() == pytest.approx(max(values), abs=1e-4)


@pytest.mark.parametrize("rounds", [8, 200, None])
def test_trees_are_left_out_afterwards_as_if_training_had_stopped(pairs, later, rounds):
    """The simple version: the callback, called while the trees grow."""
    options = {"examination": CURVE, **FAST}
    called = Ranker("none", early_stopping_rounds=rounds, **options).fit(pairs, later)
    whole = Ranker("none", **options).fit(pairs).booster_
    used = later.take(np.add.reduceat(later.y, later.offsets[:-1]) > 0)
    criterion = click_criterion(used.y, used.group, CURVE[used.position], called.clip)
    stopping = EarlyStopping(rounds)
    left = stop_afterwards(whole, used.X, criterion, stopping, threads=1)
    assert left.num_trees() == called.best_iteration_
    assert (left.predict(later.X) == called.booster_.predict(later.X)).all()
    assert stopping.values == pytest.approx(called.validation_values_, rel=1e-8)


def test_without_stopping_rounds_all_trees_are_used_and_the_values_recorded(pairs, later):
    ranker = Ranker("none", examination=CURVE, **FAST).fit(pairs, later)
    assert len(ranker.validation_values_) == ranker.best_iteration_ == 60
    alone = Ranker("none", examination=CURVE, **FAST).fit(pairs)
    np.testing.assert_array_equal(ranker.predict(later), alone.predict(later))
    assert alone.validation_values_ == []


def test_patience_longer_than_training_selects_the_best_round(pairs, later):
    ranker = Ranker("none", examination=CURVE, early_stopping_rounds=1000, **FAST)
    ranker.fit(pairs, later)
    assert len(ranker.validation_values_) == 60
    assert ranker.best_iteration_ == int(np.argmax(ranker.validation_values_)) + 1


def test_the_users_lightgbm_name_for_patience_is_understood(pairs, later):
    ranker = Ranker("none", examination=CURVE, params={"n_iter_no_change": 8}, **FAST)
    ranker.fit(pairs, later)
    assert len(ranker.validation_values_) == ranker.best_iteration_ + 8


def test_metrics_that_the_user_asks_for_do_not_decide(pairs, later):
    settings = {"examination": CURVE, "early_stopping_rounds": 8, **FAST}
    plain = Ranker("none", **settings).fit(pairs, later)
    with_metric = Ranker("none", params={"metric": "ndcg", "eval_at": [1]}, **settings)
    assert with_metric.fit(pairs, later).validation_values_ == plain.validation_values_


def test_executions_without_a_click_do_not_matter_for_the_criterion(pairs, later):
    clicked = later.take(np.add.reduceat(later.y, later.offsets[:-1]) > 0)
    assert clicked.n_executions < later.n_executions
    settings = {"examination": CURVE, **FAST}
    whole = Ranker("none", **settings).fit(pairs, later)
    part = Ranker("none", **settings).fit(pairs, clicked)
    assert whole.validation_values_ == part.validation_values_


def test_the_debiased_criterion_does_not_favour_repeating_the_production_order(make_pairs):
    """Documents shown at random: the criterion prefers relevance, plain clicks the order shown."""
    shown = make_pairs(5000, shuffled=True)
    truth = np.nan_to_num(shown.X[:, 0]) + 0.7 * np.nan_to_num(shown.X[:, 1])
    production = -shown.position.astype(float)
    debiased = click_criterion(shown.y, shown.group, CURVE[shown.position], 0.05)
    biased = click_criterion(shown.y, shown.group, np.ones(len(shown)), 0.05)
    assert debiased(truth, None)[1] > debiased(production, None)[1] + 0.05
    assert biased(truth, None)[1] < biased(production, None)[1]


def test_an_unknown_curve_is_noticed_where_positions_never_varied(make_pairs):
    world = make_pairs(40)
    first = np.unique(world.query_code, return_index=True)[1]
    fixed = world.take(np.repeat(first, 30))
    ranker = Ranker("none", early_stopping_rounds=3, **FAST).fit(fixed, fixed)
    assert any("early stopping assumes 1 / (position + 1)" in note for note in ranker.notes_)


def test_judged_validation_needs_no_examination(make_pairs):
    judged = make_pairs(judged=True)
    ranker = Ranker("none", early_stopping_rounds=5, **FAST).fit(judged, judged)
    found = np.nanmean(ndcg(judged.y, ranker.predict(judged), judged.group, 10))
    assert max(ranker.validation_values_) == pytest.approx(found, abs=1e-4)
    assert ranker.notes_ == []


def test_validation_features_are_matched_by_name(pairs, later):
    order = [3, 1, 4, 0, 2]
    turned = replace(
        later,
        X=np.ascontiguousarray(later.X[:, order]),
        feature_names=tuple(later.feature_names[i] for i in order),
    )
    settings = {"examination": CURVE, **FAST}
    straight = Ranker("none", **settings).fit(pairs, later)
    assert Ranker("none", **settings).fit(pairs, turned).validation_values_ == (
        straight.validation_values_
    )


@pytest.mark.parametrize(
    ("options", "validation", "says"),
    [
        ({"early_stopping_rounds": 5}, None, "needs fit\\(pairs, validation=...\\)"),
        ({"early_stopping_rounds": 0}, "later", "early_stopping_rounds: expected a whole number"),
        ({}, "clickless", "validation: no row has a positive grade"),
        ({}, "table", "validation: expected TrainingPairs"),
    ],
)
def test_bad_validation_is_refused_with_the_reason(pairs, later, options, validation, says):
    given = {
        None: None,
        "later": later,
        "clickless": replace(later, y=np.zeros_like(later.y)),
        "table": later.X,
    }[validation]
    with pytest.raises(InvalidInputError, match=says):
        Ranker("none", **FAST, **options).fit(pairs, given)
