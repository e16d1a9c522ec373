"""A bandit that follows a log holds what the log holds, whichever process stops or is killed."""

import datetime as dt
import importlib.util
import itertools
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankloom import InteractionLog
from rankloom.bandit import Evidence
from rankloom.bandit.log_follower.follower import LogFollower, first_position
from rankloom.bandit.store.log_position import LogPosition
from rankloom.errors import InvalidInputError, StateMismatchError

PROCESS = Path(__file__).with_name("follower_process.py")
spec = importlib.util.spec_from_file_location("follower_process", PROCESS)
process = importlib.util.module_from_spec(spec)
spec.loader.exec_module(process)

ARMS = process.ARMS
START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
CONTEXTS = [(), ("segment", "de"), ("segment", "fr"), *(("user", f"u{i}") for i in range(5))]
TYPES = [["impression"], ["impression", "click"], ["purchase"], ["skip"], ["query_refinement"]]
FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def backfilled(rng, n):
    """Return rows of the past in no order of time; a third of them name no execution."""
    return [past(rng) for _ in range(n)]


def past(rng):
    session = rng.randrange(4)
    row = {
        "feature_id": f"d{rng.randrange(5)}",
        "interaction_type": rng.choice(TYPES),
        "position": rng.randrange(5),
        "feature_uri": rng.choice([*ARMS, "undeclared", None]),
        "session_id": f"s{session}",
        "user_id": f"u{session}",
        "query_snapshot": {"text": f"q{rng.randrange(2)}"},
        "metadata": {"country": ["de", "fr"][session % 2]},
        "occurred_at": (START + dt.timedelta(minutes=rng.randrange(300))).isoformat(),
    }
    if rng.random() < 0.6:
        row["execution_id"] = f"e{rng.randrange(6)}"
    if rng.random() < 0.3:
        row["metadata"]["features"] = {arm: {"score": rng.random()} for arm in ARMS}
    return {name: value for name, value in row.items() if value is not None}


def live(session, document="d0", execution=None, **fields):
    row = {
        "feature_id": document,
        "interaction_type": ["impression", "click"],
        "position": 0,
        "feature_uri": "audio",
        "session_id": session,
        "query_snapshot": "a query",
        **fields,
    }
    return row if execution is None else {**row, "execution_id": execution}


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db", retriever_id="r") as opened:
        yield opened


@contextmanager
def following(log, state):
    """Yield a follower with a new bandit, as a process that starts has."""
    bandit = process.bandit_over(state)
    with closing(bandit.learner.store):
        yield LogFollower(bandit, log)


def fold_of(log):
    """Return what the log holds, folded at once."""
    evidence = Evidence(ARMS, segment_by=["country"], retriever_id="r", max_queries=10)
    if any(frame.height for frame in log.scan()):
        evidence.update(log)
    return evidence


def assert_same(ours, theirs, contexts=CONTEXTS):
    time = theirs.latest
    (keys, left), (others, right) = (each.query_sums(time=time) for each in (ours, theirs))
    assert keys.tolist() == others.tolist()
    pairs = (left, right), tuple(each.sums(contexts, time=time) for each in (ours, theirs))
    for (left, right), name in itertools.product(pairs, ("N", "S", "F", "Q", "A", "b")):
        one, other = getattr(left, name), getattr(right, name)
        if other is not None or one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)


def assert_holds_the_log(follower, log, contexts=CONTEXTS):
    """Memory and store hold what the log does."""
    expected = fold_of(log)
    assert_same(follower.bandit.evidence, expected, contexts)
    stored = follower.bandit.learner.store.load()
    if stored is None:
        assert not expected.unit_rows()
    else:
        assert sorted(stored.unit_rows()) == sorted(expected.unit_rows())


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_any_chunks_and_restarts_give_what_one_fold_gives(tmp_path_factory, seed):
    """Rows without an execution get the same one, late rows that join or rename runs included."""
    rng, folder = random.Random(seed), tmp_path_factory.mktemp("log")
    state = f"sqlite:///{folder}/state.db"
    with InteractionLog(f"sqlite:///{folder}/log.db", retriever_id="r") as log:
        for _ in range(rng.randrange(1, 5)):
            log.record_batch(backfilled(rng, rng.randrange(1, 40)))
            with following(log, state) as follower:
                for _ in range(rng.randrange(4)):
                    follower.catch_up(limit=rng.randrange(1, 12))
        with following(log, state) as follower:
            follower.catch_up()
            assert follower.lag == 0
            assert_holds_the_log(follower, log)
            assert follower.catch_up() == 0


