"""Estimates from logs against closed forms, enumerated worlds, simulation and brute force."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import PositionBias, TrainingPairs, load_letor
from rankloom.errors import InvalidInputError
from rankloom.ltr import evaluate_from_logs
from rankloom.ltr.counterfactual.clusters import Clusters, find_clusters
from rankloom.ltr.counterfactual.log_evaluation import curve_errors

CURVE = np.array([1.0, 0.5, 0.25, 0.2])
ESTIMATORS = ("ips", "snips", "doubly_robust")


def discount(rank):
    """Return the discount of a 0-based rank."""
    return 1 / np.log2(rank + 2)


def log_of(lists, clicks, query=None, **changes):
    """Return the pairs of shown lists: document numbers by position, and what was clicked."""
    group = np.array([len(shown) for shown in lists], dtype=np.int32)
    n, e = int(group.sum()), len(lists)
    clicked = np.concatenate([np.asarray(each, dtype=bool) for each in clicks])
    values = {
        "X": np.zeros((n, 0), dtype=np.float32),
        "y": clicked.astype(np.float32),
        "clicked": clicked,
        "negative": np.zeros(n, dtype=bool),
        "group": group,
        "position": np.concatenate([np.arange(size) for size in group]).astype(np.int32),
        "document_score": np.full(n, np.nan),
        "age_days": np.zeros(n, dtype=np.float32),
        "weight": np.ones(n, dtype=np.float32),
        "time": np.datetime64("2024-01-01", "us") + np.arange(e),
        "execution_id": pl.Series([f"e{i:06}" for i in range(e)]),
        "query_code": np.zeros(e, np.int32) if query is None else np.asarray(query, np.int32),
        "queries": pl.Series([f"q{i}" for i in range(50)]),
        "document_code": np.concatenate(lists).astype(np.int32),
        "documents": pl.Series([f"d{i}" for i in range(100)]),
        "feature_names": (),
    }
    return TrainingPairs(**{**values, **changes})


def score_by_document(pairs, scores):
    """Return the score of every row from one for every document."""
    return np.asarray(scores, dtype=float)[pairs.document_code]


def relevance(pairs):
    """Return the relevance of the rows of the simulated world (see conftest)."""
    value = np.nan_to_num(pairs.X[:, 0]) + 0.7 * np.nan_to_num(pairs.X[:, 1])
    return 1 / (1 + np.exp(-2 * value.astype(float) + 1))


def value_by_hand(pairs, scores, gain, k=10):
    """Return the mean over executions of sum discount * gain, ranking all of a query's documents.

    Python loops on purpose: an oracle for the vectorised code.
    """
    execution = pairs.execution_index
    by_query = {}
    for row in range(len(pairs)):
        documents = by_query.setdefault(int(pairs.query_code[execution[row]]), {})
        documents[int(pairs.document_code[row])] = (scores[row], gain[row])
    value = {}
    for query, documents in by_query.items():
        best = sorted(documents.values(), reverse=True)[:k]
        value[query] = sum(discount(rank) * each[1] for rank, each in enumerate(best))
    return float(np.mean([value[int(query)] for query in pairs.query_code]))


# Exact answers


def test_estimates_of_a_small_log_are_those_computed_by_hand():
    """Document 0 was shown first and second, 1 second and third, 2 third and first; e = 1, .5, .25.

    Gains over examinations: 0: 1 / 1.5; 1: 1 / 0.75; 2: 0 / 1.25.
    """
    pairs = log_of([[0, 1, 2], [2, 0, 1]], [[1, 0, 0], [0, 0, 1]])
    scores = score_by_document(pairs, [1.0, 3.0, 2.0])
    report = evaluate_from_logs(pairs, scores, examination=CURVE)
    expected = discount(0) / 0.75 + discount(2) / 1.5
    assert report.candidate["ips"].value == pytest.approx(expected)
    assert report.candidate["snips"].value == pytest.approx(expected)
    shown = (discount(0) + discount(1)) / 2 / 1.5 + (discount(1) + discount(2)) / 2 / 0.75
    assert report.baseline["ips"].value == pytest.approx(shown * 1.0)
    weights = np.array([discount(2) / 0.75, discount(0) / 0.375, discount(1) / 0.625]).repeat(2)
    expected_size = weights.sum() ** 2 / (weights**2).sum()
    assert report.effective_sample_size == pytest.approx(expected_size)
    assert report.overlap.smallest_propensity == pytest.approx(0.375)


def test_what_is_shown_cut_off_and_clicks_have_their_own_discounts():
    pairs = log_of([[0, 1, 2], [2, 0, 1]], [[1, 0, 0], [0, 0, 1]])
    scores = score_by_document(pairs, [1.0, 3.0, 2.0])
    clicks = evaluate_from_logs(pairs, scores, examination=CURVE, metric="clicks@10")
    assert clicks.candidate["ips"].value == pytest.approx(1 / 0.75 + 0.25 / 1.5)
    assert clicks.baseline["ips"].value == pytest.approx(1.0)  # the clicks that there were
    first = evaluate_from_logs(pairs, scores, examination=CURVE, metric="precision@1")
    assert first.candidate["ips"].value == pytest.approx(1 / 0.75)


def test_a_grade_counts_its_gain():
    pairs = log_of([[0, 1], [1, 0]], [[1, 0], [0, 1]])
    graded = replace(pairs, y=pairs.y * 3)
    scores = score_by_document(pairs, [2.0, 1.0])
    one, three = (evaluate_from_logs(p, scores, examination=CURVE) for p in (pairs, graded))
    assert three.candidate["ips"].value == pytest.approx(7 * one.candidate["ips"].value)
    clicks = [
        evaluate_from_logs(p, scores, examination=CURVE, metric="clicks@2").gain.value
        for p in (pairs, graded)
    ]
    assert clicks[0] == clicks[1]


def test_tied_scores_share_their_ranks():
    pairs = log_of([[0, 1], [1, 0]], [[1, 0], [0, 1]])
    found = evaluate_from_logs(pairs, np.zeros(4), examination=CURVE)
    each_order = [
        evaluate_from_logs(pairs, score_by_document(pairs, s), examination=CURVE)
        for s in ([1, 0], [0, 1])
    ]
    for name in ("ips", "snips"):
        mean = np.mean([report.candidate[name].value for report in each_order])
        assert found.candidate[name].value == pytest.approx(mean)


def test_the_pool_of_an_execution_is_what_it_showed():
    pairs = log_of([[0, 1], [2, 0]], [[1, 0], [0, 1]])
    scores = score_by_document(pairs, [1.0, 3.0, 2.0])
    report = evaluate_from_logs(pairs, scores, examination=CURVE, pool="execution")
    # Document 0 comes second in both; 1 and 2 come first once each, without a click.
    assert report.candidate["ips"].value == pytest.approx(discount(1) * 2 / 1.5)


# One ranking of two, one click pattern of four: every log of two executions


LISTS = ([0, 1], [2, 0])
PROBABILITY = (0.7, 0.3)
RELEVANCE = np.array([0.6, 0.3, 0.8])
CANDIDATES = pl.DataFrame({"query_id": ["q0"] * 3, "feature_id": ["d0", "d1", "d2"]})
PROPENSITY = np.array([0.7 * 1.0 + 0.3 * 0.5, 0.7 * 0.5, 0.3 * 1.0])


def outcomes(executions):
    """Yield every log of so many executions, with its probability."""
    single = [
        (
            LISTS[ranking],
            clicks,
            PROBABILITY[ranking]
            * np.prod(
                [
                    p if click else 1 - p
                    for click, p in zip(clicks, CURVE[:2] * RELEVANCE[LISTS[ranking]], strict=True)
                ]
            ),
        )
        for ranking in range(2)
        for clicks in product([0, 1], repeat=2)
    ]
    for chosen in product(single, repeat=executions):
        pairs = log_of([each[0] for each in chosen], [each[1] for each in chosen])
        yield pairs, float(np.prod([each[2] for each in chosen]))


@pytest.mark.parametrize("order", [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
def test_with_known_propensities_ips_and_doubly_robust_are_exactly_unbiased(order):
    """Every log is enumerated: the mean over all of them is the truth to the last digit."""
    rank = np.argsort(np.argsort(-np.array(order)))
    truth = float((discount(rank) * RELEVANCE).sum())
    means, total, varies = dict.fromkeys(ESTIMATORS, 0.0), 0.0, []
    for pairs, probability in outcomes(2):
        report = evaluate_from_logs(
            pairs,
            order,
            examination=CURVE,
            candidates=CANDIDATES,
            propensity=PROPENSITY,
            clips=(),
        )
        total += probability
        varies.append(report.candidate["doubly_robust"].value - report.candidate["ips"].value)
        for name in ESTIMATORS:
            means[name] += probability * report.candidate[name].value
    assert total == pytest.approx(1)
    assert means["ips"] == pytest.approx(truth, rel=1e-12)
    assert means["doubly_robust"] == pytest.approx(truth, rel=1e-12)
    assert np.abs(varies).max() > 0.1  # the model is at work, and its errors cancel
    assert means["snips"] != pytest.approx(truth, rel=1e-3)  # consistent, not unbiased


@pytest.mark.parametrize("known", [True, False])
def test_the_value_of_production_is_exactly_unbiased(known):
    truth = sum(
        PROBABILITY[r] * float((discount(np.arange(2)) * RELEVANCE[LISTS[r]]).sum())
        for r in range(2)
    )
    options = {"candidates": CANDIDATES, "propensity": PROPENSITY} if known else {}
    means = dict.fromkeys(ESTIMATORS, 0.0)
    for pairs, probability in outcomes(2):
        scores = np.zeros(3 if known else len(pairs))
        found = evaluate_from_logs(pairs, scores, examination=CURVE, clips=(), **options).baseline
        for name in ESTIMATORS:
            means[name] += probability * found[name].value
    assert means["ips"] == pytest.approx(truth, rel=1e-12)
    assert means["doubly_robust"] == pytest.approx(truth, rel=0.01)


# Against brute force


def test_the_estimate_is_each_documents_gains_over_its_examinations(make_pairs):
    """With propensities from the log, IPS is a ratio estimate, document by document."""
    pairs = make_pairs(400, random_state=5)
    curve = 1 / np.arange(1, 11)
    scores = np.random.default_rng(0).normal(size=1000)[pairs.document_code]
    report = evaluate_from_logs(pairs, scores, examination=curve, clip=0.0)
    ratio = {}
    for row in range(len(pairs)):
        gain, before = ratio.get(pairs.document_code[row], (0.0, 0.0))
        examined = curve[pairs.position[row]]
        ratio[pairs.document_code[row]] = (gain + pairs.y[row], before + examined)
    gain = [ratio[code][0] / ratio[code][1] for code in pairs.document_code]
    expected = value_by_hand(pairs, scores, gain)
    assert report.candidate["ips"].value == pytest.approx(expected)
    assert report.candidate["snips"].value == pytest.approx(expected)
    assert report.candidate["doubly_robust"].value == pytest.approx(expected, rel=0.02)


def test_the_order_of_executions_changes_nothing(make_pairs):
    pairs = make_pairs(300)
    scores = np.random.default_rng(1).normal(size=1000)[pairs.document_code]
    users = pl.Series([f"u{i % 70}" for i in range(300)])
    pairs = replace(pairs, context={"user_id": users})
    order = np.random.default_rng(2).permutation(300)
    shuffled = pairs.take(order)
    rows = np.random.default_rng(1).normal(size=1000)[shuffled.document_code]
    one = evaluate_from_logs(pairs, scores, examination=1 / np.arange(1, 11))
    other = evaluate_from_logs(shuffled, rows, examination=1 / np.arange(1, 11))
    for name in ESTIMATORS:
        assert other.candidate[name].value == pytest.approx(one.candidate[name].value)
        assert other.candidate[name].interval == pytest.approx(one.candidate[name].interval)
    assert other.gain.lower == pytest.approx(one.gain.lower)
    assert other.effective_sample_size == pytest.approx(one.effective_sample_size)


def test_a_right_model_without_noise_leaves_nothing_to_correct():
    """Always clicked when examined at 1: the residuals are 0, and the model alone is the value."""
    lists = [[i % 4, (i + 1) % 4, (i + 2) % 4, (i + 3) % 4] for i in range(40)]
    clicks = np.ones((40, 4), dtype=bool)
    pairs = log_of(lists, clicks)
    scores = score_by_document(pairs, [4, 3, 2, 1])
    report = evaluate_from_logs(pairs, scores, examination=np.ones(4))
    ideal = discount(np.arange(4)).sum()
    assert report.modelled == pytest.approx(ideal)
    for name in ESTIMATORS:
        assert report.candidate[name].value == pytest.approx(ideal)
    assert report.candidate["doubly_robust"].standard_error == pytest.approx(0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 0.3]))
def test_snips_is_within_the_possible_range(seed, clip):
    """It is a weighted mean of gains over examinations: at most 1 / e(last) times the discounts."""
    generator = np.random.default_rng(seed)
    lists = [generator.permutation(6)[:3] for _ in range(12)]
    clicks = generator.random((12, 3)) < 0.4
    pairs = log_of(lists, clicks, query=generator.integers(0, 3, 12))
    scores = generator.normal(size=6)[pairs.document_code]
    report = evaluate_from_logs(pairs, scores, examination=CURVE, clip=clip)
    ideal = discount(np.arange(6)).sum()
    assert 0 <= report.candidate["snips"].value <= ideal / CURVE[2] + 1e-9


# Standard errors


@pytest.fixture(scope="module")
def bootstrapped(make_pairs):
    """Estimates of a log, and those of 120 resamples of its users, each computed as a whole."""
    pairs = make_pairs(400, shuffled=True, per_execution=10, random_state=1)
    curve = 1 / np.arange(1, 11)
    user = np.random.default_rng(3).integers(0, 120, 400)
    propensity = np.full(len(pairs), curve.sum() / 25)
    world = np.random.default_rng(4).normal(size=1000)

    def evaluated(log):
        return evaluate_from_logs(
            log,
            world[log.document_code],
            examination=curve,
            propensity=np.full(len(log), propensity[0]),
            clips=(),
        ).candidate

    known = replace(pairs, context={"user_id": pl.Series([f"u{u:03}" for u in user])})
    by_user = [np.flatnonzero(user == u) for u in range(120)]
    generator, replicates = np.random.default_rng(5), []
    for _ in range(120):
        drawn = generator.integers(0, 120, 120)
        executions = np.concatenate([by_user[u] for u in drawn])
        copy = np.repeat(np.arange(120), [len(by_user[u]) for u in drawn])
        log = known.take(executions)
        log.context["user_id"] = pl.Series([f"c{c:03}" for c in copy])
        log.execution_id = pl.Series([f"x{i}" for i in range(len(executions))])
        replicates.append(evaluated(log))
    return evaluated(known), replicates


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_are_those_of_a_bootstrap_over_users(bootstrapped, name):
    """Known propensities: the whole estimate is computed again on every resample."""
    found, replicates = bootstrapped
    values = [each[name].value for each in replicates]
    assert found[name].standard_error == pytest.approx(np.std(values, ddof=1), rel=0.25)


def test_clusters_are_users_else_sessions_else_executions(make_pairs):
    pairs = make_pairs(6)
    users = pl.Series(["u1", "u1", None, None, None, None], dtype=pl.String)
    sessions = pl.Series(["s1", "s2", "s3", "s3", None, None], dtype=pl.String)
    known = replace(pairs, context={"user_id": users, "session_id": sessions})
    clusters = find_clusters(known, "auto")
    assert clusters.count == 4
    code = clusters.of_execution
    assert code[0] == code[1] != code[2] == code[3] != code[4] != code[5]
    assert clusters.by == "user, else session, else execution"
    assert find_clusters(known, "session_id").count == 5
    assert find_clusters(known, "execution").count == 6
    assert find_clusters(pairs, "auto").by == "execution"


def test_a_cluster_is_never_split_between_folds():
    clusters = Clusters(np.random.default_rng(0).integers(0, 50, 300), 50, "user")
    for cluster in range(50):
        assert len(np.unique(clusters.fold[clusters.of_execution == cluster])) == 1


def test_repeated_executions_of_a_user_are_no_further_evidence(make_pairs):
    pairs = make_pairs(200)
    users = pl.Series([f"u{i}" for i in range(200)])
    once = replace(pairs, context={"user_id": users})
    tenfold = once.take(np.repeat(np.arange(200), 10))
    tenfold.execution_id = pl.Series([f"x{i}" for i in range(2000)])
    curve = 1 / np.arange(1, 11)
    one, ten, naive = (
        evaluate_from_logs(log, relevance(log), examination=curve, cluster=cluster)
        for log, cluster in ((once, "auto"), (tenfold, "auto"), (tenfold, "execution"))
    )
    error = one.candidate["ips"].standard_error
    assert ten.candidate["ips"].standard_error == pytest.approx(error)
    assert naive.candidate["ips"].standard_error < 0.5 * error


# Simulation


@pytest.mark.parametrize("known", [True, False])
def test_over_many_logs_the_estimates_are_right_and_so_are_their_intervals(make_pairs, known):
    """Random lists, known curve: doubly robust is unbiased, and its intervals hold the truth."""
    curve, errors, held, spread = 1 / np.arange(1, 11), [], [], []
    for seed in range(60):
        pairs = make_pairs(600, shuffled=True, queries=10, random_state=100 + seed)
        scores = relevance(pairs)
        options = {"propensity": np.full(len(pairs), curve.sum() / 25)} if known else {}
        report = evaluate_from_logs(pairs, scores, examination=curve, clips=(), **options)
        by_query = np.zeros((10, 25))
        query = np.repeat(pairs.query_code, 10)
        by_query[query, pairs.document_code - 25 * query] = scores
        best = -np.sort(-by_query, axis=1)[:, :10]
        truth = float((best * discount(np.arange(10))).sum(axis=1).mean())
        estimate = report.candidate["doubly_robust"]
        low, high = estimate.interval
        errors.append({name: report.candidate[name].value - truth for name in ESTIMATORS})
        held.append(low <= truth <= high)
        spread.append(estimate.standard_error)
    robust = np.array([error["doubly_robust"] for error in errors])
    assert abs(robust.mean()) < 4 * robust.std() / np.sqrt(60)
    assert np.mean(spread) == pytest.approx(robust.std(), rel=0.3)
    assert 0.78 <= np.mean(held) <= 0.99
    squared = {name: np.mean([error[name] ** 2 for error in errors]) for name in ESTIMATORS}
    best = min(squared["ips"], squared["snips"])
    assert squared["doubly_robust"] <= 1.1**2 * best


def test_the_gain_over_production_is_found_and_its_bound_is_below_it(make_pairs):
    pairs = make_pairs(3000, shuffled=True, queries=10, random_state=9)
    scores, curve = relevance(pairs), 1 / np.arange(1, 11)
    report = evaluate_from_logs(pairs, scores, examination=curve)
    ranked = value_by_hand(pairs, scores, scores)
    shown = float((scores * discount(pairs.position)).sum() / 3000)
    gain = report.gain
    assert gain.lower == gain.interval[0] <= ranked - shown <= gain.interval[1]
    assert 0 < gain.lower < gain.value
    assert 0 < gain.relative_lower < gain.relative
    worse = evaluate_from_logs(pairs, -scores, examination=curve).gain
    assert worse.interval[1] < 0


def test_paired_differences_are_surer_than_two_intervals(make_pairs):
    pairs = make_pairs(1000, random_state=4)
    scores, curve = relevance(pairs), 1 / np.arange(1, 11)
    near = scores + np.random.default_rng(0).normal(0, 0.01, len(scores))
    report = evaluate_from_logs(pairs, scores, baseline=near, examination=curve)
    apart = np.hypot(
        report.candidate["doubly_robust"].standard_error,
        report.baseline["doubly_robust"].standard_error,
    )
    assert report.gain.standard_error < 0.5 * apart
    same = evaluate_from_logs(pairs, scores, baseline=scores, examination=curve)
    assert same.gain.value == 0
    assert same.gain.interval == pytest.approx((0, 0), abs=1e-12)


# Overlap


def one_ranker(executions=200):
    """Return a log in which each query always got the same list."""
    generator = np.random.default_rng(0)
    query = generator.integers(0, 10, executions)
    lists = [np.arange(4) + 4 * q for q in query]
    return log_of(lists, generator.random((executions, 4)) < 0.4 * CURVE, query)


def test_one_deterministic_ranker_has_a_statement_instead_of_intervals():
    pairs = one_ranker()
    scores = np.random.default_rng(1).normal(size=40)[pairs.document_code]
    for examination in (CURVE, None):
        report = evaluate_from_logs(pairs, scores, examination=examination)
        assert not report.identified
        assert "one deterministic ranker" in report.statement
        assert report.overlap.varied == 0
        estimates = [*report.candidate.values(), *report.baseline.values(), report.gain]
        assert all(each.interval is each.standard_error is None for each in estimates)
        assert report.gain.lower is report.gain.relative_lower is None
        assert f"No interval: {report.statement}" in str(report)
        assert json.loads(json.dumps(report.to_dict()))["gain"]["interval"] is None
    assert report.examination_source == "assumed"
    assert any("assumed" in note for note in report.notes)


def test_intervals_by_a_trusted_curve_come_with_a_note():
    pairs = one_ranker()
    scores = np.random.default_rng(1).normal(size=40)[pairs.document_code]
    report = evaluate_from_logs(pairs, scores, examination=CURVE, require_overlap=False)
    assert report.gain.lower is not None
    assert any("one deterministic ranker" in note for note in report.notes)


def test_documents_that_were_never_shown_have_a_statement_instead_of_intervals(make_pairs):
    pairs = make_pairs(300, queries=5)
    unseen = pl.DataFrame({"query_id": ["query-0"], "feature_id": ["never"]})
    table = pl.DataFrame(
        {"query_id": pairs.query_id.gather(pairs.execution_index), "feature_id": pairs.document_id}
    ).unique(maintain_order=True)
    table = pl.concat([table, unseen])
    curve, scores = 1 / np.arange(1, 11), np.zeros(len(table))
    scores[:-1] = np.random.default_rng(0).normal(size=len(table) - 1)
    for score, identified in ((-99.0, True), (99.0, False)):
        scores[-1] = score  # last, or first, for its query
        report = evaluate_from_logs(pairs, scores, examination=curve, candidates=table)
        assert report.identified is identified
        assert (report.candidate["ips"].interval is not None) is identified
    weight = discount(0) / discount(np.arange(10)).sum()
    share = (pairs.query_code == 0).mean()
    assert report.overlap.shown == pytest.approx(1 - weight * share)
    assert "never shown" in report.statement
    never = evaluate_from_logs(pairs, -scores, baseline=scores, examination=curve, candidates=table)
    assert "the baseline" in never.statement


def test_queries_with_one_execution_are_no_evidence_that_lists_varied():
    pairs = log_of([[0, 1], [2, 3]], [[1, 0], [0, 1]], query=[0, 1])
    report = evaluate_from_logs(pairs, np.arange(4.0), examination=CURVE)
    assert report.overlap.varied is None
    assert "no query has two executions" in report.statement


def test_one_user_alone_has_no_interval(make_pairs):
    pairs = replace(make_pairs(50), context={"user_id": pl.Series(["u"] * 50)})
    report = evaluate_from_logs(pairs, relevance(pairs), examination=1 / np.arange(1, 11))
    assert "one cluster" in report.statement


# Clipping


# Scores that differ between executions of one (query, document)


def dcg_of(pairs, gain, scores):
    """Mean over executions of the DCG of what they showed, in the order of the scores."""
    order = np.lexsort((-scores, pairs.execution_index))
    rank = np.arange(len(pairs)) - np.repeat(pairs.offsets[:-1], pairs.group)
    return float((gain[order] * discount(rank)).sum() / pairs.n_executions)


def test_personal_scores_reorder_each_list_by_its_own_displays(personal):
    pairs, _ = personal(200, 0)
    scores, curve = pairs.X[:, -1].astype(float), 1 / np.arange(1, 11)
    report = evaluate_from_logs(pairs, scores, examination=curve)
    weighted = pairs.y / curve[pairs.position]
    assert report.candidate["doubly_robust"].value == pytest.approx(dcg_of(pairs, weighted, scores))
    assert report.baseline["doubly_robust"].value == pytest.approx(
        dcg_of(pairs, weighted, -pairs.position.astype(float))
    )
    assert report.overlap.smallest_propensity == pytest.approx(0.1)
    assert any("differ between executions" in note for note in report.notes)
    again = evaluate_from_logs(pairs, scores, examination=curve, pool="execution")
    assert again.gain == report.gain


def test_intervals_hold_the_gain_of_personal_scores(personal):
    """Relevance depends on the user's interest, so no estimate by document could be right."""
    held = []
    for seed in range(20):
        pairs, wanted = personal(300, seed)
        informed, blind = 1.5 * pairs.X[:, -1], np.nan_to_num(pairs.X[:, 0])
        report = evaluate_from_logs(
            pairs, informed, baseline=blind, examination=1 / np.arange(1, 11)
        )
        truth = dcg_of(pairs, wanted, informed) - dcg_of(pairs, wanted, blind)
        low, high = report.gain.interval
        held.append(low <= truth <= high)
        assert truth > 0.1
    assert sum(held) >= 15


