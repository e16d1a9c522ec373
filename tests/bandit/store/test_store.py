"""What every store promises: the same tests over SQLite and Redis."""

import datetime as dt
import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankloom.bandit import Evidence
from rankloom.bandit.sessions.session_sums import PersonalSums
from rankloom.bandit.store.opening import open_store
from rankloom.errors import InvalidInputError, StateMismatchError, StoreError

spec = importlib.util.spec_from_file_location(
    "store_writer", Path(__file__).with_name("store_writer.py")
)
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)

SIZE = 600
LINE = writer.START + 2_500 * writer.STEP
CONTEXTS = [
    (),
    *(("segment", *v) for v in writer.SEGMENTS),
    *(("user", f"u{i}") for i in range(50)),
]
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
COLUMNS = [writer.events(seed, SIZE, 5_000) for seed in range(3)]


@pytest.fixture
def store(store_url, namespace):
    with open_store(store_url, namespace=namespace) as opened:
        yield opened


def learnt(*batches, **settings):
    evidence = writer.make_evidence(**settings)
    for batch in batches:
        evidence.update(batch)
    return evidence


def assert_same(ours, theirs, contexts=CONTEXTS):
    time = theirs.latest
    left, right = ours.sums(contexts, time=time), theirs.sums(contexts, time=time)
    assert left.arms == right.arms
    for name in ("N", "S", "F", "Q", "A", "b"):
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-9, err_msg=name
        )


def row(execution="e", document="d", **fields):
    return {
        "execution_id": execution,
        "feature_id": document,
        "interaction_type": ["impression"],
        "position": 0,
        "feature_uri": "text",
        "timestamp": NOW.isoformat(),
        **fields,
    }


def test_an_empty_store_holds_nothing_and_says_so(store):
    assert store.load() is None
    assert store.fresh() is None
    assert store.personal_sums("u1", "s1") is None
    assert store.get_snapshot() is None
    assert store.compact(NOW) == 0
    assert store.follow().evidence is None
    with pytest.raises(StoreError, match="nothing is stored"):
        store.opt_out("u1")


def test_what_was_applied_is_loaded(store):
    evidence = learnt(COLUMNS[0])
    report = store.apply(evidence)
    loaded = store.load()
    assert report.units_opened == len(evidence.unit_rows())
    assert_same(loaded, evidence)
    assert loaded.identity == evidence.identity
    assert sorted(loaded.unit_rows()) == sorted(evidence.unit_rows())


def test_a_batch_counts_once_however_often_it_comes(store):
    evidence = learnt(COLUMNS[0])
    store.apply(evidence)
    again = store.apply(evidence)
    assert (again.units_opened, again.units_changed) == (0, 0)
    assert_same(store.load(), evidence)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1), batches=st.integers(1, 12))
def test_any_order_and_any_batches_give_one_state(store_url, seed, batches):
    rng = np.random.default_rng(seed)
    order = np.array_split(rng.permutation(SIZE), batches)
    with open_store(store_url, namespace=f"any-{seed}-{batches}") as store:
        for rows in [*order, *order[::3]]:
            store.apply(learnt(writer.part(COLUMNS[0], rows)))
        assert_same(store.load(), learnt(COLUMNS[0]))
        store.clear()


def test_new_names_are_appended(store):
    store.apply(Evidence(["text"], segment_by=["country"]))
    first = store.fresh()
    first.update([row(metadata={"country": "de"})])
    store.apply(first)
    second = store.fresh()
    second.add_arm("video")
    second.update([row("f", feature_uri="video", metadata={"country": "fr"})])
    store.apply(second)
    sums = store.load().sums()
    assert sums.arms == ("text", "video")
    assert sums.contexts == ((), ("segment", "de"), ("segment", "fr"))
    assert sums.N.tolist() == [[1, 1], [1, 0], [0, 1]]


def test_users_sums_outlive_a_new_arm_and_lose_a_removed_one(store):
    store.apply(learnt(COLUMNS[0]))
    expected = learnt(COLUMNS[0])
    for each in (store, expected):
        each.compact(LINE)
    more = store.fresh()
    more.add_arm("video")
    store.apply(more)
    expected.add_arm("video")
    assert_same(store.load(), expected)
    store.remove_arm("image")
    expected.remove_arm("image")
    assert store.load().arms == ("text", "audio", "video")
    assert_same(store.load(), expected)
    with pytest.raises(InvalidInputError, match="image"):
        store.remove_arm("image")


def test_states_of_other_names_share_nothing(store_url, namespace):
    names = [(namespace, "a"), (namespace, "b"), (f"{namespace}:a", "a"), (f"{namespace}}}", "%")]
    for i, (space, retriever) in enumerate(names):
        with open_store(store_url, namespace=space, retriever_id=retriever) as store:
            assert store.load() is None
            batch = Evidence(["text"])
            batch.update([row(document=f"d{j}") for j in range(i + 1)])
            store.apply(batch)
            store.put_snapshot("s", f"{i}")
    for i, (space, retriever) in enumerate(names):
        with open_store(store_url, namespace=space, retriever_id=retriever) as store:
            assert store.load().sums().N.tolist() == [[i + 1]]
            assert store.get_snapshot("s") == f"{i}"
            store.clear()
            assert store.load() is None
            assert store.get_snapshot() is None