@FEW
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_deleted_is_taken_back(tmp_path_factory, seed):
    """After any deletions, with chunks and restarts between, state is a fold of what is left."""
    rng, folder = random.Random(seed), tmp_path_factory.mktemp("log")
    state = f"sqlite:///{folder}/state.db"
    with InteractionLog(f"sqlite:///{folder}/log.db", retriever_id="r") as log:
        ids = []
        for _ in range(rng.randrange(1, 6)):
            report = log.record_batch(backfilled(rng, rng.randrange(1, 30)))
            ids += [each.interaction_id for each in report.results if each.interaction_id]
            with following(log, state) as follower:
                follower.catch_up(limit=rng.choice([0, 5, 100]))
                for chosen in rng.sample(ids, min(len(ids), rng.randrange(6))):
                    assert log.delete(chosen) in {True, False}
                follower.catch_up(limit=rng.choice([0, 5, 100]))
                follower.bandit.refresh()
        with following(log, state) as follower:
            follower.catch_up()
            assert_holds_the_log(follower, log)


def test_a_deleted_user_is_forgotten(log, tmp_path):
    rng = random.Random(3)
    log.record_batch(backfilled(rng, 120))
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        follower.catch_up()
        assert follower.bandit.evidence.sums([("user", "u1")]).N.sum() > 0.0
        log.delete_user("u1")
        follower.catch_up()
        evidence = follower.bandit.evidence
        assert evidence.sums([("user", "u1")]).N.sum() == 0.0
        assert_same(evidence, fold_of(log))
        assert_same(follower.bandit.learner.store.load(), fold_of(log))


def test_deletions_of_closed_evidence_are_counted(log, tmp_path):
    """Closed sums cannot be taken back, and nothing is opened in their place."""
    stored = log.record_batch(backfilled(random.Random(3), 60)).results
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        follower.catch_up()
        follower.bandit.compact(START + dt.timedelta(days=1))
        before = follower.bandit.evidence.sums()
        log.delete(next(each.interaction_id for each in stored if each.interaction_id))
        follower.catch_up()
        assert follower.left_out["deletions_closed"] == 1
        np.testing.assert_array_equal(follower.bandit.evidence.sums().N, before.N)
        assert follower.bandit.evidence.summary.open_units == 0


@pytest.mark.parametrize("executions", ["named", "inferred"])
def test_observe_moves_the_session_at_once_and_following_changes_nothing(
    log, store_url, namespace, executions
):
    log.record_batch(backfilled(random.Random(1), 100))
    bandit = process.bandit_over(store_url, namespace=namespace)
    with closing(bandit.learner.store):
        follower = LogFollower(bandit, log)
        follower.catch_up()
        before = bandit.mean(session_id="here")
        for document in ("d0", "d1"):
            execution = "e" if executions == "named" else None
            bought = live("here", document, execution, interaction_type=["view", "purchase"])
            follower.observe(log.record(bought))
        later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=10)
        moved = bandit.mean(session_id="here", now=later)
        sums = bandit.evidence.sums()
        assert moved["audio"] > before["audio"]
        assert bandit.evidence.session_sums("here", now=later).units == 2
        assert bandit.learner.store.personal_sums(None, "here", now=later).session_units == 0
        assert follower.catch_up() == 2
        after = bandit.evidence.sums()
        for name in "NSFQ":
            np.testing.assert_array_equal(getattr(after, name), getattr(sums, name))
        assert bandit.mean(session_id="here", now=later) == pytest.approx(moved, abs=1e-12)
        stored = bandit.learner.store.personal_sums(None, "here", now=later)
        assert (stored.session_units, stored.session.S.tolist()) == (
            2,
            bandit.evidence.session_sums("here", now=later).S.tolist(),
        )


