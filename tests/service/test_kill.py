"""A service that is killed at any moment has every interaction that it acknowledged, once."""

import contextlib
import http.client
import itertools
import json
import os
import random
import sqlite3
import threading
import time
from collections import Counter, defaultdict

import httpx
import msgspec
import numpy as np
import pytest

from rankloom.bandit import Evidence, FusionBandit, open_store
from rankloom.bandit.log_follower.follower import LogFollower
from rankloom.datasets import InteractionLog
from rankloom.service.api.interaction_response import response

INTERACTIONS = "/v1/retrievers/interactions"
FUSION = "/v1/retrievers/r/learned-fusion"
ARMS = ["mixpeek://text", "mixpeek://image", "mixpeek://audio"]
TYPES = [["impression"], ["click"], ["click", "impression"], ["purchase"], ["skip"]]
WHERE = {"namespace": "shop", "retriever_id": "r"}
LEARNT = {"segment_by": ["device"]}
USERS = [f"u{number}" for number in range(40)]
KILLS = int(os.environ.get("RANKLOOM_TEST_KILLS", "0"))
"""Kills of the tests over PostgreSQL and of many kills; 0 for their own numbers."""
PATIENCE = 120


class Ledger:
    """What was sent, and what the service said to it, over all lives of the service."""

    def __init__(self):
        self.rows = {}
        self.sends = Counter()
        self.answers = defaultdict(list)
        self.keyed = []
        self.unanswered = []
        self.faults = []

    def create(self, marker, row):
        row["metadata"]["marker"] = marker
        self.rows[marker] = row
        return row


class Sender:
    """One connection's worth of load; its rows carry its name and a number."""

    def __init__(self, number, ledger, seed):
        self.ledger = ledger
        self.rng = random.Random(seed)
        self.markers = (f"{number}-{count}" for count in itertools.count())
        self.batches = number % 3 == 0

    def run(self, host, port, headers):
        """Send until the service is gone."""
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        with contextlib.closing(connection):
            try:
                while self._exchange(connection, headers):
                    pass
            except Exception as error:  # noqa: BLE001 - reported in the test's own thread
                self.ledger.faults.append(repr(error))

    def _exchange(self, connection, headers):
        path, own, body, markers = self._batch() if self.batches else self._single()
        self.ledger.sends.update(markers)
        try:
            connection.request("POST", path, body, {**headers, **own})
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.ledger.unanswered += [m for m in markers if m in self.ledger.keyed[-200:]]
            return False
        if response.status != 200:
            self.ledger.faults.append((response.status, raw))
            return False
        self._note(markers, json.loads(raw))
        return True

    def _note(self, markers, answer):
        if not self.batches:
            self.ledger.answers[markers[0]].append(answer)
            return
        for marker, result in zip(markers, answer["results"], strict=True):
            self.ledger.answers[marker].append(result)

    def _single(self):
        marker = self._again() or self._new(live=self.rng.random() < 0.7)
        row = self.ledger.rows[marker]
        keyed = "interaction_id" not in row and marker in self.ledger.keyed
        own = {"idempotency-key": f"key-{marker}"} if keyed else {}
        return INTERACTIONS, own, json.dumps(row).encode(), [marker]

    def _batch(self):
        markers = [self._new(live=False) for _ in range(self.rng.randint(1, 40))]
        if self.rng.random() < 0.3:
            bad = next(self.markers)
            self.ledger.create(bad, {**self._row(live=False), "position": -1})
            markers.append(bad)
        again = self._again()
        if again is not None and "interaction_id" in self.ledger.rows[again]:
            markers.append(again)
        body = json.dumps({"interactions": [self.ledger.rows[m] for m in markers]}).encode()
        return f"{INTERACTIONS}/batch", {}, body, markers

    def _again(self):
        """Return a row that a repeat must not store twice, first those without an answer."""
        ledger = self.ledger
        if ledger.unanswered and self.rng.random() < 0.5:
            with contextlib.suppress(IndexError):
                return ledger.unanswered.pop()
        if ledger.keyed and self.rng.random() < 0.1:
            return self.rng.choice(ledger.keyed)
        return None

    def _new(self, *, live):
        marker = next(self.markers)
        row = self.ledger.create(marker, self._row(live=live))
        chance = self.rng.random()
        if chance < 0.3:
            row["interaction_id"] = f"id-{marker}"
        if chance < (0.3 if self.batches else 0.5):
            self.ledger.keyed.append(marker)
        return marker

    def _row(self, *, live):
        rng = self.rng
        execution = rng.randrange(400)
        row = {
            "feature_id": f"d{rng.randrange(8)}",
            "interaction_type": rng.choice(TYPES),
            "position": rng.randrange(8),
            "execution_id": f"e{execution}",
            "user_id": USERS[execution % len(USERS)],
            "retriever_id": "r",
            "feature_uri": rng.choice(ARMS),
            "metadata": {"device": ["mobile", "desktop"][execution % 2]},
        }
        if rng.random() < 0.5:
            row["session_id"] = f"s{execution}"
            row["query_snapshot"] = {"text": f"query {execution}"}
            if rng.random() < 0.2:
                del row["execution_id"]
        if not live and rng.random() < 0.7:
            day, second = 1 + execution % 28, rng.randrange(60)
            row["occurred_at"] = f"2026-02-{day:02d}T{rng.randrange(3):02d}:10:{second:02d}Z"
        return row


