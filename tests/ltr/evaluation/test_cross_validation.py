"""Scores of cross-validation are held out, in the ranker and in the curve that corrects them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from rankloom.datasets import PositionBias, QueryKFold
from rankloom.datasets.pairs.judgments import Judgments
from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, cross_validate, examination_weighted_dcg, paired_bootstrap
from rankloom.ltr.evaluation.folds import folds_of

CURVE = 1 / np.arange(1.0, 11.0)
FAST = {"n_jobs": 1, "n_estimators": 10, "min_data_in_leaf": 20}


@pytest.fixture(scope="module")
def ranker():
    return Ranker("position", examination=CURVE, **FAST)


@pytest.fixture(scope="module")
def result(ranker, pairs):
    return cross_validate(ranker, pairs, cv=3)


def by_hand(ranker, pairs):
    """Value and weight of every tested execution, the baseline's value, and its query."""
    parts = []
    for train, test in QueryKFold(3).split(pairs):
        tested = pairs.take(test)
        scores = clone(ranker).fit(pairs.take(train)).predict(tested)
        e = CURVE.astype(np.float32)[tested.position]
        own, weight = examination_weighted_dcg(tested.y, scores, tested.group, e)
        shown, _ = examination_weighted_dcg(tested.y, -tested.position, tested.group, e)
        parts.append((own, shown, weight, tested.query_code))
    return parts


def test_the_score_is_that_of_all_tested_executions_together(ranker, pairs, result):
    parts = by_hand(ranker, pairs)
    for fold, (own, shown, weight, query) in zip(result.folds, parts, strict=True):
        assert fold.score == pytest.approx(own.sum() / weight.sum(), abs=1e-12)
        assert fold.baseline == pytest.approx(shown.sum() / weight.sum(), abs=1e-12)
        assert fold.queries_tested == len(set(query))
    own, shown, weight, query = (np.concatenate(each) for each in zip(*parts, strict=True))
    assert result.score == pytest.approx(own.sum() / weight.sum(), abs=1e-12)
    assert result.difference == pytest.approx((own - shown).sum() / weight.sum(), abs=1e-12)
    used = weight > 0
    seed = int(np.random.default_rng(0).integers(2**31))
    paired = paired_bootstrap(
        (own / np.where(used, weight, 1))[used],
        (shown / np.where(used, weight, 1))[used],
        2000,
        seed,
        weight=weight[used],
        cluster=query[used],
    )
    assert result.interval == pytest.approx(paired.interval, abs=1e-12)
    assert result.p == paired.p
    assert result.score_interval[0] < result.score < result.score_interval[1]


def test_no_ranker_scores_a_query_that_it_learnt_from(ranker, pairs, result):
    """Whatever is tested may change: the scores of its rows stay."""
    train, test = next(QueryKFold(3).split(pairs))
    tested = np.isin(pairs.execution_index, test)
    y = np.where(tested, 1 - pairs.y, pairs.y).astype(np.float32)
    changed = replace(pairs, y=y, clicked=y > 0)
    again = cross_validate(ranker, changed, cv=[(train, test)])
    np.testing.assert_array_equal(again.scores[tested], result.scores[tested])
    assert np.isnan(again.scores[~tested]).all()


@pytest.mark.slow
def test_the_curve_is_estimated_on_the_training_executions_alone(make_pairs):
    pairs = make_pairs(600, shuffled=True, queries=20)
    estimator = PositionBias("all_pairs", n_bootstrap=0)
    train, test = np.arange(400), np.arange(400, 600)
    tested = pairs.execution_index >= 400
    generator = np.random.default_rng(0)
    clicked = np.where(tested, generator.random(len(pairs)) < 0.5, pairs.clicked)
    garbage = replace(pairs, clicked=clicked, y=clicked.astype(np.float32))
    expected = estimator.fit(pairs.take(train)).apply(pairs.take(test)).examination
    for log in (pairs, garbage):
        unfitted = PositionBias("all_pairs", n_bootstrap=0)
        (fold,) = folds_of(log, [(train, test)], unfitted)
        np.testing.assert_array_equal(fold.examination, expected)
    (estimated,) = folds_of(garbage, [(train, test)], None)
    (same,) = folds_of(pairs, [(train, test)], None)
    assert same.source == "estimated"
    np.testing.assert_array_equal(estimated.examination, same.examination)


def test_a_curve_that_was_applied_to_all_pairs_is_set_aside(ranker, pairs, result):
    applied = PositionBias.from_curve(np.ones(10)).apply(replace(pairs))
    again = cross_validate(ranker, applied, cv=3)
    assert again.score == result.score
    assert "set aside" in again.notes[0]
    assert result.notes == []


def test_judgements_of_tested_queries_are_not_trained_on(pairs):
    n = len(pairs.queries)
    codes = np.arange(n, dtype=np.int32)
    none = np.zeros(n)
    judged = Judgments(
        codes, codes, none, none.astype(np.int32), ("people",), np.zeros((n, 5), np.float32)
    )
    for fold in folds_of(replace(pairs, judgments=judged), 4, CURVE):
        trained = fold.training().judgments
        tested = set(pairs.query_code[fold.test])
        assert set(trained.query_code) == set(codes) - tested


def test_judged_lists_are_scored_by_ndcg_against_the_score_of_production(make_pairs):
    pairs = make_pairs(60, judged=True, queries=60)
    scored = replace(pairs, document_score=np.random.default_rng(0).random(len(pairs)))
    result = cross_validate(Ranker("none", **FAST), scored, cv=2)
    assert result.criterion == "NDCG@10"
    assert result.baseline_name == "the order of document_score"
    assert result.interval[0] > 0
    alone = cross_validate(Ranker("none", **FAST), pairs, cv=2)
    assert (alone.baseline, alone.difference, alone.interval, alone.p) == (None,) * 4
    assert alone.score == result.score
    assert "against" not in str(alone)


def test_the_result_is_readable_as_text_and_as_a_table(result):
    frame = result.to_frame()
    assert frame["fold"].to_list() == [1, 2, 3]
    assert frame["score"].to_list() == [fold.score for fold in result.folds]
    assert frame["lower"].to_list() == [fold.interval[0] for fold in result.folds]
    text = str(result)
    assert text.startswith("CrossValidation: examination-weighted DCG 0.")
    assert "against the production order" in text
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["1", "2", "3", "all"]
    assert f"{result.difference:.4g}" in text
    assert "scores" not in result.to_dict()
    assert result.to_dict()["folds"][0]["score"] == result.folds[0].score


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "n_splits"),
        ("five", "cv: expected a number of folds"),
        (None, "cv: expected a number of folds"),
        ([], "makes no fold"),
        ([([0, 1, 2], [2, 3])], "trains on executions that it tests"),
        ([([0, 1, 2], [3, 3])], "or tests some twice"),
        ([([0, 1, 2], [])], "nothing can be scored"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(ranker, pairs, cv, message):
    with pytest.raises(InvalidInputError, match=message):
        cross_validate(ranker, pairs, cv=cv)