def test_a_row_without_execution_is_observed_into_the_one_that_began_elsewhere(log, tmp_path):
    """A process that did not see the run begin names it as the log does: nothing is left over."""
    state = f"sqlite:///{tmp_path}/state.db"
    with following(log, state) as first, following(log, state) as second:
        for number, follower in enumerate([first, second, second, first, second]):
            follower.observe(log.record(live("s", f"d{number}")))
        for follower in (first, second):
            follower.catch_up()
            follower.bandit.refresh()
            assert follower.bandit.evidence.summary.open_units == 5
            assert_same(follower.bandit.evidence, fold_of(log))


def test_a_duplicate_is_not_observed(log, tmp_path):
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        log.record(live("here", execution="e"))
        again = log.record(live("here", execution="e"))
        assert again.deduplicated
        follower.observe(again)
        assert follower.bandit.evidence.summary.open_units == 0


def test_only_live_rows_move_sessions(log, tmp_path):
    """A backfilled row of this hour moves no session, a followed live one does, as if observed."""
    log.record_batch([live("past", execution="e1"), live("past", execution="e2")])
    stored = log.record(live("live", execution="e3"))
    now = stored.timestamp
    observed = Evidence(ARMS, retriever_id="r", segment_by=["country"])
    observed.observe(stored, now=now)
    later = now + dt.timedelta(seconds=10)
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        follower.catch_up()
        store, expected = follower.bandit.learner.store, observed.session_sums("live", now=later)
        ours = follower.bandit.evidence.session_sums("live", now=later)
        theirs = store.personal_sums(None, "live", now=later)
        assert (ours.units, theirs.session_units, expected.units) == (1, 1, 1)
        assert ours.S.tolist() == theirs.session.S.tolist() == expected.S.tolist()
        assert follower.bandit.evidence.session_sums("past", now=later).units == 0
        assert store.personal_sums(None, "past", now=later).session is None


def test_a_channel_that_was_not_declared_creates_no_arm(log, tmp_path):
    log.record_batch([live("s", execution="e1", feature_uri="undeclared")])
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        follower.catch_up()
        assert follower.bandit.feature_uris == tuple(ARMS)
        assert follower.left_out["unknown_feature_uri"] == 1
        assert follower.bandit.evidence.sums().N.sum() == 0.0


def test_types_without_a_reward_do_not_stop_following(tmp_path):
    """Of a row with other types too, those count; a row without any is left out and counted."""
    url = f"sqlite:///{tmp_path}/log.db"
    with InteractionLog(url, retriever_id="r", types=["saved_recipe"]) as log:
        rows = [
            live("s", "d0", "e", interaction_type=["saved_recipe"]),
            live("s", "d1", "e", interaction_type=["impression", "saved_recipe", "click"]),
        ]
        log.record_batch(rows)
        with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
            assert follower.catch_up() == 2
            assert follower.left_out["unknown_types"] == 1
            assert follower.bandit.evidence.summary.open_units == 1
            assert follower.bandit.evidence.sums().S.sum() == pytest.approx(1 / 3)


def test_a_log_that_was_written_by_a_clock_in_the_future_is_followed_as_of_now(log, tmp_path):
    """The log dates all rows after one of a wrong clock later than it; evidence does not."""
    log.record(live("s", "d0", "e0"))
    log.record(live("s", "d1", "e1"))
    path = log.url.removeprefix("sqlite:///")
    log.close()
    future = 4_000_000_000_000_000
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE interactions SET timestamp = ?, event_time = ?", (future,) * 2)
        connection.commit()
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        follower.observe(log.record(live("s", "d2", "e2")))
        assert follower.catch_up() == 3
        assert follower.left_out["future_times"] == 3
        assert follower.bandit.evidence.latest <= dt.datetime.now(dt.UTC).timestamp() * 1e6
        assert follower.bandit.evidence.summary.open_units == 3


