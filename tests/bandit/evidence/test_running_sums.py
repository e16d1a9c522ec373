"""Sums kept by difference against sums of all units, over random histories."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.bandit import Evidence
from rankloom.bandit.evidence import current_sums, layered_sums, running_sums, state, sum_tables
from rankloom.bandit.serving.posterior_snapshot import PosteriorSnapshot
from rankloom.bandit.units.array_memory import BeyondMemory, InMemory
from rankloom.errors import StoreError

ARMS = ("text", "image", "video")
START = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)

rows = st.fixed_dictionaries(
    {
        "execution_id": st.sampled_from(["e1", "e2", "e3", "e4"]),
        "feature_id": st.sampled_from(["a", "b", "c"]),
        "position": st.integers(0, 3),
        "interaction_type": st.sampled_from(
            [["impression"], ["click"], ["impression", "purchase"], ["negative_feedback"]]
        ),
        "feature_uri": st.sampled_from([*ARMS, None]),
        "user_id": st.sampled_from(["u1", "u2", None]),
        "query_snapshot": st.sampled_from([{"q": "x"}, {"q": "y"}, {"q": "z"}, None]),
        "device": st.sampled_from(["phone", "desktop"]),
        "timestamp": st.integers(0, 400).map(lambda hours: START + dt.timedelta(hours=hours)),
        "metadata": st.sampled_from(
            [
                None,
                {
                    "features": {"text": {"score": 0.7}, "image": {"score": 0.2}},
                    "fusion": {"weights": {"text": 0.5, "image": 0.5}},
                },
                {"features": {"video": {"score": 0.9}}},
            ]
        ),
    }
)
steps = st.lists(
    st.one_of(
        st.lists(rows, min_size=1, max_size=6),
        rows,
        st.tuples(st.sampled_from(["reset", "opt_in", "forget"]), st.sampled_from(["u1", "u2"])),
        st.tuples(st.just("compact"), st.integers(0, 400)),
        st.just("add arm"),
        st.just("read"),
    ),
    min_size=2,
    max_size=12,
)


def changed(evidence: Evidence, step: object) -> None:
    """Apply one step of a history."""
    now = START + dt.timedelta(days=30)
    match step:
        case list():
            evidence.update(step, now=now)
        case dict():
            evidence.observe({**step, "occurred_at": step["timestamp"]}, now=now)
        case ("reset", str(user)):
            evidence.reset_user(user, at=START + dt.timedelta(hours=200))
        case ("opt_in", str(user)):
            evidence.opt_in(user, at=START + dt.timedelta(hours=250))
        case ("forget", str(user)):
            evidence.delete_user(user, at=START + dt.timedelta(hours=300))
        case ("compact", int(hours)):
            line = START + dt.timedelta(hours=hours)
            before = evidence.summary.compacted_before
            if before is None or line > before:
                evidence.compact(line)
        case "add arm":
            evidence.add_arm("audio")
        case _:
            evidence.sums()


def assert_same(ours: Evidence, theirs: Evidence) -> None:
    assert ours.latest == theirs.latest
    pairs = [(ours.sums(), theirs.sums())]
    for name in ("user_sums", "query_sums"):
        (keys, sums), (expected_keys, expected) = (getattr(e, name)() for e in (ours, theirs))
        np.testing.assert_array_equal(keys, expected_keys)
        pairs.append((sums, expected))
    for sums, expected in pairs:
        for part in ("N", "S", "F", "Q", "A", "b"):
            found, wanted = getattr(sums, part), getattr(expected, part)
            assert (found is None) == (wanted is None)
            if found is not None:
                np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
                assert part in "Ab" or (found >= 0).all()


@given(steps, st.sampled_from([2, 3, 10]), st.sampled_from([1, 2, 200_000]))
@settings(max_examples=60)
def test_sums_by_difference_are_those_of_all_units(history, max_queries, at_once):
    with_patch = running_sums.SUMMED_AT_ONCE, running_sums.LARGEST_SHARE
    running_sums.SUMMED_AT_ONCE, running_sums.LARGEST_SHARE = at_once, 1.0
    try:
        settings_of = {"segment_by": ["device"], "max_queries": max_queries, "source": "s"}
        kept, anew = (Evidence(ARMS, **settings_of) for _ in range(2))
        kept.state.units.memory = BeyondMemory(largest=0)
        for step in history:
            changed(kept, step)
            changed(anew, step)
            anew.state.changed()  # forgets its sums
            assert_same(kept, anew)
            assert_same(kept.reading_copy(), anew)
    finally:
        running_sums.SUMMED_AT_ONCE, running_sums.LARGEST_SHARE = with_patch


def shown(execution: int, kind: str = "impression") -> dict[str, object]:
    moment = START + dt.timedelta(minutes=execution)
    return {
        "execution_id": f"e{execution}",
        "feature_id": "d",
        "position": 0,
        "interaction_type": [kind],
        "feature_uri": "text",
        "user_id": f"u{execution}",
        "timestamp": moment,
    }


def test_what_changes_nothing_leaves_every_bit_of_the_sums():
    evidence = Evidence(ARMS)
    batch = [shown(i) for i in range(100)]
    evidence.update(batch)
    before = evidence.sums()
    evidence.update(batch[:20])
    after = evidence.sums()
    for part in "NSFQ":
        np.testing.assert_array_equal(getattr(after, part), getattr(before, part))


def test_a_step_looks_at_what_changed_only(monkeypatch):
    evidence = Evidence(ARMS)
    evidence.update([shown(i) for i in range(1_000)])
    evidence.sums(), evidence.user_sums()
    summed = []

    def counting(batch, *args, **kwargs):
        summed.append(len(batch.records))
        return sum_tables.tables_of(batch, *args, **kwargs)

    monkeypatch.setattr(state, "tables_of", counting)
    evidence.update([shown(5, "click"), shown(2_000)])
    evidence.reading_copy()
    assert summed == [1, 1, 1]  # the unit that changed, what it was before, the new one


def test_users_are_compared_in_parts_as_at_once(monkeypatch):
    monkeypatch.setattr(layered_sums, "MOST_RECENT", 0)
    evidence = Evidence(ARMS)
    evidence.update([shown(i) for i in range(20)] + [shown(i, "click") for i in range(0, 20, 3)])
    at_once = PosteriorSnapshot(evidence, "auto").posterior.prior_strength
    monkeypatch.setattr(layered_sums, "AT_ONCE", 3)
    in_parts = PosteriorSnapshot(evidence, "auto")
    assert len(list(in_parts.users.parts())) == 7
    np.testing.assert_allclose(in_parts.posterior.prior_strength, at_once, rtol=1e-12)


class DiskThatFills(InMemory):
    """Arrays for which there is no space while `is_full`."""

    is_full = False

    def zeros(self, shape, dtype):
        if self.is_full:
            msg = "no space left"
            raise StoreError(msg)
        return super().zeros(shape, dtype)


def test_a_full_disk_loses_no_sums(monkeypatch):
    monkeypatch.setattr(layered_sums, "MOST_RECENT", 0)
    evidence, anew = Evidence(ARMS), Evidence(ARMS)
    memory = evidence.state.units.memory = DiskThatFills()
    batches = [[shown(i) for i in range(20)], [shown(i, "click") for i in range(3)]]
    for part in batches:
        anew.update(part)
        evidence.update(part)
        memory.is_full = True
        for _ in range(2):
            with pytest.raises(StoreError, match="no space left"):
                evidence.user_sums()
        memory.is_full = False
        evidence.user_sums()
    assert_same(evidence, anew)


def test_an_interrupt_loses_no_sums(monkeypatch):
    evidence, anew = Evidence(ARMS), Evidence(ARMS)
    exchange = current_sums.CurrentSums.exchange

    def interrupted(*args):
        exchange(*args)
        raise KeyboardInterrupt

    for part in ([shown(i) for i in range(20)], [shown(i, "click") for i in range(3)]):
        anew.update(part)
        evidence.update(part)
        monkeypatch.setattr(current_sums.CurrentSums, "exchange", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evidence.user_sums()
        monkeypatch.setattr(current_sums.CurrentSums, "exchange", exchange)
        evidence.user_sums()
    assert_same(evidence, anew)
