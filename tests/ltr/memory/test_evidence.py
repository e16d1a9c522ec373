"""Evidence is a set of units: order, repeats and the way of merging change nothing."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.errors import InvalidInputError, StateMismatchError
from rankloom.ltr import QueryMemory
from rankloom.ltr.memory.units import fold

NUMBERS = ["clicks", "exposure", "prior", "relevance", "lower", "upper"]
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def later(seconds):
    return START + dt.timedelta(seconds=seconds)


def state(memory):
    return memory.to_bytes()


@pytest.fixture(scope="module")
def whole(parts, memory_of):
    """Return a memory of the whole log, which no test may change."""
    return memory_of(parts[0], parts[0])


@given(order=st.permutations([0, 1, 2, 2, 0]))
def test_updates_in_any_order_and_repeated_are_one(parts, memory_of, whole, order):
    log, pieces = parts
    memory = memory_of(log, pieces[order[0]])
    for index in order[1:]:
        memory.update(pieces[index])
    same = zip(*(fold([m.evidence.state.units]) for m in (memory, whole)), strict=True)
    assert all(np.array_equal(a, b) for a, b in same)
    a, b = (m.estimate().table() for m in (memory, whole))
    np.testing.assert_allclose(a[NUMBERS].to_numpy(), b[NUMBERS].to_numpy(), rtol=1e-5)


@given(order=st.permutations(range(3)), again=st.integers(0, 2), compacted=st.booleans())
def test_merges_are_commutative_associative_and_idempotent(
    parts, memory_of, whole, order, again, compacted
):
    log, pieces = parts

    def shards():
        # Shards of different sources share no execution once some of it is compacted.
        disjoint = [log.take(np.arange(i, 240, 3)) for i in range(3)]
        made = [
            memory_of(log, piece, source=name)
            for piece, name in zip(disjoint if compacted else pieces, "abc", strict=True)
        ]
        for memory in made[: 2 * compacted]:
            assert memory.compact(later(100))
        return made

    left = [shards()[index] for index in order]
    left[0].merge(left[1])
    left[0].merge(left[2])
    left[0].merge(shards()[again])
    right = [shards()[index] for index in order]
    right[1].merge(right[2])
    right[1].merge(right[0])
    a, b = left[0].table(), right[1].table()
    assert a.select("query_id", "feature_id").equals(b.select("query_id", "feature_id"))
    np.testing.assert_allclose(a[NUMBERS].to_numpy(), b[NUMBERS].to_numpy(), rtol=1e-6)
    expected = whole.table()
    np.testing.assert_allclose(a["clicks"].sum(), expected["clicks"].sum(), rtol=1e-6)
    np.testing.assert_allclose(a["exposure"].sum(), expected["exposure"].sum(), rtol=1e-6)


def test_an_older_copy_of_a_source_adds_nothing(parts, memory_of):
    log, _ = parts
    memory, older = memory_of(log, log), memory_of(log, log.take(np.arange(80)))
    memory.compact(later(120))
    before = state(memory)
    memory.merge(older)
    assert state(memory) == before
    older.merge(memory)
    np.testing.assert_allclose(older.table()["clicks"].sum(), memory.table()["clicks"].sum())


def test_a_late_click_counts_and_its_repeat_does_not(parts, memory_of):
    log, _ = parts
    shown = replace(log, y=np.zeros_like(log.y), clicked=np.zeros_like(log.clicked))
    memory = memory_of(log, shown)
    assert memory.table()["clicks"].sum() == 0
    for _ in range(2):
        assert memory.update(log) == 0
        assert memory.table()["clicks"].sum() == log.y.sum()


@pytest.mark.parametrize("half_life", [None, 0.001])
def test_compaction_changes_no_sum_and_refuses_what_is_older(parts, memory_of, half_life):
    log, _ = parts
    memory = memory_of(log, log, half_life=half_life)
    before = memory.table()
    assert memory.compact(later(100)) == 500
    assert memory.compact(later(100)) == 0
    numbers = ["clicks", "exposure", "prior", "relevance"]
    np.testing.assert_allclose(memory.table()[numbers], before[numbers], rtol=1e-5, atol=1e-9)
    assert memory.update(log) == 500
    np.testing.assert_allclose(memory.table()[numbers], before[numbers], rtol=1e-5, atol=1e-9)


def test_compacting_in_two_steps_is_compacting_once(parts, memory_of):
    log, _ = parts
    once, twice = (memory_of(log, log, half_life=0.001) for _ in range(2))
    once.compact(later(200))
    twice.compact(later(50))
    twice.compact(later(200))
    a, b = (memory.table()["clicks"].to_numpy() for memory in (once, twice))
    np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("kind", ["query", "feature_id", "user_id"])
def test_what_was_forgotten_is_as_if_it_had_never_been(parts, memory_of, kind):
    log, _ = parts
    memory, copy = memory_of(log, log), memory_of(log, log)
    value = {"query": "query-2", "feature_id": log.document_id[7], "user_id": "user-3"}[kind]
    execution = log.execution_index
    gone = {
        "query": (log.query_id == value).to_numpy()[execution],
        "feature_id": (log.document_id == value).to_numpy(),
        "user_id": (log.context["user_id"] == value).to_numpy()[execution],
    }[kind]
    removed = memory.forget(**{kind: value})
    assert removed.units == gone.sum() > 0
    assert memory.table()["clicks"].sum() == log.y[~gone].sum()
    assert value.encode() not in state(memory)
    forgotten = state(memory)
    memory.merge(copy)
    assert memory.table()["clicks"].sum() == log.y[~gone].sum()
    copy.merge(memory)
    assert copy.table().equals(memory.table())
    assert memory.update(log) == gone.sum()
    assert memory.evidence.state.units.time.size == len(
        QueryMemory.load_bytes(forgotten).evidence.state.units.time
    )


def test_evidence_after_a_deletion_counts(parts, memory_of):
    log, _ = parts
    memory = memory_of(log, log.take(np.arange(100)))
    memory.forget(query="query-2")
    memory.update(log.take(np.arange(100, 240)))
    new = log.take(np.arange(100, 240))
    clicks = new.y[(new.query_id == "query-2").to_numpy()[new.execution_index]].sum()
    assert memory.table().filter(query_id="query-2")["clicks"].sum() == clicks > 0


def test_compacted_sums_lose_queries_and_documents_but_not_users(parts, memory_of):
    log, _ = parts
    memory, copy = memory_of(log, log), memory_of(log, log)
    for each in (memory, copy):
        each.compact(later(1000))
    removed = memory.forget(query="query-2")
    assert (removed.units, removed.unknown) == (0, 0)
    assert removed.sums > 0
    memory.merge(copy)
    assert memory.table().filter(query_id="query-2").is_empty()
    unknown = memory.forget(user_id="user-3")
    assert (unknown.units, unknown.sums, unknown.unknown) == (0, 0, 1200)


def test_settings_that_change_the_meaning_of_sums_do_not_merge(parts, memory_of):
    log, _ = parts
    memory = memory_of(log, log)
    for options in ({"half_life": 3.0}, {"gains": [0, 2]}, {"clip": 0.2}):
        with pytest.raises(StateMismatchError, match="learn again from the log"):
            memory.merge(memory_of(log, log, **options))
    scored = QueryMemory().fit(log, prior=np.zeros(len(log)))
    with pytest.raises(StateMismatchError):
        memory.merge(scored)


def test_folding_keeps_known_times_and_scores(parts, memory_of):
    log, _ = parts
    units = memory_of(log, log).evidence.state.units
    blank = units._replace(
        time=np.full_like(units.time, np.iinfo(np.int64).max),
        score=np.full_like(units.score, np.nan),
    )
    for pair in itertools.permutations([units, blank]):
        folded = fold(pair)
        assert all(np.array_equal(a, b) for a, b in zip(folded, fold([units]), strict=True))


def test_memory_for_serving_only_takes_no_evidence(parts, memory_of, tmp_path):
    log, _ = parts
    memory_of(log, log).save(tmp_path / "memory", serving=True)
    loaded = QueryMemory.load(tmp_path / "memory")
    for change in (
        lambda: loaded.update(log),
        lambda: loaded.compact(START),
        lambda: loaded.forget(query="a"),
        loaded.estimate,
    ):
        with pytest.raises(InvalidInputError, match="saved for serving only"):
            change()
    with pytest.raises(InvalidInputError, match="saved for serving only"):
        memory_of(log, log).merge(loaded)


def test_a_memory_without_users_says_nothing_of_them(make_pairs):
    memory = QueryMemory().fit(make_pairs(50, shuffled=True))
    assert memory.forget(user_id="user-3").units == 0
    assert isinstance(memory.table(), pl.DataFrame)
