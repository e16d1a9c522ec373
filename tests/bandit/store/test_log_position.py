"""How far a stored state has followed a log: written with the units, never going back."""

import sqlite3
import threading
from contextlib import closing

import pytest

from rankloom.bandit import Evidence
from rankloom.bandit.store.log_position import LogPosition
from rankloom.bandit.store.opening import open_store
from rankloom.errors import IntegrityError, OvertakenError, StateMismatchError


@pytest.fixture
def store(store_url, namespace):
    with open_store(store_url, namespace=namespace) as opened:
        yield opened


def batch(*executions, document="d"):
    evidence = Evidence(["text"])
    evidence.update(
        [
            {
                "execution_id": execution,
                "feature_id": document,
                "interaction_type": ["impression"],
                "position": 0,
                "feature_uri": "text",
                "timestamp": "2026-01-31",
                "user_id": "u",
            }
            for execution in executions
        ]
    )
    return evidence


def test_a_state_that_followed_no_log_has_no_position(store):
    assert store.log_position() is None
    store.apply(batch("a"))
    assert store.log_position() is None


def test_a_position_is_written_with_its_units_and_stays(store, store_url, namespace):
    store.apply(batch("a"), log_position=LogPosition("log", 7, 3, 2))
    assert store.log_position() == LogPosition("log", 7, 3, 2)
    store.apply(batch("b"))
    with open_store(store_url, namespace=namespace) as other:
        assert other.log_position() == LogPosition("log", 7, 3, 2)
    store.merge(batch("c"))
    store.compact(2_000_000_000_000_000)
    assert store.log_position() == LogPosition("log", 7, 3, 2)


def test_a_position_without_units_is_written_too(store):
    store.apply(batch(), log_position=LogPosition("log", 1))
    store.apply(batch(), log_position=LogPosition("log", 2))
    assert store.log_position() == LogPosition("log", 2)


def test_a_position_never_goes_back(store):
    store.apply(batch("a"), log_position=LogPosition("log", 7, 1))
    store.apply(batch("b"), log_position=LogPosition("log", 5, 2))
    assert store.log_position() == LogPosition("log", 7, 2)


@pytest.mark.parametrize("other", [LogPosition("other", 9), LogPosition("log", 9, 0, 1)])
def test_a_position_of_another_log_or_generation_writes_nothing(store, other):
    store.apply(batch("a"), log_position=LogPosition("log", 7))
    with pytest.raises(StateMismatchError, match="learn the state again"):
        store.apply(batch("b"), log_position=other)
    assert store.log_position() == LogPosition("log", 7)
    assert store.load().summary.open_units == 1


def test_a_batch_that_expects_another_position_writes_nothing(store):
    store.apply(batch("a"), log_position=LogPosition("log", 7), expected=LogPosition("log"))
    with pytest.raises(OvertakenError):
        store.apply(batch("b"), log_position=LogPosition("log", 9), expected=LogPosition("log", 6))
    assert store.log_position() == LogPosition("log", 7)
    assert store.load().summary.open_units == 1
    store.apply(batch("b"), log_position=LogPosition("log", 9), expected=LogPosition("log", 7))
    assert store.log_position() == LogPosition("log", 9)


def test_clear_forgets_the_position(store):
    store.apply(batch("a"), log_position=LogPosition("log", 7))
    store.clear()
    assert store.log_position() is None
    store.apply(batch("a"), log_position=LogPosition("other", 1))
    assert store.log_position() == LogPosition("other", 1)


def test_clear_keeps_resets_where_asked_to(store):
    """A user who opted out stays so while the state is learnt again."""
    store.apply(batch("a"))
    store.opt_out("u")
    store.clear(keep_resets=True)
    assert store.load() is None
    assert store.log_position() is None
    store.apply(batch("a"))
    assert store.personal_sums("u").user.N.sum() == 0.0
    assert store.load().sums().N.sum() == 1.0
    store.clear()
    store.apply(batch("a"))
    assert store.personal_sums("u").user.N.sum() > 0.0


def test_a_state_that_is_learnt_again_keeps_its_snapshots(store):
    """Services that read the store go on by the newest one; clearing everything leaves none."""
    store.apply(batch("a"))
    for name in ("old", "new"):
        store.put_snapshot(name, f"text of {name}")
    store.clear(keep_resets=True)
    assert store.get_snapshot() == "text of new"
    assert store.get_snapshot("old") == "text of old"
    store.put_snapshot("newer", "text")
    assert [each.snapshot_id for each in store.history().records] == ["newer", "new", "old"]
    assert [store.get_snapshot(name) for name in ("new", None)] == ["text of new", "text"]
    store.clear()
    assert [store.get_snapshot(name) for name in ("new", "newer", None)] == [None] * 3
    assert store.history() == ([], 0)
    store.clear(keep_resets=True)
    assert store.get_snapshot() is None


@pytest.mark.slow
def test_of_many_followers_of_one_log_each_row_is_folded_by_one(store, store_url, namespace):
    """Those who were overtaken start again from the position: each row is folded by one of them."""
    taken = []

    def follow():
        with open_store(store_url, namespace=namespace) as own:
            while True:
                position = own.log_position() or LogPosition("log")
                if position.row >= 15:
                    return
                try:
                    row = position.row + 1
                    own.apply(
                        batch(f"e{row}"), log_position=LogPosition("log", row), expected=position
                    )
                except OvertakenError:
                    continue
                taken.append(row)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 16))
    assert store.load().summary.open_units == 15


def test_a_file_of_the_first_version_gets_a_position(tmp_path):
    """What was stored before there were positions is kept, and reads as having followed no log."""
    url = f"sqlite:///{tmp_path}/old.db"
    with open_store(url) as store:
        store.apply(batch("a"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("ALTER TABLE fusion_states DROP COLUMN mark")
        connection.commit()
    stores = [open_store(url) for _ in range(4)]
    positions = []
    threads = [
        threading.Thread(target=lambda s=s: positions.append(s.log_position())) for s in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert positions == [None] * 4
    stores[0].apply(batch("b"), log_position=LogPosition("log", 2))
    assert stores[1].log_position() == LogPosition("log", 2)
    assert stores[2].load().summary.open_units == 2
    for each in stores:
        each.close()


def test_a_damaged_position_is_an_error(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/fusion.db") as store:
        store.apply(batch("a"), log_position=LogPosition("log", 7))
        with closing(sqlite3.connect(tmp_path / "fusion.db")) as connection:
            connection.execute("UPDATE fusion_states SET mark = '[1'")
            connection.commit()
        with pytest.raises(IntegrityError, match="position in the log is damaged"):
            store.log_position()