def test_ranking_all_documents_by_personal_scores_is_not_identified(personal):
    pairs, _ = personal(200, 0)
    report = evaluate_from_logs(pairs, pairs.X[:, -1], examination=CURVE, pool="query")
    assert "scores of one (query, document) differ between executions" in report.statement
    assert "pool='execution'" in report.statement
    assert report.gain.interval is None


def test_scores_that_never_reorder_a_list_are_those_of_documents(make_pairs):
    pairs = make_pairs(200, shuffled=True)
    scores = relevance(pairs)
    options = {"examination": 1 / np.arange(1, 11)}
    report = evaluate_from_logs(pairs, scores, **options)
    assert not any("differ" in note for note in report.notes)
    same = evaluate_from_logs(pairs, scores, pool="query", **options)
    assert same.to_dict() == report.to_dict()


def test_the_sweep_shows_what_clipping_does(make_pairs):
    pairs = make_pairs(500, queries=8)
    scores = relevance(pairs)
    report = evaluate_from_logs(
        pairs, scores, examination=1 / np.arange(1, 11), clip=0.05, clips=(0, 0.05, 0.2, 0.6)
    )
    assert [each.clip for each in report.clipping] == [0, 0.05, 0.2, 0.6]
    for small, large in pairwise(report.clipping):
        assert large.ips <= small.ips
    sizes = [each.effective_sample_size for each in report.clipping]
    assert sizes[0] < sizes[2] < len(pairs)
    same = report.clipping[1]
    for name in ESTIMATORS:
        assert getattr(same, name) == report.candidate[name].value
    assert same.effective_sample_size == report.effective_sample_size
    assert report.clipping[0].ips > 1.2 * report.clipping[-1].ips
    robust = [each.doubly_robust for each in report.clipping]
    assert max(robust) < 1.2 * min(robust)  # the model replaces what clipping cuts