@pytest.mark.parametrize(
    "other", [{"half_life": 30.0}, {"credit": "named"}, {"rewards": {"click": 2.0}}]
)
def test_other_settings_are_refused_and_change_nothing(store, other):
    store.apply(learnt(COLUMNS[0]))
    for refused in (store.apply, store.merge):
        with pytest.raises(StateMismatchError, match=next(iter(other))):
            refused(learnt(COLUMNS[1], **other))
    assert_same(store.load(), learnt(COLUMNS[0]))


def test_compaction_is_that_of_evidence_in_memory(store):
    expected = learnt(*COLUMNS)
    store.apply(expected)
    closed = expected.compact(LINE)
    assert store.compact(LINE) == closed > 100
    assert store.compact(LINE) == 0
    assert store.compact(LINE - writer.DAY) == 0
    loaded = store.load()
    assert loaded.summary._replace(closed_nbytes=0) == expected.summary._replace(closed_nbytes=0)
    assert_same(loaded, expected)
    report = store.apply(learnt(*COLUMNS))
    assert report.units_refused == closed
    assert_same(store.load(), expected)
    refusing = store.fresh()
    assert refusing.update(COLUMNS[0]).before_compaction > 0


def test_compaction_in_several_steps_gives_the_sums_of_one(store, monkeypatch):
    monkeypatch.setattr("rankloom.bandit.store.operations.MAX_TRANSACTION_UNITS", 100)
    store.apply(learnt(*COLUMNS))
    expected = learnt(*COLUMNS)
    assert store.compact(LINE) == expected.compact(LINE)
    assert_same(store.load(), expected)


