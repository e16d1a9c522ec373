from __future__ import annotations

import json

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import QueryMemory, Ranker, gated_memory

CURVE = 1 / np.arange(1.0, 11.0)


@pytest.fixture(scope="module")
def halves(make_pairs):
    log = make_pairs(2000, queries=30, shuffled=True, random_state=4)
    return log.take(np.arange(1000)), log.take(np.arange(1000, 2000))


def noise(pairs):
    return np.random.default_rng(len(pairs)).normal(size=len(pairs))


def test_the_gain_has_the_closed_form(halves):
    earlier, later = halves
    memory = QueryMemory(examination=CURVE).fit(earlier, prior=noise(earlier))
    scores = noise(later)
    report = memory.evaluate(later, scores)
    total = 0.0
    factor = memory.estimates.calibration.factor
    for execution in range(later.n_executions):
        rows = np.arange(later.offsets[execution], later.offsets[execution + 1])
        worth = later.y[rows] / (CURVE[later.position[rows]] * factor[later.position[rows]])
        query = later.query_id[execution]
        ids = later.document_id.gather(rows).to_list()
        by_memory = memory.relevance(query, ids, prior=scores[rows])
        for sign, values in ((1, by_memory), (-1, scores[rows])):
            rank = np.argsort(np.argsort(-values))
            total += sign * float((worth / np.log2(rank + 2)).sum())
    assert report.all.gain == pytest.approx(total / later.n_executions, rel=1e-5)
    assert report.all.executions == 1000
    assert report.passed
    assert report.all.lower > 0


def test_bands_add_up_and_the_report_is_json(halves):
    earlier, later = halves
    memory = QueryMemory(examination=CURVE).fit(earlier, prior=noise(earlier))
    report = memory.evaluate(later, noise(later))
    assert sum(band.executions for band in report.bands) + report.unknown == 1000
    assert json.loads(json.dumps(report.to_dict()))["passed"] is True
    assert "Memory passes" in str(report)


def test_queries_that_memory_does_not_know_change_nothing(halves):
    earlier, later = halves
    few = earlier.take(earlier.query_code < 5)
    memory = QueryMemory(examination=CURVE).fit(few, prior=noise(few))
    unknown = later.take(later.query_code >= 5)
    report = memory.evaluate(unknown, noise(unknown))
    assert report.unknown == unknown.n_executions
    assert not report.passed
    assert report.all.lower is None


def test_clicks_at_random_do_not_pass(halves):
    passed = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        parts = []
        for pairs in halves:
            part = pairs.take(np.arange(300))
            part.y = (generator.random(len(part)) < 0.3 * CURVE[part.position]).astype(np.float32)
            parts.append(part)
        scores = [generator.normal(size=len(part)) for part in parts]
        memory = QueryMemory(examination=CURVE).fit(parts[0], prior=scores[0])
        passed += memory.evaluate(parts[1], scores[1]).all.passed
    assert passed <= 4


def test_wrong_options_are_refused(halves):
    earlier, later = halves
    memory = QueryMemory(examination=CURVE).fit(earlier, prior=noise(earlier))
    with pytest.raises(InvalidInputError, match="confidence: expected a number"):
        memory.evaluate(later, noise(later), confidence=0.3)
    with pytest.raises(InvalidInputError, match="what this memory was fitted with, scores"):
        memory.evaluate(later)


def test_a_gated_memory_serves_what_passed_on_the_later_half(make_pairs):
    log = make_pairs(1500, queries=15, shuffled=True, random_state=3)
    values = np.random.default_rng(0).normal(size=(len(log.documents), 5)).astype(np.float32)
    log.X = values[log.document_code]
    ranker = Ranker("none", n_jobs=1, n_estimators=3, min_data_in_leaf=5).fit(log)
    memory = QueryMemory(examination=CURVE)
    report = gated_memory(ranker, log, memory)
    assert report.passed
    assert report.all.executions == 750
    assert memory.served.table.impressions.sum() == 1500
    assert all(p or not s for p, s in zip(report.passed_bands, memory.served_bands_, strict=True))
    ranker.attach_memory(memory)
