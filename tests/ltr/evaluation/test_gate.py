"""The gate: who passes, who does not, and who is not even let near."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, compare, evaluate_from_logs, ndcg

CURVE = 1 / np.arange(1, 11)


def relevance(pairs):
    """Return the relevance of the rows of the simulated world (see conftest)."""
    value = np.nan_to_num(pairs.X[:, 0]) + 0.7 * np.nan_to_num(pairs.X[:, 1])
    return 1 / (1 + np.exp(-2 * value.astype(float) + 1))


def later(pairs, start="2024-06-01"):
    """Return the same pairs at a later time."""
    return replace(pairs, time=pairs.time - pairs.time[0] + np.datetime64(start, "us"))


@pytest.fixture(scope="module")
def training(make_pairs):
    return make_pairs(400, shuffled=True, random_state=1)


@pytest.fixture(scope="module")
def log(make_pairs):
    return later(make_pairs(2000, shuffled=True, random_state=2))


@pytest.fixture(scope="module")
def ranker(training):
    return Ranker("position", n_estimators=30, min_data_in_leaf=20, n_jobs=1).fit(training)


def test_a_better_ranker_passes_and_every_bound_says_so(ranker, log):
    gate = compare(ranker, "production", log, examination=CURVE)
    assert gate.passed
    assert gate.reasons == []
    assert list(gate.metrics) == ["DCG@10", "DCG@5", "clicks@10"]
    assert gate.primary == "DCG@10"
    first, *others = gate.metrics.values()
    assert first.lower > 0
    assert all(each.relative_lower > -0.01 for each in others)
    assert "The gate passes" in str(gate)


def test_the_bounds_are_those_of_the_doubly_robust_gain(ranker, log):
    gate = compare(ranker, "production", log, examination=CURVE, confidence=0.9)
    report = evaluate_from_logs(log, ranker.predict(log), examination=CURVE, confidence=0.8)
    found = gate.metrics["DCG@10"]
    assert found.lower == pytest.approx(report.gain.interval[0])
    assert found.relative_lower == pytest.approx(report.gain.relative_lower)
    assert found.candidate == report.candidate["doubly_robust"].value


def test_personal_scores_are_judged_on_the_lists_that_were_shown(personal):
    pairs, _ = personal(1500, 0)
    options = {"examination": 1 / np.arange(1, 11)}
    gate = compare(
        1.5 * pairs.X[:, -1] + np.nan_to_num(pairs.X[:, 0]), "production", pairs, **options
    )
    assert gate.passed
    assert any("differ between executions" in note for note in gate.notes)
    assert not compare(-pairs.X[:, -1], "production", pairs, **options).passed
    itself = compare(-pairs.position, "production", pairs, **options)
    assert (itself.passed, itself.metrics["DCG@10"].gain) == (False, 0)


def test_a_worse_ranker_does_not_pass_and_every_reason_is_named(log):
    gate = compare(-relevance(log), relevance(log), log, examination=CURVE)
    assert not gate.passed
    assert [reason.split(":")[0] for reason in gate.reasons] == list(gate.metrics)
    assert gate.baseline == "the baseline given"
    assert "The gate does not pass" in str(gate)
    assert all(reason in str(gate) for reason in gate.reasons)


def test_a_tie_does_not_pass(ranker, log):
    gate = compare(ranker, ranker, log, examination=CURVE)
    assert not gate.passed
    assert len(gate.reasons) == 1
    assert gate.metrics["DCG@5"].passed
    assert not gate.metrics["DCG@10"].passed


def test_a_gain_in_one_metric_does_not_make_up_for_a_loss_in_another(log):
    """The candidate puts a poor document first and all others right, the baseline the reverse."""
    best, query = relevance(log), np.repeat(log.query_code, 10)
    top, low = np.zeros(40), np.ones(40)
    np.maximum.at(top, query, best)
    np.minimum.at(low, query, best)
    candidate = np.where(best == low[query], 2.0, best)
    baseline = np.where(best == top[query], 2.0, -best)
    gate = compare(candidate, baseline, log, examination=CURVE, metrics=["dcg@10", "dcg@1"])
    assert gate.metrics["DCG@10"].passed
    assert gate.metrics["DCG@1"].relative_lower < -0.01
    assert not gate.passed
    assert [reason[:5] for reason in gate.reasons] == ["DCG@1"]


def test_the_tolerance_decides_about_the_other_metrics(log):
    near = np.random.default_rng(0).normal(0, 0.05, 1000)[log.document_code]
    worse = relevance(log) + near
    strict, lax = (
        compare(worse, relevance(log), log, examination=CURVE, tolerance=tolerance)
        for tolerance in (0.0, 0.5)
    )
    assert not strict.metrics["DCG@5"].passed
    assert lax.metrics["DCG@5"].passed


# Training period


@pytest.mark.parametrize("which", [0, -1])
def test_an_execution_at_either_end_of_the_training_period_is_refused(ranker, training, log, which):
    time = log.time.copy()
    time[7] = training.time[which]
    with pytest.raises(InvalidInputError, match=r"pairs: 1 of 2,000 executions .* --later"):
        compare(ranker, "production", replace(log, time=time), examination=CURVE)


@pytest.mark.parametrize("step", [-1, 1])
def test_an_execution_a_moment_outside_the_training_period_is_not(ranker, training, log, step):
    edge = training.time.min() if step < 0 else training.time.max()
    time = log.time.copy()
    time[7] = edge + np.timedelta64(step, "us")
    assert compare(ranker, "production", replace(log, time=time), examination=CURVE).passed


def test_only_the_candidate_must_not_be_trained_on_the_executions(ranker, training, make_pairs):
    log = make_pairs(2000, shuffled=True, random_state=2)
    young = Ranker("none", n_estimators=5, min_data_in_leaf=20, n_jobs=1).fit(later(training))
    gate = compare(young, ranker, log, examination=CURVE)
    assert gate.executions == 2000
    with pytest.raises(InvalidInputError, match="training period"):
        compare(ranker, young, log, examination=CURVE)


def test_without_times_the_gate_notes_that_training_executions_are_unknown(ranker, log):
    timeless = replace(log, time=np.full(len(log.time), np.datetime64("NaT", "us")))
    gate = compare(ranker, "production", timeless, examination=CURVE)
    assert any("times are unknown" in note for note in gate.notes)
    scores = compare(relevance(log), "production", log, examination=CURVE)
    assert any("scores were given" in note for note in scores.notes)


# Overlap


def test_no_candidate_passes_on_a_log_of_one_deterministic_ranker(make_pairs):
    pairs = make_pairs(40, random_state=3)
    always = pairs.take(np.repeat(np.unique(pairs.query_code, return_index=True)[1], 30))
    always.execution_id = pl.Series([f"x{i}" for i in range(always.n_executions)])
    for examination in (CURVE, None):
        gate = compare(relevance(always), "production", always, examination=examination)
        assert not gate.passed
        assert len(gate.reasons) == 1
        assert "one deterministic ranker" in gate.reasons[0]
        assert all(metric.lower is None for metric in gate.metrics.values())
        assert json.loads(json.dumps(gate.to_dict()))["metrics"]["DCG@10"]["lower"] is None


def test_candidates_are_scored_by_the_rankers_themselves(ranker, log):
    rows = np.unique(log.query_document, return_index=True)[1]
    table = pl.DataFrame(
        {
            "query_id": log.query_id.gather(log.execution_index[rows]),
            "feature_id": log.document_id.gather(rows),
            **{name: log.X[rows, j] for j, name in enumerate(log.feature_names)},
        }
    )
    given = compare(ranker, "production", log, examination=CURVE, candidates=table)
    alone = compare(ranker, "production", log, examination=CURVE)
    assert given.metrics == alone.metrics


# Judged pairs


def test_judged_pairs_are_compared_by_paired_means(make_pairs):
    judged = make_pairs(judged=True)
    noisy = judged.y + np.random.default_rng(0).normal(0, 1.5, len(judged))
    gate = compare(judged.y, noisy, judged)
    assert gate.passed
    assert gate.primary == "nDCG@10"
    found = gate.metrics["nDCG@10"]
    values = ndcg(judged.y, judged.y, judged.group) - ndcg(judged.y, noisy, judged.group)
    assert found.gain == pytest.approx(np.nanmean(values))
    assert 0 < found.lower < found.gain
    assert not compare(noisy, judged.y, judged).passed
    assert not compare(noisy, noisy, judged).passed


def test_the_relative_bound_of_judged_pairs_is_that_of_the_resampled_ratio(make_pairs):
    judged = make_pairs(judged=True)
    noisy = judged.y + np.random.default_rng(0).normal(0, 1.5, len(judged))
    found = compare(judged.y, noisy, judged, metrics=["ndcg@10"]).metrics["nDCG@10"]
    a, b = (ndcg(judged.y, scores, judged.group) for scores in (judged.y, noisy))
    used, cluster = np.isfinite(a), judged.query_code
    sums = [np.bincount(cluster[used], weights=each[used], minlength=40) for each in (a, b)]
    drawn = np.random.default_rng(1).integers(0, 40, (4000, 40))
    ratios = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1) - 1
    low = np.quantile(ratios, 0.05)
    assert found.relative == pytest.approx(sums[0].sum() / sums[1].sum() - 1)
    assert found.relative - found.relative_lower == pytest.approx(found.relative - low, rel=0.1)


def test_production_of_judged_pairs_is_the_order_of_document_score(make_pairs):
    judged = make_pairs(judged=True)
    scores = np.random.default_rng(0).normal(size=len(judged))
    gate = compare(judged.y, "production", replace(judged, document_score=scores))
    assert gate.metrics == compare(judged.y, scores, judged).metrics
    assert "document_score" in gate.baseline
    with pytest.raises(InvalidInputError, match="which 3,000 of 3,000 rows lack"):
        compare(judged.y, "production", judged)


# Bad input


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"baseline": "prodution"}, "expected a Ranker, scores or 'production'"),
        ({"tolerance": -0.1}, "tolerance: .* got -0.1"),
        ({"confidence": 0.5}, "confidence: .* got 0.5"),
        ({"metrics": ["ndcg@10"]}, "metric: got 'ndcg@10'"),
        ({"candidate": np.zeros(3)}, "scores: expected 20000"),
        ({"pairs": [1]}, "pairs: expected TrainingPairs"),
    ],
)
def test_bad_input_is_refused_with_the_reason(log, options, says):
    given = {"candidate": relevance(log), "baseline": "production", "pairs": log, **options}
    with pytest.raises(InvalidInputError, match=says):
        compare(given.pop("candidate"), given.pop("baseline"), given.pop("pairs"), **given)


@pytest.mark.parametrize("name", ["examination", "candidates", "propensity"])
def test_what_is_for_logs_is_refused_for_judged_pairs(make_pairs, name):
    judged = make_pairs(judged=True)
    with pytest.raises(InvalidInputError, match=f"{name}: is for logs"):
        compare(judged.y, -judged.y, judged, **{name: np.ones(3)})


def test_judged_pairs_without_a_positive_grade_are_refused(make_pairs):
    judged = make_pairs(judged=True)
    nothing = replace(judged, y=np.zeros_like(judged.y))
    with pytest.raises(InvalidInputError, match="no query has"):
        compare(relevance(judged), -relevance(judged), nothing)


def test_the_verdict_is_plain_values(ranker, log):
    gate = compare(ranker, "production", log, examination=CURVE)
    plain = json.loads(json.dumps(gate.to_dict(), allow_nan=False))
    assert plain["passed"] is True
    assert plain["metrics"]["DCG@5"]["passed"] is True
    assert plain["metrics"]["DCG@10"]["lower"] == gate.metrics["DCG@10"].lower
