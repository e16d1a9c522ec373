"""Sums in layers against the same sums in one table, over random changes."""

from __future__ import annotations

import mmap

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.bandit.evidence import layered_sums
from rankloom.bandit.evidence.decayed_sums import DecayedSums
from rankloom.bandit.evidence.layered_sums import LayeredSums
from rankloom.bandit.units.array_memory import BeyondMemory, InMemory

HALF_LIFE, LATEST = 100.0, 300
NOTHING = DecayedSums.empty(4, squared=3)

units = st.tuples(st.integers(1, 12), st.integers(0, LATEST), st.sampled_from([0.5, 1.0]))
# Units that come, and how many of the oldest that are there go meanwhile.
histories = st.lists(st.tuples(st.lists(units, max_size=5), st.integers(0, 4)), max_size=12)


def sums_of(rows: list[tuple[int, int, float]]) -> DecayedSums:
    made = NOTHING
    for key, time, exposure in rows:
        values = np.array([[exposure, 1.0, 0.0, exposure]])
        one = DecayedSums(np.array([key], np.uint64), np.array([time]), values, squared=3)
        made = made.add(one, HALF_LIFE)
    return made


def whole(layered: LayeredSums) -> DecayedSums:
    made = NOTHING
    for part in layered.parts():
        assert not np.isin(part.keys, made.keys).any()
        made = made.add(part, HALF_LIFE)
    return made


def assert_same(found: DecayedSums, expected: DecayedSums) -> None:
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-12, atol=1e-15)


@given(histories, st.integers(0, 4), st.sampled_from([1, 3, 20_000]), st.booleans())
@settings(max_examples=200)
def test_layers_are_one_table(history, most_recent, at_once, on_disk):
    before = layered_sums.MOST_RECENT, layered_sums.RECENT_SHARE, layered_sums.AT_ONCE
    layered_sums.MOST_RECENT, layered_sums.RECENT_SHARE = most_recent, 0.5
    layered_sums.AT_ONCE = at_once
    try:
        table = NOTHING
        layered = LayeredSums.of(NOTHING, BeyondMemory(largest=0) if on_disk else InMemory())
        there: list[tuple[int, int, float]] = []
        earlier: list[tuple[LayeredSums, DecayedSums]] = []
        for coming, number in history:
            going, there = there[:number], [*there[number:], *coming]
            added, taken = sums_of(coming), sums_of(going)
            table = table.add(added.add(taken.negated(), HALF_LIFE), HALF_LIFE)
            table = table.without_rounding(taken, HALF_LIFE) if len(taken) else table
            layered = layered.exchange(added, taken, HALF_LIFE)
            assert_same(whole(layered), table)
            np.testing.assert_array_equal(layered.keys, table.keys)
            keys = np.arange(14, dtype=np.uint64)
            found = layered.at(keys, LATEST, HALF_LIFE)
            expected = table.at(keys, LATEST, HALF_LIFE)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
            for key in keys:
                one = layered.get(key)
                assert_same(NOTHING if one is None else one, table.select(table.keys == key))
            earlier.append((layered, whole(layered)))
        for kept, as_it_was in earlier:
            assert_same(whole(kept), as_it_was)
    finally:
        layered_sums.MOST_RECENT, layered_sums.RECENT_SHARE, layered_sums.AT_ONCE = before


def test_a_change_of_few_contexts_leaves_the_base():
    many = sums_of([(key, 1, 1.0) for key in range(1, 101)])
    layered = LayeredSums.of(many, InMemory())
    changed = layered.exchange(sums_of([(7, 2, 1.0), (200, 2, 1.0)]), NOTHING, HALF_LIFE)
    assert changed.base is layered.base
    assert changed.recent.keys.tolist() == [7, 200]
    assert len(layered.recent) == 0


def test_contexts_that_leave_the_base_do_not_bring_it_into_memory():
    many = [(key, key, 1.0) for key in range(1, 101)]
    layered = LayeredSums.of(NOTHING, BeyondMemory(largest=0))
    layered = layered.exchange(sums_of(many), NOTHING, HALF_LIFE).as_one(NOTHING.keys)
    changed = layered.exchange(NOTHING, sums_of(many[:3]), HALF_LIFE)
    assert changed.keys.tolist() == list(range(4, 101))
    for each in (layered, changed):
        assert isinstance(owner(each.base.values), mmap.mmap)


def owner(array: object) -> object:
    """Return what holds the memory of an array."""
    while isinstance(array, np.ndarray | memoryview):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return array


def test_many_changes_become_a_base(monkeypatch):
    monkeypatch.setattr(layered_sums, "MOST_RECENT", 10)
    layered = LayeredSums.of(NOTHING, InMemory())
    for key in range(1, 1_001):
        layered = layered.exchange(sums_of([(key, key, 1.0)]), NOTHING, HALF_LIFE)
        assert len(layered.recent) <= max(10, layered_sums.RECENT_SHARE * len(layered.base))
    assert layered.keys.tolist() == list(range(1, 1_001))