class Lives:
    """One service over the same files, started and killed again and again."""

    def __init__(self, folder, tools, seed, url=None):
        self.url = url
        self.options = () if url is None else ("--log", url, "--state", url)
        self.folder, (self.start, self.address, tokens_for) = folder, tools
        self.rng = random.Random(seed)
        own = tokens_for(folder / "tokens", "shop").headers("admin")
        self.headers = {**own, "content-type": "application/json"}
        self.ledger = Ledger()
        self.senders = [Sender(n, self.ledger, seed + n) for n in range(4)]
        self.start_seconds = 1.0

    @contextlib.contextmanager
    def ready(self):
        before = time.monotonic()
        with self.start(self.folder, *self.options) as process:
            try:
                url = self.address(process)
                self.start_seconds = time.monotonic() - before
                with httpx.Client(base_url=url, headers=self.headers, timeout=PATIENCE) as client:
                    yield process, client
            finally:
                process.kill()

    def killed_while_starting(self):
        with self.start(self.folder, *self.options) as process:
            time.sleep(self.rng.uniform(0.2, 1.1) * self.start_seconds)
            process.kill()

    def killed_under_load(self, seconds, answers=0):
        """Kill it after a while, and not before so many answers where the machine is slow."""
        with self.ready() as (process, client):
            wanted = len(self.ledger.answers) + answers
            where = client.base_url.host, client.base_url.port, self.headers
            threads = [threading.Thread(target=each.run, args=where) for each in self.senders]
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            deadline = time.monotonic() + PATIENCE
            while len(self.ledger.answers) < wanted and not self.ledger.faults:
                assert time.monotonic() < deadline, "no answers"
                time.sleep(0.01)
            process.kill()
            for thread in threads:
                thread.join()
        assert not self.ledger.faults

    def live(self, number):
        """Live once, until a random moment."""
        if number % 20 == 19:
            self._forget()  # all of it can be learnt again
        chance = self.rng.random()
        if chance < 0.2:
            self.killed_while_starting()
        elif chance < 0.4:
            self.killed_under_load(self.rng.uniform(0.0, 0.03))
        else:
            self.killed_under_load(self.rng.uniform(0.03, 0.45), answers=15)

    def _forget(self):
        for path in self.folder.glob("fusion.db*"):
            path.unlink()
        if self.url is not None:
            with open_store(self.url, **WHERE) as store:
                store.clear()

    def last(self):
        """Live once more, learn the rest, and stop in good order."""
        with self.ready() as (process, client):
            deadline = time.monotonic() + PATIENCE
            while (found := client.get(f"{FUSION}/stats").json())["lag"]:
                assert time.monotonic() < deadline, found
                time.sleep(0.05)
            process.terminate()
            assert process.wait(PATIENCE) == 0


def die_often(folder, tools, times, seed, url=None):
    """Kill a service so many times; return the ledger."""
    lives = Lives(folder, tools, seed, url)
    with lives.ready() as (_, client):
        body = {"feature_uris": ARMS, "segment_by": LEARNT["segment_by"]}
        assert client.post(f"{FUSION}/enable", json=body).status_code == 200
    for number in range(times):
        lives.live(number)
    lives.last()
    return lives.ledger


def stored_rows(log):
    """Return every stored record by its marker, and how often each marker is there."""
    found, counts, cursor = {}, Counter(), None
    while True:
        page = log.find(cursor=cursor, limit=1_000)
        for item in page.items:
            counts[item.metadata["marker"]] += 1
            found[item.metadata["marker"]] = msgspec.to_builtins(response(item))
        cursor = page.next_cursor
        if cursor is None:
            return found, counts


def kind_of(row):
    """Return what makes rows duplicates."""
    return row.get("execution_id"), row["feature_id"], tuple(sorted(row["interaction_type"]))


