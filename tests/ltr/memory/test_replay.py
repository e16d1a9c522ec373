from __future__ import annotations

import json

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import QueryMemory, Ranker, gated_memory, held_out_scores

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


def remembered(log, rows):
    """Return each document's clicks over examinations in some rows, for all rows."""
    clicks, examined = (
        np.bincount(log.document_code[rows], each[rows], len(log.documents))
        for each in (log.y, CURVE[log.position])
    )
    return ((clicks + 0.1) / (examined + 1.0))[log.document_code]


def test_a_prior_that_knows_the_clicks_gets_less_strength_by_clicks_that_it_does_not_know(
    make_pairs,
):
    log = make_pairs(1500, queries=15, shuffled=True, random_state=3)
    later = (log.time >= np.sort(log.time)[750])[log.execution_index]
    held_out = np.where(later, remembered(log, ~later), np.nan)
    prior = remembered(log, np.ones(len(log), dtype=bool))
    by_known = QueryMemory(examination=CURVE).fit(log, prior=prior)
    by_unseen = QueryMemory(examination=CURVE).fit(log, prior=prior, held_out=held_out)
    assert by_unseen.strength_.common < by_known.strength_.common / 2
    assert by_unseen.strength_.z > by_known.strength_.z
    assert by_unseen.table()["clicks"].equals(by_known.table()["clicks"])
    assert by_unseen.estimate().strength_ == by_known.strength_


def test_scores_that_are_held_out_throughout_are_those_of_the_prior(make_pairs):
    log = make_pairs(600, queries=10, shuffled=True, random_state=3)
    scores = noise(log)
    plain = QueryMemory(examination=CURVE).fit(log, prior=scores)
    assert QueryMemory(examination=CURVE).fit(log, prior=scores, held_out=scores).strength_ == (
        plain.strength_
    )


def test_held_out_scores_are_those_of_a_ranker_of_the_earlier_part(make_pairs):
    log = make_pairs(400, queries=10, shuffled=True, random_state=3)
    values = np.random.default_rng(0).normal(size=(len(log.documents), 5)).astype(np.float32)
    log.X = values[log.document_code]
    ranker = Ranker("none", n_jobs=1, n_estimators=3, min_data_in_leaf=5)
    found = held_out_scores(ranker, log, test_fraction=0.25)
    later = log.time >= np.sort(log.time)[300]
    rows = later[log.execution_index]
    expected = ranker.fit(log.take(~later)).predict(log.take(later))
    np.testing.assert_array_equal(found[rows], expected)
    assert np.isnan(found[~rows]).all()


@pytest.mark.parametrize("scores", [np.zeros(3), np.full(50, np.nan), np.full(50, np.inf)])
def test_held_out_scores_are_one_for_each_pair_and_some_are_known(make_pairs, scores):
    log = make_pairs(10, queries=2, per_execution=5)
    with pytest.raises(InvalidInputError, match="held_out: expected 50 scores"):
        QueryMemory(examination=CURVE).fit(log, held_out=scores)