def test_another_log_is_not_followed_into_the_same_state(log, tmp_path, store_url, namespace):
    log.record_batch(backfilled(random.Random(1), 5))
    bandit = process.bandit_over(store_url, namespace=namespace)
    with closing(bandit.learner.store), InteractionLog(f"sqlite:///{tmp_path}/b.db") as other:
        LogFollower(bandit, log).catch_up()
        before = bandit.learner.store.load().unit_rows()
        other.record_batch(backfilled(random.Random(2), 5))
        with pytest.raises(StateMismatchError, match="learn the state again"):
            LogFollower(bandit, other.within("default", "r")).catch_up()
        with pytest.raises(StateMismatchError, match="generation 1"):
            LogFollower(bandit, log, generation=1).catch_up()
        assert bandit.learner.store.load().unit_rows() == before


def test_a_bandit_without_a_store_cannot_follow(log):
    from rankloom.bandit import FusionBandit

    with pytest.raises(InvalidInputError, match="store"):
        LogFollower(FusionBandit(ARMS), log)


def test_rows_of_other_retrievers_are_not_followed_and_move_no_mark(log, tmp_path):
    other = log.within("default", "other")
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        other.record_batch(backfilled(random.Random(1), 10))
        assert follower.lag == log.last_row > 0
        assert follower.catch_up() == 0
        assert (follower.lag, follower.log_position) == (0, LogPosition(log.log_id))
        log.record_batch(backfilled(random.Random(2), 10))
        assert follower.catch_up() > 0
        assert_holds_the_log(follower, log)


@pytest.mark.slow
@pytest.mark.parametrize("deleting", [False, True])
def test_several_that_follow_one_log_take_every_row_once(log, store_url, namespace, deleting):
    """Chunks and deletions are taken by the first; who comes late reads on from where others are.

    Rows are recorded and deleted all the while.
    """
    rng = random.Random(11)
    bandits = [process.bandit_over(store_url, namespace=namespace) for _ in range(3)]
    done = threading.Event()
    taken = []

    def follow(bandit):
        follower = LogFollower(bandit, log)
        while not done.is_set():
            taken.append(follower.catch_up(limit=7))
        taken.append(follower.catch_up())

    threads = [threading.Thread(target=follow, args=(bandit,)) for bandit in bandits]
    for thread in threads:
        thread.start()
    for _ in range(20):
        report = log.record_batch(backfilled(rng, 10))
        if deleting:
            for each in rng.sample(report.results, 3):
                log.delete(each.interaction_id or "absent")
    done.set()
    for thread in threads:
        thread.join()
    if not deleting:
        assert sum(taken) == sum(frame.height for frame in log.scan())
    for bandit in bandits:
        assert LogFollower(bandit, log).catch_up() == 0
        bandit.refresh()
        assert_same(bandit.evidence, fold_of(log))
        bandit.learner.store.close()