def test_compaction_left_half_done_is_neither_lost_nor_doubled(store, monkeypatch):
    """A process that dies between two steps leaves sums that are right, for the next to finish."""
    from rankloom.bandit.store import operations

    monkeypatch.setattr(operations, "MAX_TRANSACTION_UNITS", 100)
    store.apply(learnt(*COLUMNS))
    expected = learnt(*COLUMNS)
    close_some, steps = operations.close_some, []

    def die_at_the_third(t):
        steps.append(t)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return close_some(t)

    monkeypatch.setattr(operations, "close_some", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        store.compact(LINE)
    monkeypatch.setattr(operations, "close_some", close_some)
    assert store.load().summary.closed_units == 200
    assert_same(store.load(), expected)
    assert store.compact(LINE) == expected.compact(LINE) - 200
    assert_same(store.load(), expected)


def test_users_beyond_the_most_go_oldest_first(store):
    settings = {"max_users": 10}
    store.apply(learnt(*COLUMNS, **settings))
    expected = learnt(*COLUMNS, **settings)
    for each in (store, expected):
        each.compact(LINE)
    assert store.load().summary.users_dropped == expected.summary.users_dropped == 40
    assert_same(store.load(), expected)


def test_the_most_users_can_be_changed(store):
    """The new limit holds at once, for all processes and for what is closed later."""
    with pytest.raises(StoreError, match="nothing is stored"):
        store.set_max_users(10)
    store.apply(learnt(*COLUMNS, max_users=30))
    replica = store.follow()
    store.compact(LINE)
    assert store.load().summary.users == 30
    store.set_max_users(10)
    assert replica.refresh()
    for evidence in (store.load(), replica.evidence, store.fresh()):
        assert evidence.max_users == 10
    expected = learnt(*COLUMNS, max_users=10)
    expected.compact(LINE)
    assert_same(store.load(), expected)
    store.set_max_users(None)
    later = writer.START + 6_000 * writer.STEP
    store.compact(later)
    assert store.load().summary.users > 10
    shard = learnt(*COLUMNS, source="other")
    shard.compact(later)
    store.set_max_users(7)
    store.merge(shard)
    assert store.load().summary.users == 7
    with pytest.raises(InvalidInputError, match="max_users"):
        store.set_max_users(-1)


def test_a_users_sums_are_read_alone(store):
    evidence = learnt(*COLUMNS)
    store.apply(evidence)
    store.compact(LINE)
    for user in ("u0", "u7", "unknown"):
        ours = store.personal_sums(user, time=evidence.latest)
        theirs = evidence.sums([("user", user)])
        assert ours.session is None
        for name in ("N", "S", "F"):
            np.testing.assert_allclose(
                getattr(ours.user, name), getattr(theirs, name)[0], rtol=1e-9
            )
    assert (store.personal_sums("u7", time=evidence.latest).user.N > 0).any()


def test_a_sessions_live_units_are_seen_by_other_processes(store_url, store):
    minute = dt.timedelta(minutes=1)
    live = Evidence(["text", "image"])
    for i in range(3):
        shown = row(document=f"d{i}", session_id="s1", user_id="u1", timestamp=None)
        live.observe(shown, now=NOW + i * minute)
    live.observe(
        {**row(document="d1", session_id="s1", interaction_type=["click"]), "timestamp": None},
        now=NOW + 3 * minute,
    )
    live.observe({**row("old", session_id="s1"), "occurred_at": NOW.isoformat()}, now=NOW)
    store.apply(live)
    with open_store(store_url, namespace=store.namespace) as other:
        for now in (NOW + 4 * minute, NOW + 61 * minute, NOW + 90 * minute):
            ours = other.personal_sums("u1", "s1", now=now)
            theirs = live.session_sums("s1", now=now, user_id="u1")
            assert ours.session_units == theirs.units
            whole = live.sums([("user", "u1")], time=now)
            for name in ("N", "S", "F"):
                if theirs.units:
                    session = getattr(ours.session, name)
                    np.testing.assert_array_equal(session, getattr(theirs, name))
                rest = getattr(whole, name)[0] - getattr(theirs.of_user, name)
                np.testing.assert_allclose(getattr(ours.user, name), rest, atol=1e-12)
        assert other.personal_sums(None, "s2", now=NOW) == PersonalSums()


def test_a_users_resets_hold_for_every_process(store):
    evidence = learnt(*COLUMNS)
    store.apply(evidence)
    store.compact(LINE)
    evidence.compact(LINE)
    at = writer.START + 4_000 * writer.STEP
    for each in (store, evidence):
        each.opt_out("u1", at=at)
        each.reset_user("u2", at=at)
        each.opt_out("u3", at=at)
        each.opt_in("u3", at=at + 1)
    for user in ("u1", "u2", "u3"):
        theirs = evidence.sums([("user", user)]).N[0]
        np.testing.assert_allclose(store.personal_sums(user, time=evidence.latest).user.N, theirs)
    assert (store.personal_sums("u1").user.N == 0).all()
    assert (store.personal_sums("u2").user.N > 0).any()
    assert_same(store.load(), evidence)
    store.opt_in("u1", at=at - 1)
    assert (store.personal_sums("u1").user.N == 0).all()
    for each in (store, evidence):
        each.compact(writer.START + 4_500 * writer.STEP)
    assert_same(store.load(), evidence)


def test_a_deleted_user_leaves_no_name(store):
    evidence = learnt(*COLUMNS)
    store.apply(evidence)
    follower = store.follow()
    assert store.delete_user("u1", at=NOW) == evidence.delete_user("u1", at=NOW) > 0
    assert_same(store.load(), evidence)
    assert sorted(store.load().unit_rows()) == sorted(evidence.unit_rows())
    assert store.delete_user("u1", at=NOW) == 0
    assert follower.refresh()
    assert sorted(follower.evidence.unit_rows()) == sorted(evidence.unit_rows())


def test_a_shard_is_merged_once(store):
    store.apply(learnt(COLUMNS[0]))
    shard = learnt(COLUMNS[1], source="other")
    shard.compact(LINE)
    shard.opt_out("u1", at=NOW)
    expected = store.load()
    expected.merge(shard)
    first, second = store.merge(shard), store.merge(shard)
    assert first.units_closed > 0
    assert (second.units_opened, second.units_changed, second.units_closed) == (0, 0, 0)
    assert_same(store.load(), expected)


def test_a_shard_makes_a_store(store):
    shard = learnt(COLUMNS[1])
    shard.compact(LINE)
    store.merge(shard)
    assert_same(store.load(), shard)


def test_closed_sums_are_not_applied(store):
    shard = learnt(COLUMNS[1])
    shard.compact(LINE)
    with pytest.raises(InvalidInputError, match="use `merge`"):
        store.apply(shard)
    assert store.load() is None


def test_a_follower_reads_what_changed(store):
    follower = store.follow()
    assert not follower.refresh()
    store.apply(learnt(COLUMNS[0]))
    assert follower.refresh()
    same = follower.evidence
    assert not follower.refresh()
    store.apply(learnt(COLUMNS[1]))
    store.opt_out("u1", at=NOW)
    assert follower.refresh()
    assert follower.evidence is same
    assert_same(same, store.load())
    store.compact(LINE)
    assert follower.refresh()
    assert_same(follower.evidence, store.load())
    assert follower.evidence.summary.closed_units > 0
    store.clear()
    assert follower.refresh()
    assert follower.evidence is None
    store.apply(learnt(COLUMNS[2]))
    assert follower.refresh()
    assert_same(follower.evidence, learnt(COLUMNS[2]))


def test_a_follower_sees_other_processes_sessions(store):
    store.apply(Evidence(["text"]))
    follower = store.follow()
    live = store.fresh()
    live.observe(row(session_id="s", timestamp=None), now=NOW)
    store.apply(live)
    follower.refresh()
    assert follower.evidence.session_sums("s", now=NOW).N.tolist() == [1.0]


def test_threads_share_a_store(store):
    evidence = [learnt(columns) for columns in COLUMNS]
    threads = [
        threading.Thread(target=store.apply, args=[each]) for each in evidence for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same(store.load(), learnt(*COLUMNS))


def test_a_closed_store_opens_again(store):
    store.apply(learnt(COLUMNS[0]))
    store.close()
    assert_same(store.load(), learnt(COLUMNS[0]))
