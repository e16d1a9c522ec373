"""What stays of the snapshots, what is said of those that went, and files of earlier versions."""

import datetime as dt
import sqlite3

import numpy as np
import pytest

from rankloom.bandit import FusionBandit, open_store
from rankloom.bandit.store import snapshot_history as history
from rankloom.bandit.store.snapshot_history import SnapshotHistory, SnapshotRecord

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
ROWS = [
    {
        "execution_id": f"e{n}",
        "feature_id": "d",
        "position": 0,
        "interaction_type": ["impression", "click"] if n % 3 == 0 else ["impression"],
        "feature_uri": ("text", "image")[n % 2],
        "timestamp": "2026-01-31T12:00:00Z",
    }
    for n in range(60)
]


@pytest.fixture
def store(store_url, namespace):
    with open_store(store_url, namespace=namespace) as store:
        yield store


def put_all(times):
    """Return what stays of snapshots that were put at some times, as a store would do it."""
    notes = {}
    for number, time in enumerate(times):
        record = SnapshotRecord(f"s{number}", 0, time, "learner", {})
        record, dropped = SnapshotHistory.of(notes).put(record)
        notes = {record.snapshot_id: record.note, **notes}
        for each in dropped:
            del notes[each]
    return SnapshotHistory.of(notes)


def test_of_two_months_the_newest_the_hourly_and_the_daily_snapshots_stay():
    early = [NOON + dt.timedelta(hours=6 * n) for n in range(4 * 60)]
    late = [early[-1] + dt.timedelta(minutes=10 * n) for n in range(1, 6 * 25)]
    kept = put_all([*early, *late])
    times = [each.time for each in kept.records]
    assert times == sorted(times, reverse=True)
    assert len(kept.records) + kept.dropped == len(early) + len(late)
    assert len(kept.records) <= history.NEWEST + history.HOURS + history.DAYS
    newest = times[0]
    assert times[:20] == [newest - dt.timedelta(minutes=10 * n) for n in range(20)]
    hours = {time.replace(minute=0) for time in times}
    assert all((newest - dt.timedelta(hours=n)).replace(minute=0) in hours for n in range(24))
    assert {(newest - dt.timedelta(days=n)).date() for n in range(30)} == {t.date() for t in times}


def test_snapshots_that_are_far_apart_stay_by_count(store):
    for number in range(100):
        store.put_snapshot(f"s{number}", f"text {number}")
    found = store.history()
    assert [each.snapshot_id for each in found.records] == [f"s{n}" for n in range(99, 79, -1)]
    assert found.dropped == 80
    assert store.get_snapshot("s79") is None
    assert store.get_snapshot("s80") == "text 80"


def test_what_is_put_again_keeps_its_time_and_author_and_is_the_newest(store):
    first = store.put_snapshot("a", "text", author="ann")
    store.put_snapshot("b", "text")
    assert store.put_snapshot("a", "text", author="bob") == first
    assert [each.snapshot_id for each in store.history().records] == ["a", "b"]
    assert [each.author for each in store.history().records] == ["ann", "learner"]
    assert store.history().dropped == 0
    assert store.get_snapshot() == "text"


def test_published_weights_are_noted_with_intervals_that_hold_what_is_served(store):
    bandit = FusionBandit(["text", "image"], store=store, namespace=store.namespace)
    bandit.update(ROWS)
    bandit.publish()
    (record,) = store.history().records
    weights = bandit.snapshot()
    assert record.snapshot_id == weights.snapshot_id
    assert {uri: each.mean for uri, each in record.weights.items()} == weights.mean()
    served = [weights.sample(session_id=f"s{n}")["text"] for n in range(2_000)]
    text = record.weights["text"]
    share = np.mean([text.low <= each <= text.high for each in served])
    # Between two order statistics of 100 draws lies a share that is Beta(89, 12): 0.88, s.d. 0.032.
    assert 0.75 < share < 0.99
    assert text.low < text.mean < text.high


def test_another_state_has_a_history_of_its_own(store_url, namespace):
    with (
        open_store(store_url, namespace=namespace) as one,
        open_store(store_url, namespace=namespace, retriever_id="other") as other,
        open_store(store_url, namespace=namespace + "2") as stranger,
    ):
        one.put_snapshot("a", "text")
        assert other.history() == stranger.history() == ([], 0)


def test_a_file_of_before_the_notes_is_read_and_written_on(tmp_path):
    url = f"sqlite:///{tmp_path}/fusion.db"
    with open_store(url) as store:
        store.put_snapshot("old", "text")
    connection = sqlite3.connect(tmp_path / "fusion.db")
    connection.execute("ALTER TABLE fusion_snapshots DROP COLUMN note")
    connection.close()
    with open_store(url) as store:
        assert store.history().records == [SnapshotRecord("old")]
        store.put_snapshot("new", "text")
        assert [each.number for each in store.history().records] == [2, 0]
        assert store.history().dropped == 0
