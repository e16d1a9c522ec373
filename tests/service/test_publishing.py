"""What a service learns reaches those who watch its store: in time, whole, and never too early."""

import contextlib
import datetime as dt
import json
import logging
import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from rankloom import FusionWeights, InteractionLog
from rankloom.bandit import Evidence, open_store
from rankloom.bandit.store.log_position import LogPosition
from rankloom.service.learning import publisher
from rankloom.service.learning.retrievers import Retrievers

BASE = "/v1/retrievers/r/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
ARMS = ["text", "image"]


def row(number, **fields):
    channel = ARMS[number % 2]
    clicked = number // 2 % (3 if channel == "text" else 4) == 0
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return {
        "feature_id": f"d{number}",
        "execution_id": f"e{number}",
        "user_id": f"u{number % 7}",
        "session_id": f"s{number}",
        "retriever_id": "r",
        "interaction_type": ["impression", "click"] if clicked else ["impression"],
        "position": 0,
        "feature_uri": channel,
        "occurred_at": (moment + dt.timedelta(seconds=number)).isoformat(),
        **fields,
    }


class Watcher:
    """A retriever service in a process of its own."""

    def __init__(self, state, namespace):
        script = Path(__file__).with_name("watcher_process.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), state, namespace, *ARMS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def ask(self, **asker):
        self.process.stdin.write(json.dumps(asker) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(params=["sqlite", "redis"])
def state(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fusion.db"
    url = os.environ.get("RANKLOOM_TEST_REDIS_URL")
    return url or pytest.skip("RANKLOOM_TEST_REDIS_URL is not set")


@pytest.fixture
def serving(tmp_path, state, started, started_address, tokens_for, client_of):
    """A function that runs `rankloom serve` with options, in a namespace of its own."""
    tokens = tokens_for(tmp_path / "tokens", uuid.uuid4().hex)

    @contextlib.contextmanager
    def serve(*options):
        with started(tmp_path, "--state", state, *options) as process:
            try:
                client = client_of(started_address(process), tokens)
                client.process = process
                with client.http:
                    yield client
            finally:
                process.kill()

    return serve


def post(service, *interactions):
    assert service.post({"interactions": list(interactions)}, BATCH).json()["failed"] == 0


def learnt(service, lag=0):
    """Return the name of the posterior once the log is learnt; the last row may still be in it."""
    found = service.get(f"{BASE}/stats").json()
    return found["snapshot_id"] if found["lag"] == lag else None


def newest(state, namespace):
    with open_store(state, namespace=namespace, retriever_id="r") as store:
        text = store.get_snapshot()
    return None if text is None else FusionWeights.from_json(text)


@pytest.mark.slow
def test_a_watcher_in_another_process_serves_what_the_service_serves(serving, state, wait_until):
    """Users and sessions too; before anything was published its weights are equal."""
    with serving("--publish-every", "0.2") as service:
        namespace = service.tokens.namespace
        assert (
            service.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable").status_code
            == 200
        )
        with Watcher(state, namespace) as watcher:
            assert watcher.ask(user_id="u1")["policy"] == "fallback"
            # So many that the session, which the watcher's snapshot holds too, is little of all.
            for start in (0, 1_000, 2_000):
                post(service, *(row(number) for number in range(start, start + 1_000)))
            asked = {"user_id": "u1", "session_id": "now"}

            def both(**tolerance):
                """Return the weights of both as soon as these agree, by one posterior.

                By one of before the last rows they need not: the watcher looks a user up in the
                store, which holds those rows already.
                """
                theirs = service.get(f"{BASE}/weights/u1", params={"session_id": "now"}).json()
                ours = watcher.ask(**asked)
                one = ours["snapshot_id"] == theirs["snapshot_id"] == learnt(service)
                found = ours["weights"], theirs["weights"]
                agree = found[0] == pytest.approx(found[1], **tolerance)
                return ours["policy"] == "learned" and one and agree and found

            wait_until(lambda: service.get(f"{BASE}/stats").json()["open_units"] == 3_000)
            _, before = wait_until(lambda: both(rel=1e-6))
            others = watcher.ask(user_id="u2", session_id="other")["weights"]
            live = row(1, user_id="u1", session_id="now", interaction_type=["view", "click"])
            del live["occurred_at"]
            # The noise of the session, of a random namespace, may put the weight at its floor: over
            # 20,000 namespaces eight clicks raised it by 0.16 or more, three by as little as 0.01.
            for number in range(8):
                service.post({**live, "execution_id": f"live{number}"})
            wait_until(lambda: service.get(f"{BASE}/stats").json()["open_units"] == 3_008)
            more = before["image"] + 0.08
            wait_until(lambda: (found := both(abs=0.04)) and found[0]["image"] > more)
            again = watcher.ask(user_id="u2", session_id="other")["weights"]
            assert again == pytest.approx(others, abs=0.05)


@pytest.mark.slow
def test_snapshots_come_at_most_so_often_and_once_more_at_the_end(serving, state, wait_until):
    with serving("--publish-every", "3600") as service:
        namespace = service.tokens.namespace
        service.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
        post(service, *(row(number) for number in range(100)))
        first = wait_until(lambda: newest(state, namespace))
        last = first.snapshot_id
        for start in (100, 300):  # two rounds of the learner: the first could have published late
            post(service, *(row(number) for number in range(start, start + 200)))
            last = wait_until(lambda before=last: (name := learnt(service)) != before and name)
        assert newest(state, namespace).snapshot_id == first.snapshot_id
        last = learnt(service)
        service.process.terminate()
        assert service.process.wait(60) == 0
    assert newest(state, namespace).snapshot_id == last


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db", retriever_id="r") as opened:
        yield opened


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/fusion.db"


@contextlib.contextmanager
def enabled(log, url, **options):
    """Retrievers whose thread does not run, one of them enabled."""
    retrievers = Retrievers(log, url, **options)
    try:
        yield retrievers, retrievers.enable("default", "r", feature_uris=ARMS)
    finally:
        retrievers.stop()


def test_queries_are_published_with_the_weights(log, url):
    rows = [row(number, query_snapshot=f"query {number % 3}") for number in range(300)]
    log.record_batch(rows)
    with enabled(log, url) as (retrievers, _):
        retriever = retrievers.enable("default", "r", feature_uris=ARMS, max_queries=2)
        retriever.learn()
        assert retriever.publish(at_once=True)
        expected = retriever.mean(query="Query 2")
        assert expected != retriever.mean()
        assert retriever.statistics().queries == 2
        store = open_store(url, retriever_id="r")
        with store, FusionWeights.watch(store, ARMS, every=600) as weights:
            assert weights.mean(query="Query 2") == pytest.approx(expected, abs=1e-12)


def test_nothing_is_published_before_the_log_was_learnt_to_its_end(log, url):
    log.record_batch([row(number) for number in range(300)])
    with enabled(log, url) as (_, retriever):
        while not retriever._follower or not retriever._follower.caught_up:
            assert not retriever.publish(at_once=True)
            assert newest(url, "default") is None
            retriever.learn(limit=70)
        assert retriever.publish()
        assert newest(url, "default").snapshot_id == retriever.snapshot_id
        assert not retriever.publish(at_once=True)


def test_with_0_the_first_is_published_and_the_last(log, url, wait_until):
    log.record_batch([row(number) for number in range(100)])
    with enabled(log, url, publish_every=0.0) as (_, retriever):
        retriever.learn()
        assert retriever.publish()
        log.record_batch([row(number) for number in range(100, 200)])
        wait_until(lambda: retriever.learn() == 0 and not retriever._bandit.is_stale)
        assert not retriever.publish()
        last = retriever.snapshot_id
        assert newest(url, "default").snapshot_id != last
    assert newest(url, "default").snapshot_id == last


@pytest.mark.slow
def test_a_store_that_refuses_is_tried_again_and_learning_goes_on(
    log, url, monkeypatch, caplog, wait_until
):
    monkeypatch.setattr(publisher, "RETRIED_AFTER", 0.1)
    retrievers = Retrievers(log, url)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON fusion_snapshots "
            "BEGIN SELECT RAISE(ABORT, 'no space'); END"
        )
        with caplog.at_level(logging.WARNING, logger="rankloom.service"):
            retrievers.start()
            try:
                log.record_batch([row(number) for number in range(100)])
                wait_until(lambda: "cannot be published" in caplog.text)
                before = retriever.snapshot_id
                log.record_batch([row(number) for number in range(100, 300)])
                wait_until(lambda: retriever.lag == 0 and retriever.snapshot_id != before)
                assert newest(url, "default") is None
                connection.execute("DROP TRIGGER full")
                wait_until(lambda: newest(url, "default"))
                assert "cannot learn" not in caplog.text
            finally:
                retrievers.stop()


def test_a_state_that_was_begun_anew_gets_no_snapshot_of_before(log, url, wait_until):
    """Another process has enabled other channels; this one has not read it yet."""
    log.record_batch([row(number) for number in range(100)])
    with enabled(log, url) as (_, retriever):
        retriever.learn()
        assert retriever.publish()
        log.record_batch([row(number) for number in range(100, 200)])
        wait_until(lambda: retriever.learn() == 0 and not retriever._bandit.is_stale)
        published = newest(url, "default").snapshot_id
        assert retriever.snapshot_id != published
        with open_store(url, retriever_id="r") as store:
            store.clear(keep_resets=True)
            store.apply(
                Evidence(ARMS, retriever_id="r"), log_position=LogPosition(log.log_id, generation=1)
            )
        assert not retriever.publish(at_once=True)
        assert newest(url, "default").snapshot_id == published


@pytest.mark.parametrize("every", [0.0, 3_600.0])
def test_what_was_lost_with_the_state_is_published_again(log, url, every):
    """Though all is learnt again at once, and to the same."""
    log.record_batch([row(number) for number in range(100)])
    with enabled(log, url, publish_every=every) as (_, retriever):
        retriever.learn()
        assert retriever.publish()
        published = newest(url, "default").snapshot_id
        with open_store(url, retriever_id="r") as store:
            store.clear()
        assert newest(url, "default") is None
        retriever.learn()
        assert retriever.snapshot_id == published
        assert retriever.publish()
        assert newest(url, "default").snapshot_id == published


def test_a_roll_out_reaches_those_who_watch(log, url):
    log.record_batch([row(number) for number in range(100)])
    with enabled(log, url) as (retrievers, retriever):
        retriever.learn()
        assert retriever.publish()
        assert newest(url, "default").sample(user_id="u").policy == "learned"
        retrievers.set_rollout("default", "r", rollout_pct=0.0)
        retriever.learn()
        assert retriever.publish(at_once=True)
        assert newest(url, "default").sample(user_id="u").policy == "production"


def test_processes_over_one_state_only_repeat_each_other(log, url):
    log.record_batch([row(number) for number in range(100)])
    with (
        InteractionLog(log.url) as again,
        enabled(log, url) as (_, ours),
        enabled(again, url) as (_, theirs),
    ):
        for each in (ours, theirs, ours):
            each.learn()
            each.publish(at_once=True)
            assert newest(url, "default").mean() == pytest.approx(ours.mean(), rel=1e-9)
    assert newest(url, "default").mean() == pytest.approx(ours.mean(), rel=1e-9)
