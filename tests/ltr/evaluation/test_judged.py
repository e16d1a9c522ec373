from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import evaluate, examination_weighted_dcg, ndcg
from rankloom.ltr.evaluation.judged import DEBIASED_DCG


@pytest.fixture
def scores(pairs):
    return np.random.default_rng(0).normal(size=len(pairs))


def test_means_are_over_the_queries_with_a_positive_grade_and_the_others_are_counted(pairs, scores):
    report = evaluate(pairs, scores, metrics=["ndcg@5"])
    clickless = np.add.reduceat(pairs.y, pairs.offsets[:-1]) == 0
    assert clickless.sum() > 10
    assert (report.queries, report.queries_left_out) == (300, clickless.sum())
    found = report.metrics["nDCG@5"]
    assert found.ranker == pytest.approx(np.nanmean(ndcg(pairs.y, scores, pairs.group, 5)))
    assert found.difference == pytest.approx(found.ranker - found.baseline)
    assert found.interval[0] <= found.difference <= found.interval[1]


def test_the_baseline_is_the_production_order_where_positions_are_known(pairs, scores):
    scored = replace(pairs, document_score=np.arange(len(pairs), dtype=float))
    report = evaluate(scored, scores, metrics=["ndcg@5"])
    assert report.baseline == "the production order"
    expected = np.nanmean(ndcg(pairs.y, -pairs.position, pairs.group, 5))
    assert report.metrics["nDCG@5"].baseline == pytest.approx(expected)


def test_the_baseline_of_judged_lists_is_document_score_with_unscored_documents_last(make_pairs):
    judged = make_pairs(judged=True)
    values = np.random.default_rng(1).normal(size=len(judged))
    values[::7] = np.nan
    report = evaluate(replace(judged, document_score=values), judged.y)
    filled = np.where(np.isnan(values), -1e9, values)
    assert report.baseline == "the order of document_score"
    expected = np.nanmean(ndcg(judged.y, filled, judged.group, 10))
    assert report.metrics["nDCG@10"].baseline == pytest.approx(expected)


def test_without_positions_and_scores_there_is_no_baseline_and_the_report_says_so(make_pairs):
    judged = make_pairs(judged=True)
    report = evaluate(judged, judged.y)
    assert report.baseline is None
    assert report.metrics["nDCG@10"].ranker == pytest.approx(1)
    assert report.metrics["nDCG@10"].difference is None
    assert "There is no baseline" in str(report)
    assert "production showed" not in str(report)


def test_another_rankers_scores_can_be_the_baseline(pairs, scores):
    report = evaluate(pairs, scores, baseline=scores)
    assert all(found.difference == 0 and found.p == 1 for found in report.metrics.values())


def test_clicks_are_said_to_favour_the_production_order(pairs, scores):
    assert "favour production's order" in str(evaluate(pairs, scores))


def test_with_examination_a_debiased_dcg_is_added_to_the_plain_metrics(pairs, scores):
    examination = (1 / (pairs.position + 1)).astype(np.float32)
    assert DEBIASED_DCG not in evaluate(pairs, scores).metrics
    report = evaluate(replace(pairs, examination=examination), scores)
    weighted, weight = examination_weighted_dcg(pairs.y, scores, pairs.group, examination)
    found = report.metrics[DEBIASED_DCG]
    assert found.ranker == pytest.approx(weighted.sum() / weight.sum())
    assert found.difference == pytest.approx(found.ranker - found.baseline)


def test_the_debiased_dcg_finds_the_better_ranker_where_plain_clicks_prefer_production(make_pairs):
    """Documents shown at random: the true relevance is best, not what the clicks favour."""
    pairs = make_pairs(6000, shuffled=True, random_state=3)
    truth = np.nan_to_num(pairs.X[:, 0]) + 0.7 * np.nan_to_num(pairs.X[:, 1])
    examination = (1 / (pairs.position + 1)).astype(np.float32)
    report = evaluate(replace(pairs, examination=examination), truth, n=200)
    assert report.metrics["nDCG@10"].difference < 0
    assert report.metrics[DEBIASED_DCG].interval[0] > 0


def test_intervals_draw_distinct_queries_not_executions(pairs, scores):
    """Ten copies of every execution are no more evidence than one."""
    tenfold = pairs.take(np.repeat(np.arange(300), 10))
    one = evaluate(pairs, scores, metrics=["mrr"])
    ten = evaluate(tenfold, scores.reshape(300, 10).repeat(10, axis=0).ravel(), metrics=["mrr"])
    assert ten.metrics["MRR"].interval == pytest.approx(one.metrics["MRR"].interval)


def test_the_report_is_plain_values_and_a_readable_table(pairs, scores):
    report = evaluate(pairs, scores, metrics=["ndcg@10", "mrr"], confidence=0.9)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["metrics"]["MRR"]["ranker"] == report.metrics["MRR"].ranker
    assert plain["queries"] == 300
    assert "nDCG@10" in str(report)
    assert "90% interval" in str(report)


def test_a_report_is_the_same_every_time(pairs, scores):
    assert evaluate(pairs, scores) == evaluate(pairs, scores)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metrics": ["ndgc@10"]}, "metric: got 'ndgc@10'"),
        ({"scores": np.zeros(3)}, "scores: expected 3000 values"),
        ({"baseline": np.zeros(3)}, "scores: expected 3000 values"),
    ],
)
def test_bad_input_is_refused_with_the_reason(pairs, scores, options, says):
    with pytest.raises(InvalidInputError, match=says):
        evaluate(pairs, **{"scores": scores, **options})


def test_pairs_without_any_positive_grade_are_refused(pairs, scores):
    with pytest.raises(InvalidInputError, match="no query has a positive grade"):
        evaluate(replace(pairs, y=np.zeros_like(pairs.y)), scores)
    with pytest.raises(InvalidInputError, match="no query has a positive grade"):
        evaluate(pairs.take(np.array([], dtype=int)), [])
