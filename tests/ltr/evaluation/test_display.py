"""Pictures of reports and gates show the numbers of these."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from rankloom._shared.gate import GateMetric
from rankloom.errors import InvalidInputError
from rankloom.ltr import Gate, evaluate, parse_metric

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def pairs(make_pairs):
    return make_pairs(300, shuffled=True, random_state=1)


@pytest.fixture(scope="module")
def scores(pairs):
    return np.nan_to_num(pairs.X[:, 0])


@pytest.fixture(scope="module")
def report(pairs, scores):
    return evaluate(pairs, scores, metrics=["ndcg@5", "mrr@10"], n=200)


def test_the_marks_are_differences_and_the_bars_their_intervals(report, axes):
    display = report.plot(axes)
    compared = list(report.metrics.values())
    np.testing.assert_allclose(
        axes.lines[0].get_xdata(), [each.difference for each in compared], atol=1e-12
    )
    for row, (segment, each) in enumerate(
        zip(axes.collections[0].get_segments(), compared, strict=True)
    ):
        np.testing.assert_allclose(segment[:, 0], each.interval)
        assert segment[:, 1].tolist() == [row, row]
    assert display.metrics == ("nDCG@5", "MRR@10")
    assert "95% interval" in axes.get_xlabel()


def test_without_a_baseline_the_marks_are_the_values(pairs, scores, axes):
    judged = replace(
        pairs,
        position=np.full(len(pairs), -1, np.int32),
        document_score=np.full(len(pairs), np.nan),
    )
    report = evaluate(judged, scores, metrics=["ndcg@5"])
    report.plot(axes)
    assert axes.lines[0].get_xdata().tolist() == [report.metrics["nDCG@5"].ranker]
    with pytest.raises(InvalidInputError, match="no baseline"):
        report.plot_gain()


def test_gains_are_means_over_executions_of_each_query_in_ascending_order(
    report, pairs, scores, axes
):
    display = report.plot_gain(axes)
    metric = parse_metric("ndcg@5")
    gain = metric(pairs.y, scores, pairs.group) - metric(
        pairs.y, -pairs.position.astype(float), pairs.group
    )
    expected = sorted(
        np.nanmean(gain[pairs.query_code == query])
        for query in np.unique(pairs.query_code[np.isfinite(gain)])
    )
    np.testing.assert_allclose(display.gain, expected)
    np.testing.assert_allclose(axes.patches[-1].get_data().values, expected)
    assert sum(display.shares) == pytest.approx(1.0)
    assert "nDCG@5" in axes.get_ylabel()


def test_a_report_as_plain_values_has_no_arrays(report):
    assert "query_gain" not in json.loads(json.dumps(report.to_dict()))


def gate():
    metrics = {
        "DCG@10": GateMetric(4.4, 4.0, 0.4, 0.2, 0.1, 0.05, limit=0.0, decides=True),
        "DCG@5": GateMetric(1.0, 1.1, -0.1, -0.2, -0.09, -0.18, limit=-0.01, decides=False),
        "clicks@10": GateMetric(1.0, 0.0, 1.0, None, None, None, limit=-0.01, decides=False),
    }
    return Gate(
        passed=False,
        primary="DCG@10",
        metrics=metrics,
        reasons=["some"],
        baseline="the production order",
        executions=10,
        method="doubly robust estimates",
        confidence=0.95,
    )


def test_a_gate_shows_gains_bounds_and_limits(axes):
    gate().plot(axes)
    passing, failing = axes.lines[:2]
    np.testing.assert_array_equal(passing.get_xdata(), [0.1, np.nan, np.nan])
    np.testing.assert_array_equal(failing.get_xdata(), [np.nan, -0.09, np.nan])
    bars = axes.collections[0].get_segments()[0]
    assert bars[:, 0].tolist() == [0.05, 0.1]
    limits = axes.collections[2].get_segments()
    assert [segment[0, 0] for segment in limits] == [0.0, -0.01, -0.01]
    assert "95% bound" in axes.get_xlabel()
    assert "does not pass" in axes.get_title("left")