# Bad input


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scores": np.zeros(3)}, "scores: expected 3000 finite numbers"),
        ({"scores": np.full(3000, np.nan)}, "3000 that are not finite"),
        ({"baseline": np.zeros(3)}, "baseline: expected 3000"),
        ({"metric": "ndcg@10"}, "metric: got 'ndcg@10'.*Did you mean 'dcg'"),
        ({"metric": "dcg"}, "expected one of clicks, DCG, P"),
        ({"pool": "all"}, "pool: expected 'auto', 'query' or 'execution'"),
        ({"pool": "execution", "propensity": np.ones(3000)}, "propensity: for pool='query' only"),
        ({"clip": -0.1}, "clip, clips: expected numbers from 0 to 1, got -0.1"),
        ({"clips": (2,)}, "clip, clips: .* got 2"),
        ({"confidence": 1.0}, "confidence: expected a number between 0 and 1"),
        ({"cluster": "usr_id"}, "cluster: got 'usr_id'"),
        ({"propensity": np.zeros(3000)}, "propensity: expected numbers above 0"),
        ({"candidates": [1]}, "candidates: expected a table"),
        ({"candidates": pl.DataFrame({"query_id": ["a"]})}, "no column 'feature_id'"),
        (
            {"candidates": pl.DataFrame({"query_id": ["query-1"], "feature_id": ["document-1"]})},
            "candidates: 3000 rows of the log show documents that are not in the table",
        ),
        ({"examination": [1.0, -1.0]}, "examination"),
    ],
)
def test_bad_input_is_refused_with_the_reason(pairs, options, says):
    given_options = {"examination": 1 / np.arange(1, 11), "scores": np.zeros(3000), **options}
    with pytest.raises(InvalidInputError, match=says):
        evaluate_from_logs(pairs, **given_options)


