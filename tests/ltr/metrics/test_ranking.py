from __future__ import annotations

import itertools

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, ERR, RR, P, R, nDCG
from sklearn.metrics import ndcg_score

from rankloom.errors import InvalidInputError
from rankloom.ltr import (
    average_precision,
    err,
    mrr,
    ndcg,
    parse_metric,
    precision,
    recall,
)
from rankloom.ltr.metrics.ranking import Metric

METRICS = {
    "ndcg": ndcg,
    "mrr": mrr,
    "average_precision": average_precision,
    "precision": precision,
    "recall": recall,
    "err": err,
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())


def random_lists(seed, queries=60, longest=30, *, ties=False):
    generator = np.random.default_rng(seed)
    group = generator.integers(1, longest, queries)
    rows = group.sum()
    y = generator.integers(0, 5, rows) * (generator.random(rows) < 0.4)
    scores = generator.integers(0, 5, rows) if ties else generator.permutation(rows)
    return y.astype(float), scores.astype(float), group


def split(values, group):
    return np.split(values, np.cumsum(group)[:-1])


lists = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=5)
cutoffs = st.one_of(st.none(), st.integers(1, 7))


@pytest.mark.parametrize("k", [1, 5, 10, None])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("gain", ["linear", "exponential"])
def test_ndcg_equals_scikit_learn_with_and_without_ties(k, ties, gain):
    y, scores, group = random_lists(1, ties=ties)
    found = ndcg(y, scores, group, k, gain=gain)
    for value, grades, values in zip(found, split(y, group), split(scores, group), strict=True):
        if grades.max() == 0:
            assert np.isnan(value)
        elif len(grades) > 1:  # scikit-learn refuses single documents
            gains = grades if gain == "linear" else 2**grades - 1
            assert value == pytest.approx(ndcg_score([gains], [values], k=k), abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        (lambda *a: ndcg(*a, 10, gain="linear"), nDCG @ 10),
        (lambda *a: ndcg(*a, None, gain="linear"), nDCG),
        (lambda *a: ndcg(*a, 5), nDCG(gains={0: 0, 1: 1, 2: 3, 3: 7, 4: 15}) @ 5),
        (lambda *a: mrr(*a, None), RR),
        (lambda *a: mrr(*a, 3), RR @ 3),
        (lambda *a: average_precision(*a, None), AP),
        (lambda *a: average_precision(*a, 10), AP @ 10),
        (lambda *a: precision(*a, 5), P @ 5),
        (lambda *a: recall(*a, 5), R @ 5),
    ],
)
def test_metrics_equal_ir_measures_where_scores_are_untied(metric, oracle):
    y, scores, group = random_lists(2)
    query = np.repeat(np.arange(len(group)), group).astype(str)
    rows = list(zip(query, np.arange(len(y)).astype(str), y, scores, strict=True))
    qrels = [ir_measures.Qrel(q, d, int(grade)) for q, d, grade, _ in rows]
    run = [ir_measures.ScoredDoc(q, d, float(score)) for q, d, _, score in rows]
    expected = {m.query_id: m.value for m in ir_measures.iter_calc([oracle], qrels, run)}
    found = metric(y, scores, group)
    positive = [grades.max() > 0 for grades in split(y, group)]
    assert 20 < sum(positive) < len(group)
    for i, value in enumerate(found):
        assert (
            value == pytest.approx(expected[str(i)], abs=1e-9) if positive[i] else np.isnan(value)
        )


def test_err_equals_its_definition_as_a_user_going_down_the_list():
    y, scores, group = random_lists(3)
    for value, grades, values in zip(
        err(y, scores, group, 10), split(y, group), split(scores, group), strict=True
    ):
        going, expected = 1.0, 0.0
        for rank, grade in enumerate(grades[np.argsort(-values)][:10], start=1):
            stop = (2**grade - 1) / 16
            expected += going * stop / rank
            going *= 1 - stop
        assert np.isnan(value) if grades.max() == 0 else value == pytest.approx(expected)