@pytest.mark.slow
def test_a_killed_follower_goes_on_where_it_was(log, tmp_path):
    """Killed at any moment, it leaves units and mark together; the end is that of no kill."""
    rng, state = random.Random(5), f"sqlite:///{tmp_path}/state.db"
    for _ in range(4):
        log.record_batch(backfilled(rng, 300))
    rows = []
    for _ in range(3):
        command = [sys.executable, str(PROCESS), log.url, state, "5"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as running:
            for _ in range(rng.randrange(1, 8)):
                assert running.stdout.readline()
                running.stdin.write("go on\n")
                running.stdin.flush()
            running.kill()
        with following(log, state) as follower:
            rows.append(follower.log_position.row)
    assert rows == sorted(rows)
    assert 0 < rows[0] < rows[-1] < log.last_row
    with following(log, state) as follower:
        follower.catch_up(limit=50)
        follower.catch_up()
        assert_holds_the_log(follower, log)


def copied(source, target):
    """Copy a closed log as a backup does."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize("new_rows", [0, 10, 90])
@pytest.mark.parametrize("deletions", [(0, 0), (4, 0), (4, 2), (4, 9), (0, 3)])
def test_a_log_that_is_restored_from_an_older_copy_is_learnt_again(
    tmp_path, caplog, followed, new_rows, deletions
):
    """However many rows and deletions have come since, nothing is left over and none is skipped."""
    path, backup = tmp_path / "log.db", tmp_path / "backup.db"
    url, state, rng = f"sqlite:///{path}", f"sqlite:///{tmp_path}/state.db", random.Random(5)

    def change(rows, deleted):
        with InteractionLog(url, retriever_id="r") as log, following(log, state) as follower:
            ids = log.record_batch(backfilled(rng, rows)).results if rows else []
            ids = [each.interaction_id for each in ids if each.interaction_id]
            follower.catch_up()
            for chosen in ids[:deleted]:
                log.delete(chosen)
            follower.catch_up()

    change(30, 3)
    copied(path, backup)
    change(60, deletions[0])
    path.unlink()
    copied(backup, path)
    if followed:
        change(0, 0)
    with InteractionLog(url, retriever_id="r") as log:
        results = log.record_batch(backfilled(rng, max(new_rows, deletions[1]))).results
        for each in [each for each in results if each.interaction_id][: deletions[1]]:
            log.delete(each.interaction_id)
        with following(log, state) as follower:
            follower.catch_up()
            assert_holds_the_log(follower, log)
            assert follower.catch_up() == 0
            assert follower.lost is not followed
            assert_holds_the_log(follower, log)
    assert caplog.text.count("restored from an older copy") == 1


def test_a_log_that_was_only_shortened_is_not_learnt_again(log, tmp_path, caplog):
    """Rows that are deleted or expired by its own means are missing, but known to be."""
    state = f"sqlite:///{tmp_path}/state.db"
    with following(log, state) as follower:
        for number in range(6):
            log.record(live("s", f"d{number}", f"e{number}"))
        follower.catch_up()
        log.delete_user("unknown")
        log.delete(next(log.scan())["interaction_id"][-1])
        follower.catch_up()
        log.expire(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
        follower.catch_up()
    with following(log, state) as follower:
        log.record(live("s", "d9", "e9"))
        assert follower.catch_up() == 1
        assert not follower.lost
        assert follower.bandit.evidence.summary.open_units == 6
    assert caplog.text == ""


def test_a_state_begins_after_the_last_deletion_of_what_it_follows(log):
    """Those of other retrievers and namespaces are not its own; those of a user are."""
    with InteractionLog(log.url, namespace="elsewhere") as elsewhere:
        views = [log, log.within("default", "other"), elsewhere.within("elsewhere", "r")]
        for view in views:
            assert first_position(view) == LogPosition(log.log_id)
            for number in range(3):
                view.delete(view.record(live("s", f"d{number}", f"e{number}")).interaction_id)
        numbers = [first_position(view).deletion for view in views]
        assert numbers == [view.deletions_after(0)[-1].number for view in views] == [3, 6, 9]
        log.within("default").delete_user("unknown")
        assert log.deletions_after(first_position(log).deletion) == []
        assert first_position(log, generation=2).generation == 2


def test_it_is_caught_up_once_it_saw_the_end_and_not_where_the_state_was_lost(log, tmp_path):
    log.record_batch([live("s", f"d{n}", f"e{n}") for n in range(50)])
    with following(log, f"sqlite:///{tmp_path}/state.db") as follower:
        for _ in range(2):
            follower.catch_up(limit=20)
            assert not follower.caught_up
        follower.catch_up(limit=20)
        assert follower.caught_up
        log.record_batch([live("s", f"d{n}", f"e{n}") for n in range(50, 90)])
        follower.catch_up(limit=20)
        assert follower.caught_up
        follower._store.clear()
        follower.catch_up(limit=20)
        assert not follower.caught_up
        follower.catch_up()
        assert follower.caught_up
