"""How far a stored state has followed a log: written with the units, never going back."""

import sqlite3
import threading
from contextlib import closing

import pytest

from rankloom.bandit import Evidence
from rankloom.bandit._mark import Mark, OvertakenError
from rankloom.bandit.store import open_store
from rankloom.errors import IntegrityError, StateMismatchError


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


def test_a_state_that_followed_no_log_has_no_mark(store):
    assert store.mark() is None
    store.apply(batch("a"))
    assert store.mark() is None


def test_a_mark_comes_with_its_units_and_stays(store, store_url, namespace):
    store.apply(batch("a"), mark=Mark("log", 7, 3, 2))
    assert store.mark() == Mark("log", 7, 3, 2)
    store.apply(batch("b"))
    with open_store(store_url, namespace=namespace) as other:
        assert other.mark() == Mark("log", 7, 3, 2)
    store.merge(batch("c"))
    store.compact(2_000_000_000_000_000)
    assert store.mark() == Mark("log", 7, 3, 2)


def test_a_mark_alone_is_written_too(store):
    store.apply(batch(), mark=Mark("log", 1))
    store.apply(batch(), mark=Mark("log", 2))
    assert store.mark() == Mark("log", 2)


def test_a_mark_never_goes_back(store):
    store.apply(batch("a"), mark=Mark("log", 7, 1))
    store.apply(batch("b"), mark=Mark("log", 5, 2))
    assert store.mark() == Mark("log", 7, 2)


@pytest.mark.parametrize("other", [Mark("other", 9), Mark("log", 9, 0, 1)])
def test_a_mark_of_another_log_or_generation_writes_nothing(store, other):
    store.apply(batch("a"), mark=Mark("log", 7))
    with pytest.raises(StateMismatchError, match="learn the state again"):
        store.apply(batch("b"), mark=other)
    assert store.mark() == Mark("log", 7)
    assert store.load().account.open_units == 1


def test_a_batch_from_elsewhere_than_the_mark_writes_nothing(store):
    store.apply(batch("a"), mark=Mark("log", 7), after=Mark("log"))
    with pytest.raises(OvertakenError):
        store.apply(batch("b"), mark=Mark("log", 9), after=Mark("log", 6))
    assert store.mark() == Mark("log", 7)
    assert store.load().account.open_units == 1
    store.apply(batch("b"), mark=Mark("log", 9), after=Mark("log", 7))
    assert store.mark() == Mark("log", 9)


def test_clear_forgets_the_mark(store):
    store.apply(batch("a"), mark=Mark("log", 7))
    store.clear()
    assert store.mark() is None
    store.apply(batch("a"), mark=Mark("other", 1))
    assert store.mark() == Mark("other", 1)


def test_clear_keeps_wishes_where_it_shall(store):
    """A user who opted out stays so while the state is learnt again."""
    store.apply(batch("a"))
    store.opt_out("u")
    store.clear(keep_wishes=True)
    assert store.load() is None
    assert store.mark() is None
    store.apply(batch("a"))
    assert store.user_sums("u").N.sum() == 0.0
    assert store.load().sums().N.sum() == 1.0
    store.clear()
    store.apply(batch("a"))
    assert store.user_sums("u").N.sum() > 0.0


def test_a_state_that_is_learnt_again_keeps_its_newest_snapshot(store):
    """Who serves from the store goes on by it meanwhile; clearing all leaves none."""
    store.apply(batch("a"))
    for name in ("old", "new"):
        store.put_snapshot(name, f"text of {name}")
    store.clear(keep_wishes=True)
    assert store.get_snapshot() == "text of new"
    assert store.get_snapshot("old") is None
    store.put_snapshot("newer", "text")
    assert [store.get_snapshot(name) for name in ("new", None)] == ["text of new", "text"]
    store.clear()
    assert [store.get_snapshot(name) for name in ("new", "newer", None)] == [None] * 3
    store.clear(keep_wishes=True)
    assert store.get_snapshot() is None


def test_of_many_that_follow_one_log_each_row_is_taken_by_one(store, store_url, namespace):
    """Those who were overtaken start again from the mark, so every row is folded by one of them."""
    taken = []

    def follow():
        with open_store(store_url, namespace=namespace) as own:
            while True:
                mark = own.mark() or Mark("log")
                if mark.row >= 40:
                    return
                try:
                    row = mark.row + 1
                    own.apply(batch(f"e{row}"), mark=Mark("log", row), after=mark)
                except OvertakenError:
                    continue
                taken.append(row)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))
    assert store.load().account.open_units == 40


def test_a_file_of_the_first_version_gets_its_mark(tmp_path):
    """What was stored before there were marks is kept, and reads as followed by none."""
    url = f"sqlite:///{tmp_path}/old.db"
    with open_store(url) as store:
        store.apply(batch("a"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("ALTER TABLE fusion_states DROP COLUMN mark")
        connection.commit()
    stores = [open_store(url) for _ in range(4)]
    marks = []
    threads = [threading.Thread(target=lambda s=s: marks.append(s.mark())) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert marks == [None] * 4
    stores[0].apply(batch("b"), mark=Mark("log", 2))
    assert stores[1].mark() == Mark("log", 2)
    assert stores[2].load().account.open_units == 2
    for each in stores:
        each.close()


def test_a_damaged_mark_is_told(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/fusion.db") as store:
        store.apply(batch("a"), mark=Mark("log", 7))
        with closing(sqlite3.connect(tmp_path / "fusion.db")) as connection:
            connection.execute("UPDATE fusion_states SET mark = '[1'")
            connection.commit()
        with pytest.raises(IntegrityError, match="mark"):
            store.mark()