def test_err_follows_the_scale_and_refuses_grades_above_it():
    assert err([1, 0], [2, 1], [2], max_grade=1) == pytest.approx([0.5])
    assert err([6, 0], [2, 1], [2]) == pytest.approx([63 / 64])
    with pytest.raises(InvalidInputError, match="max_grade: got 2, but y holds grade 3"):
        err([3, 0], [2, 1], [2], max_grade=2)


def test_err_equals_ir_measures():
    """The oracle runs a Perl script, so Perl has to be installed."""
    y, scores, group = [4, 0, 2, 0, 1, 3], [6, 5, 4, 3, 2, 1], [3, 3]
    qrels = [ir_measures.Qrel(str(i // 3), str(i), y[i]) for i in range(6)]
    run = [ir_measures.ScoredDoc(str(i // 3), str(i), scores[i]) for i in range(6)]
    try:
        known = {m.query_id: m.value for m in ir_measures.iter_calc([ERR @ 10], qrels, run)}
    except (ValueError, RuntimeError, OSError) as error:
        pytest.skip(f"ir_measures cannot compute ERR here: {error}")
    assert err(y, scores, group) == pytest.approx([known["0"], known["1"]], abs=1e-4)


@every_metric
@settings(max_examples=60, deadline=None)
@given(rows=lists, k=cutoffs)
def test_ties_get_the_mean_over_all_orders_of_the_tied(metric, rows, k):
    y, scores = np.array(rows, dtype=float).T
    lists = []
    for order in itertools.permutations(range(len(y))):
        best_first = sorted(range(len(y)), key=lambda i: (-scores[i], order[i]))
        untied = np.empty(len(y))
        untied[best_first] = -np.arange(len(y))
        lists.append(untied)
    values = metric(np.tile(y, len(lists)), np.concatenate(lists), [len(y)] * len(lists), k)
    assert metric(y, scores, [len(y)], k)[0] == pytest.approx(np.mean(values), nan_ok=True)


@every_metric
def test_the_order_of_rows_does_not_matter_even_for_a_constant_score(metric):
    """Rows are in production order, which must not decide between tied scores."""
    grades, group = np.repeat([[4.0, 3.0, 1.0, 0.0, 0.0, 0.0]], 4, axis=0), [6] * 4
    for scores in (np.zeros(24), np.tile([2.0, 2.0, 1.0, 1.0, 2.0, 1.0], 4)):
        by_row = metric(grades.ravel(), scores, group, 3)
        flipped = metric(grades[:, ::-1].ravel(), scores.reshape(4, 6)[:, ::-1].ravel(), group, 3)
        assert by_row == pytest.approx(flipped, abs=1e-12)
    best = metric(grades.ravel(), np.tile(np.arange(6.0)[::-1], 4), group, 3)
    assert (metric(grades.ravel(), np.zeros(24), group, 3) < best).all()


@every_metric
@pytest.mark.parametrize("ties", [False, True])
def test_queries_do_not_touch_each_other(metric, ties):
    y, scores, group = random_lists(4, ties=ties)
    alone = [
        metric(grades, values, [len(grades)])[0]
        for grades, values in zip(split(y, group), split(scores, group), strict=True)
    ]
    assert metric(y, scores, group) == pytest.approx(np.array(alone), nan_ok=True, abs=1e-12)


@every_metric
@settings(max_examples=60, deadline=None)
@given(rows=lists, k=cutoffs)
def test_values_lie_between_0_and_the_ideal_orders_value(metric, rows, k):
    y, scores = np.array(rows, dtype=float).T
    value, ideal = metric(y, scores, [len(y)], k)[0], metric(y, y, [len(y)], k)[0]
    if y.max() == 0:
        assert np.isnan(value)
        assert np.isnan(ideal)
    else:
        assert -1e-12 <= value <= ideal + 1e-12 <= 1 + 2e-12


@every_metric
def test_queries_without_a_positive_grade_or_a_row_are_nan(metric):
    found = metric([0, 0, 1, 0], [1, 2, 3, 4], [2, 0, 2, 0])
    assert np.isnan(found).tolist() == [True, True, False, True]
    assert metric([], [], []).shape == (0,)
    assert found.dtype == np.float64


@every_metric
def test_only_the_order_of_scores_counts(metric):
    y, scores, group = random_lists(5, ties=True)
    assert metric(y, scores, group) == pytest.approx(
        metric(y, np.exp(scores) - 100, group), nan_ok=True, abs=1e-12
    )


@every_metric
@pytest.mark.parametrize(
    ("y", "scores", "group", "k", "says"),
    [
        ([0, 1], [1.0, np.nan], [2], 10, "scores: every value must be finite, got nan in row 1"),
        ([0, 1], [np.inf, 1.0], [2], 10, "scores: every value must be finite, got inf in row 0"),
        ([0, np.nan], [1, 2], [2], 10, "y: every value must be finite"),
        ([0, -1], [1, 2], [2], 10, "y: grades must be at least 0"),
        ([0, 1], [1, 2], [3], 10, "group: sizes sum to 3, but y has 2 rows"),
        ([0, 1], [1, 2], [3, -1], 10, "group: expected the number of rows"),
        ([0, 1], [1, 2], [1.0, 1.0], 10, "group: expected the number of rows"),
        ([0, 1], [1, 2, 3], [2], 10, "scores: expected 2 values"),
        ([[0, 1]], [1, 2], [2], 10, "y: expected one dimension"),
        ([0, 1], ["a", "b"], [2], 10, "scores: expected numbers"),
        ([0, 1], [1, 2], [2], 0, "k: expected a whole number >= 1"),
        ([0, 1], [1, 2], [2], 2.5, "k: expected a whole number >= 1"),
    ],
)
def test_bad_input_is_refused_with_the_reason(metric, y, scores, group, k, says):
    with pytest.raises(InvalidInputError, match=says):
        metric(y, scores, group, k)


def test_an_unknown_gain_and_an_overflowing_grade_are_refused():
    with pytest.raises(InvalidInputError, match="gain: expected"):
        ndcg([1], [1], [1], gain="cubic")
    with pytest.raises(InvalidInputError, match="too high for the gain"):
        ndcg([2000], [1], [1])
    assert ndcg([2000], [1], [1], gain="linear") == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("text", "shown", "function", "k"),
    [
        ("ndcg@10", "nDCG@10", ndcg, 10),
        ("nDCG", "nDCG", ndcg, None),
        (" MRR @ 5 ", "MRR@5", mrr, 5),
        ("rr@5", "MRR@5", mrr, 5),
        ("map", "MAP", average_precision, None),
        ("AP@100", "MAP@100", average_precision, 100),
        ("P@3", "P@3", precision, 3),
        ("recall@20", "R@20", recall, 20),
        ("err@10", "ERR@10", err, 10),
    ],
)
def test_metrics_are_parsed_from_the_fields_vocabulary(text, shown, function, k):
    metric = parse_metric(text)
    y, scores, group = random_lists(6)
    assert str(metric) == shown
    assert parse_metric(str(metric)) == metric
    np.testing.assert_array_equal(metric(y, scores, group), function(y, scores, group, k))


@pytest.mark.parametrize(
    "text", ["", "ndgc@10", "ndcg@0", "ndcg@-1", "ndcg@ten", "@10", "ndcg@1.5"]
)
def test_an_unknown_metric_is_refused(text):
    with pytest.raises(InvalidInputError, match="metric: got"):
        parse_metric(text)


def test_a_misspelt_metric_is_put_right():
    with pytest.raises(InvalidInputError, match="Did you mean 'ndcg'"):
        parse_metric("ndgc@10")


def test_a_metric_is_a_value():
    assert Metric("nDCG", 10) == parse_metric("ndcg@10")
    assert len({Metric("nDCG", 10), parse_metric("ndcg@10")}) == 1