def check_rows(ledger, stored, counts):
    """Compare what was acknowledged with what is there."""
    assert counts
    assert set(counts.values()) == {1}
    assert set(stored) <= set(ledger.rows)
    for marker, record in stored.items():
        sent = ledger.rows[marker]
        assert {name: record[name] for name in sent if name != "occurred_at"} == {
            name: value for name, value in sent.items() if name != "occurred_at"
        }
        assert (record["occurred_at"] or "")[:19] == sent.get("occurred_at", "")[:19]
    kinds = {kind_of(record) for record in stored.values()}
    for marker, answers in ledger.answers.items():
        for answer in answers:
            check_answer(answer, marker, ledger, stored, kinds)
        refused = all(is_refused(answer) for answer in answers)
        if refused and len(answers) == ledger.sends[marker]:
            assert marker not in stored


def is_refused(answer):
    return answer.get("deduplicated") or answer.get("status") in {"deduplicated", "failed"}


def check_answer(answer, marker, ledger, stored, kinds):
    """Compare one answer, of a single interaction or of a row of a batch, with what is there."""
    if answer.get("status") == "failed":
        assert ledger.rows[marker]["position"] == -1
    elif is_refused(answer):
        assert kind_of(ledger.rows[marker]) in kinds
    elif "status" in answer:
        assert stored[marker]["interaction_id"] == answer["interaction_id"]
    else:
        assert stored[marker] == answer


def folded(folder, url, log):
    """Learn a log into a store of its own, without any interruption."""
    with open_store(f"sqlite:///{folder}/{url}", **WHERE) as store:
        LogFollower(FusionBandit(ARMS, store=store, **WHERE, **LEARNT), log).catch_up()
        return store.load()


def assert_same_sums(ours, theirs, users):
    """Compare the sums of everything, of every segment and of every user."""
    contexts = [(), ("segment", "mobile"), ("segment", "desktop")]
    contexts += [("user", user) for user in users]
    time_of_both = theirs.latest
    assert ours.latest == time_of_both
    for name in ("N", "S", "F", "Q"):
        mine, other = (getattr(e.sums(contexts, time=time_of_both), name) for e in (ours, theirs))
        assert np.abs(other).sum() > 0 or name not in {"N", "S"}
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9, err_msg=name)


def check_life_after_death(folder, tools, times, seed, url=None):
    ledger = die_often(folder, tools, times, seed, url)
    for name in ("log.db", "fusion.db") if url is None else ():
        with contextlib.closing(sqlite3.connect(folder / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with InteractionLog(url or f"sqlite:///{folder}/log.db", namespace="shop") as log:
        stored, counts = stored_rows(log)
        check_rows(ledger, stored, counts)
        view = log.within(*WHERE.values())
        last = log.last_row
        at_once = Evidence(ARMS, retriever_id="r", **LEARNT)
        at_once.update(view)
        again = folded(folder, "again.db", view)
    with open_store(url or f"sqlite:///{folder}/fusion.db", **WHERE) as store:
        kept, mark = store.load(), store.log_position()
    assert mark.row == last
    assert_same_sums(kept, again, USERS)
    assert_same_sums(kept, at_once, USERS)
    return ledger, stored


@pytest.fixture
def tools(started, started_address, tokens_for):
    return started, started_address, tokens_for


@pytest.mark.slow
def test_killed_five_times(tmp_path, tools):
    """What is acknowledged is stored once and learnt once."""
    ledger, stored = check_life_after_death(tmp_path, tools, 5, seed=1)
    assert len(ledger.answers) > 20
    assert len(stored) > 20


@pytest.mark.slow
def test_killed_over_postgresql(tmp_path, tools, postgres_url):
    """The same over a server."""
    ledger, stored = check_life_after_death(tmp_path, tools, KILLS or 5, seed=3, url=postgres_url)
    assert len(ledger.answers) > 20
    assert len(stored) > 20


@pytest.mark.slow
def test_killed_a_hundred_times(tmp_path, tools):
    """What is acknowledged is stored once and learnt once, whenever the service dies."""
    ledger, stored = check_life_after_death(tmp_path, tools, KILLS or 100, seed=2)
    statuses = Counter(
        answer.get("status", "deduplicated" if is_refused(answer) else "single")
        for answers in ledger.answers.values()
        for answer in answers
    )
    assert set(statuses) == {"single", "created", "existing", "deduplicated", "failed"}
    never_answered = set(ledger.rows) - set(ledger.answers)
    assert never_answered  # or nothing was killed in its work
    assert never_answered & set(stored)