def test_a_document_that_occurs_twice_among_the_candidates_is_named():
    pairs = log_of([[0, 1]], [[1, 0]])
    table = pl.DataFrame({"query_id": ["q0"] * 3, "feature_id": ["d0", "d1", "d1"]})
    with pytest.raises(InvalidInputError, match="'d1' occurs twice for the query 'q0'"):
        evaluate_from_logs(pairs, np.zeros(3), examination=CURVE, candidates=table)


def test_candidates_in_any_order_and_kind_of_table_are_the_same(make_pairs):
    pd = pytest.importorskip("pandas")
    pairs = make_pairs(200, queries=5)
    table = pl.DataFrame(
        {"query_id": pairs.query_id.gather(pairs.execution_index), "feature_id": pairs.document_id}
    ).unique(maintain_order=True)
    scores = np.random.default_rng(0).normal(size=len(table))
    order = np.random.default_rng(1).permutation(len(table))
    curve = 1 / np.arange(1, 11)
    one = evaluate_from_logs(pairs, scores, examination=curve, candidates=table)
    frame = pd.DataFrame(table[order].to_dict(as_series=False))
    other = evaluate_from_logs(pairs, scores[order], examination=curve, candidates=frame)
    assert other.to_dict() == one.to_dict()


def test_judged_lists_are_sent_to_evaluate(tmp_path):
    path = tmp_path / "judged.txt"
    path.write_text("1 qid:1 1:0.5\n0 qid:1 1:0.1\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="positions are needed.*rankloom.ltr.evaluate"):
        evaluate_from_logs(load_letor(path), [1.0, 0.0])
    with pytest.raises(InvalidInputError, match="pairs: expected TrainingPairs"):
        evaluate_from_logs([1], [1.0])


def test_the_report_is_plain_values_and_a_readable_table(make_pairs):
    pairs = make_pairs(300)
    report = evaluate_from_logs(pairs, relevance(pairs), examination=1 / np.arange(1, 11))
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["candidate"]["ips"]["value"] == report.candidate["ips"].value
    text = str(report)
    for word in ("DCG@10", "IPS", "SNIPS", "doubly robust", "overlap", "clip", "production"):
        assert word in text
    assert evaluate_from_logs(pairs, relevance(pairs), examination=1 / np.arange(1, 11)) == report


# A curve from features


def by_features(covariance):
    """Return a known curve with the errors of one from features."""
    bias = PositionBias.from_curve(CURVE)
    bias._curve = replace(bias._curve, log_covariance=np.asarray(covariance))
    return bias


def test_one_ranker_and_a_curve_from_features_have_intervals_that_hold_the_curves_error():
    pairs = one_ranker()
    scores = np.random.default_rng(1).normal(size=40)[pairs.document_code]
    exact, rough = (
        evaluate_from_logs(pairs, scores, examination=by_features(scale * np.diag([0, 1, 1, 1])))
        for scale in (0.0, 0.04)
    )
    known = evaluate_from_logs(pairs, scores, examination=CURVE, require_overlap=False)
    assert exact.gain.interval == pytest.approx(known.gain.interval)
    assert rough.gain.value == exact.gain.value
    assert rough.gain.standard_error > 1.02 * exact.gain.standard_error
    assert any("with the help of features" in note for note in rough.notes)
    assert rough.statement is None


def test_the_error_of_one_position_changes_an_estimate_by_what_the_curve_there_does():
    pairs = one_ranker()
    scores = np.random.default_rng(1).normal(size=40)[pairs.document_code]
    covariance = np.diag([0, 0.01, 0, 0])
    found = evaluate_from_logs(pairs, scores, examination=by_features(covariance))
    up, known = (
        evaluate_from_logs(pairs, scores, examination=curve, require_overlap=False)
        for curve in (CURVE * np.exp([0, 0.1, 0, 0]), CURVE)
    )
    expected = np.hypot(known.gain.standard_error, up.gain.value - known.gain.value)
    assert found.gain.standard_error == pytest.approx(expected, rel=1e-2)


def test_curve_errors_have_the_covariance_and_are_uncorrelated():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(3, 10))
    errors = curve_errors(factors.T @ factors)
    np.testing.assert_allclose(errors.T @ errors, factors.T @ factors, atol=1e-9)
    products = errors @ errors.T
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)
    assert curve_errors(np.zeros((4, 4))).shape == (0, 4)
    assert len(curve_errors(np.eye(10))) == 4
    assert np.trace(curve_errors(np.eye(10)).T @ curve_errors(np.eye(10))) == pytest.approx(10)
