"""What a log in PostgreSQL takes in beside a bare COPY of the same bytes, and what workers add.

Batches of 500 interactions go to an `InteractionLog` from 4 threads, each its own batch, and the
same rows by COPY from 4 connections into tables of the same columns: one with the same indexes, and
one without any; every batch is committed. Rounds go over the three in turn; every ratio is the
median of the rounds' own ratios.

Then weights are read over HTTP, for users and not for sessions, from one worker and from two. The
client is this process: it needs a core of its own, and the server that learns nothing meanwhile
none. With fewer cores than workers + 1 the ratio says what the machine allows.

usage: postgres.py URL [--seconds S] [--rounds N] [--workers 1,2]
URL: of a database whose role may make schemas, such as postgresql:///bench?host=/tmp/pg&user=me
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from processes import LEARNING, enable, started
from socket_client import Connection, Target, get, make_rows, post, press

from rankloom import InteractionLog
from rankloom._shared.postgres import PostgresAddress

BATCH, CONNECTIONS = 500, 4
_COLUMNS = (
    "seq bigint, event_time bigint, occurred_at bigint, recorded bigint, signature bigint, "
    "document_score float8, namespace int, retriever int, place int, result_set_size int, "
    "live smallint, is_text smallint, interaction_id text, feature_id text, types text, "
    "metadata text, user_id text, session_id text, execution_id text, snapshot text, channel text, "
    "unknown_keys text"
)
_INDEXES = (
    "(namespace, interaction_id, event_time)",
    "(namespace, seq, retriever)",
    "(namespace, execution_id, signature, event_time) WHERE execution_id IS NOT NULL",
    "(namespace, session_id) WHERE session_id IS NOT NULL",
    "(namespace, user_id) WHERE user_id IS NOT NULL",
)


def schema_of(url: str) -> str:
    """Return the URL of a schema of its own."""
    return f"{url}{'&' if '?' in url else '?'}schema=b{uuid.uuid4().hex[:12]}"


def batches(log: InteractionLog, name: str, count: int) -> list[list[Any]]:
    """Return prepared batches whose rows no other batch has."""
    made = []
    for number in range(count):
        rows = make_rows("logged", f"{name}-{number}", BATCH, session=True)
        made.append(log.prepare_batch(json.dumps(rows).encode(), limit=BATCH))
    return made


def copy_text(batch: list[Any], number: int) -> str:
    """Return the rows as COPY takes them; what the log gives is made up, as long as its own."""
    lines = []
    for place, row in enumerate(batch):
        document, types, position, metadata, user, session, execution, *rest = row.values
        snapshot, is_text, score, size, channel, unknown = rest
        seq = number * BATCH + place
        now = 1_800_000_000_000_000 + seq
        values = (
            *(seq, now, None, now, row.signature, score, 1, 1, position, size, 1, is_text),
            *(str(uuid.UUID(int=seq << 40)), document, types, metadata, user, session, execution),
            *(snapshot, channel, unknown),
        )
        lines.append("\t".join(r"\N" if v is None else str(v).replace("\\", r"\\") for v in values))
    return "\n".join(lines) + "\n"


def run(send: Any, work: list[Any]) -> float:
    """Return rows a second where every thread sends the next of what is left."""
    started_at = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, work))
    return len(work) * BATCH / (time.perf_counter() - started_at)


class Copying:
    """Connections that COPY into one table."""

    def __init__(self, url: str, *, indexed: bool) -> None:
        address = PostgresAddress(url)
        self.free = [psycopg.connect(address.conninfo, autocommit=True) for _ in range(CONNECTIONS)]
        self.table = f'"{address.schema}".copied_{"indexed" if indexed else "plain"}'
        self.free[0].execute(f'CREATE SCHEMA IF NOT EXISTS "{address.schema}"'.encode())
        self.free[0].execute(f"CREATE TABLE {self.table} ({_COLUMNS})".encode())
        for columns in _INDEXES if indexed else ():
            self.free[0].execute(f"CREATE INDEX ON {self.table} {columns}".encode())

    def send(self, text: str) -> None:
        """Copy and commit a batch."""
        connection = self.free.pop()
        with connection.cursor().copy(f"COPY {self.table} FROM STDIN".encode()) as copy:
            copy.write(text)
        self.free.append(connection)


def intake(url: str, rounds: int, count: int) -> dict[str, float]:
    """Return rows a second of the log and of both copies, and the ratios."""
    own = schema_of(url)
    rates: dict[str, list[float]] = {"log": [], "copy, indexed": [], "copy, plain": []}
    with InteractionLog(own) as log:
        log.record_batch(make_rows("logged", "first", 10, session=True))
        copies = {
            "copy, indexed": Copying(own, indexed=True),
            "copy, plain": Copying(own, indexed=False),
        }
        for number in range(rounds):
            made = batches(log, str(number), count)
            texts = [copy_text(batch, number * count + n) for n, batch in enumerate(made)]
            rates["log"].append(run(lambda batch: log.submit(batch).result(), made))
            for name, copying in copies.items():
                rates[name].append(run(copying.send, texts))
        stored = log.last_row
    assert stored == 10 + rounds * count * BATCH, "an acknowledged row is missing"
    found = {name: statistics.median(values) for name, values in rates.items()}
    for name in copies:
        pairs = zip(rates["log"], rates[name], strict=True)
        found[f"log / {name}"] = statistics.median(ours / theirs for ours, theirs in pairs)
    return found


def reads(url: str, workers: int, seconds: float) -> float:
    """Return the weights that so many workers answer in a second."""
    own = schema_of(url)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from rankloom.service.http.tokens import add_token

        token = add_token(folder / "tokens", "shop", "admin")
        command = [sys.executable, "-m", "rankloom", "serve", "--port", "0", "--log", own]
        command += ["--state", own, "--token-file", str(folder / "tokens")]
        command += ["--workers", str(workers)]
        with started(command, folder / "stderr") as (_, line):
            target = Target(int(line.rpartition(":")[2]), token)
            enable(target)
            with closing(Connection(target.port).socket):
                connection = Connection(target.port)
                rows = make_rows(LEARNING, "r", 500, session=True)
                body = {"interactions": rows}
                connection.call(post("/v1/retrievers/interactions/batch", body, target))
            time.sleep(5.0)
            path = f"/v1/retrievers/{LEARNING}/learned-fusion/weights/user"
            requests = [get(f"{path}{n % 50}", target) for n in range(int(20_000 * seconds))]
            done = press(target.port, requests, 1, 16, seconds)
            return done.requests / done.seconds


def main() -> int:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description="see the top of the file")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--workers", default="1,2")
    options = parser.parse_args()
    for name, value in intake(options.url, options.rounds, options.batches).items():
        print(f"{name:24} {value:12,.2f}")
    print(f"{'cores':24} {os.cpu_count():12}")
    rates = {
        int(n): reads(options.url, int(n), options.seconds) for n in options.workers.split(",")
    }
    for workers, rate in rates.items():
        print(f"weights, {workers} workers{'':7} {rate:12,.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
