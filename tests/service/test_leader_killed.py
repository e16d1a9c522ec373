"""Two workers over one PostgreSQL, the one that learns killed again and again under load."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psycopg
import pytest

from rankloom import InteractionLog
from rankloom._shared.postgres import PostgresAddress, lock_number
from rankloom.bandit import FusionBandit, open_store
from rankloom.bandit.log_follower.follower import LogFollower

ARMS = ["mixpeek://text", "mixpeek://image"]
WHERE = {"namespace": "shop", "retriever_id": "r"}
FUSION = "/v1/retrievers/r/learned-fusion"
BATCH = "/v1/retrievers/interactions/batch"
KILLS = int(os.environ.get("RANKLOOM_TEST_KILLS", "5"))
WRITERS = 8


class Load:
    """Writers that send a fifth of their batches twice, and a reader of weights."""

    def __init__(self, url, tokens):
        self.url, self.tokens = url, tokens
        self.stopped = threading.Event()
        self.faults, self.snapshots = [], set()

    def write(self, number):
        rng, count = random.Random(number), 0
        with httpx.Client(base_url=self.url, timeout=60) as http:
            while not self.stopped.is_set():
                rows = [self._row(rng, number, count + i) for i in range(50)]
                count += len(rows)
                for _ in range(2 if rng.random() < 0.2 else 1):
                    self._send(http, json.dumps({"interactions": rows}))
                time.sleep(0.4)  # slower than one process learns while others take its time
        return count

    def read(self):
        headers = self.tokens.headers("read")
        with httpx.Client(base_url=self.url, timeout=60) as http:
            while not self.stopped.is_set():
                with contextlib.suppress(httpx.TransportError):
                    answer = http.get(f"{FUSION}/weights/u1", headers=headers)
                    if answer.status_code == 200:
                        self.snapshots.add((answer.json()["policy"], answer.json()["snapshot_id"]))
                    elif answer.status_code != 503:
                        self.faults.append(answer.text)
                time.sleep(0.02)

    def _send(self, http, body):
        """Send a batch until it is acknowledged."""
        headers = {**self.tokens.headers("ingest"), "content-type": "application/json"}
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = http.post(BATCH, content=body, headers=headers)
                if answer.status_code == 200:
                    return
                if answer.status_code != 503:
                    self.faults.append(answer.text)
            time.sleep(0.02)

    def _row(self, rng, writer, number):
        return {
            "interaction_id": f"{writer}-{number}",
            "feature_id": f"d{number % 10}",
            "interaction_type": [rng.choice(["impression", "click"])],
            "position": number % 10,
            "execution_id": f"e{writer}-{number // 10}",
            "feature_uri": ARMS[rng.random() < 0.3],
            "retriever_id": "r",
            "user_id": f"u{number % 40}",
            "session_id": f"s{writer}-{number // 30}",
        }


def leader(connection, schema):
    """Return the process that holds the lease, None while none does."""
    number = lock_number("lease", schema, "learner", *WHERE.values()) & (1 << 64) - 1
    found = connection.execute(
        "SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s "
        "AND l.objid::bigint = %s",
        (number >> 32, number & (1 << 32) - 1),
    ).fetchone()
    return None if found is None else int(found[0].rpartition("-")[2])


def processes(connection):
    """Return the processes that have connections."""
    query = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'rankloom-%'"
    return {int(name.rpartition("-")[2]) for (name,) in connection.execute(query).fetchall()}


@pytest.mark.slow
def test_of_two_workers_the_learning_one_is_killed_and_every_row_counts_once(
    tmp_path, started, started_address, tokens_for, client_of, postgres_url, wait_until
):
    tokens = tokens_for(tmp_path / "tokens", "shop")
    options = ("--log", postgres_url, "--state", postgres_url, "--workers", "2")
    schema, taken = PostgresAddress(postgres_url).schema, []
    with (
        started(tmp_path, *options) as process,
        psycopg.connect(PostgresAddress(postgres_url).conninfo, autocommit=True) as connection,
        ThreadPoolExecutor(WRITERS + 1) as pool,
        contextlib.ExitStack() as opened,
    ):
        load = Load(started_address(process), tokens)
        try:
            client = client_of(load.url, tokens)
            opened.enter_context(client.http)
            assert client.post({"feature_uris": ARMS}, f"{FUSION}/enable").status_code == 200
            writing = [pool.submit(load.write, number) for number in range(WRITERS)]
            reading = pool.submit(load.read)
            for number in range(KILLS):
                victim = wait_until(lambda: leader(connection, schema))
                # Who could take over has started; a process takes seconds to.
                wait_until(lambda v=victim: processes(connection) - {v, os.getpid()})
                time.sleep(random.Random(number).uniform(0.3, 2.0))
                os.kill(victim, signal.SIGKILL)
                killed = time.monotonic()
                wait_until(lambda v=victim: leader(connection, schema) not in {None, v})
                taken.append(time.monotonic() - killed)
                if number % 4 == 3:  # who learns gets the time to learn something
                    seen = len(load.snapshots)
                    wait_until(lambda n=seen: len(load.snapshots) > n)
            load.stopped.set()
            sent = sum(each.result(300) for each in writing)
            reading.result(300)
            wait_until(lambda: is_learnt(client))
        finally:
            load.stopped.set()
            process.terminate()
            process.wait(120)
    assert process.returncode == 0
    assert load.faults == []
    assert {policy for policy, name in load.snapshots if name is None} <= {"fallback"}
    assert len(load.snapshots) > 1
    (tmp_path / "taken_over").write_text(json.dumps(sorted(taken)))
    check_sums(postgres_url, tmp_path, sent)


def is_learnt(client):
    with contextlib.suppress(httpx.TransportError, KeyError):
        return client.get(f"{FUSION}/stats").json()["lag"] == 0
    return False


def check_sums(url, folder, sent):
    """Compare the state with what one process learns of the same log at once."""
    with InteractionLog(url, **WHERE) as log:
        names = [name for frame in log.scan() for name in frame["interaction_id"]]
        assert len(names) == len(set(names)) == log.last_row
        assert 0 < len(names) <= sent
        with open_store(f"sqlite:///{folder}/again.db", **WHERE) as store:
            LogFollower(FusionBandit(ARMS, store=store, **WHERE), log).catch_up()
            again = store.load()
    with open_store(url, **WHERE) as store:
        kept = store.load()
    assert kept.latest == again.latest
    for name in ("N", "S", "F", "Q"):
        ours, theirs = (getattr(each.sums(time=again.latest), name) for each in (kept, again))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
