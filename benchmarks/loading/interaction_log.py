"""What the interaction log stores a second, compared with a bare INSERT of the same bytes.

In batches: bodies of 500 interactions as JSON through `InteractionLog.record_batch`, which decodes
and checks them, makes ids and looks for repeats. Compared with it: the JSON of the same rows, split
beforehand, by one `executemany` into a table of one column, one transaction a body. Singly: threads
that each send the JSON of one interaction and wait for its commit (`InteractionLog.record`). With
it threads that wait for the commit of the same bytes by a bare writer of the same kind: one thread
that inserts all that waits and commits it together. Both write to the same file system in SQLite's
write-ahead mode with `synchronous=FULL`. Both take turns within one run; figures are medians, all
times wall time. Afterwards the log must hold every acknowledged row once.

usage: interaction_log.py [--rows N] [--singles N] [--threads N ...] [--rounds N] [--dir DIR]
                          [--out JSON]
exit code: 0 if every acknowledged row was stored, else 1
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rankloom
from rankloom import InteractionLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BATCH, PER_EXECUTION = 500, 10


def make_rows(rows: int, seed: int) -> list[bytes]:
    """Make interactions as JSON: executions of ten documents each, a user for each five."""
    generator = np.random.default_rng(seed)
    clicked = generator.random(rows) < 0.1
    scores = generator.random(rows)
    made = []
    for i in range(rows):
        execution = i // PER_EXECUTION
        made.append(
            {
                "feature_id": f"document-{i % PER_EXECUTION}-{generator.integers(10_000)}",
                "interaction_type": ["impression", "click"] if clicked[i] else ["impression"],
                "position": i % PER_EXECUTION,
                "metadata": {"device": "mobile", "locale": "de"},
                "user_id": f"user-{seed}-{execution // 5}",
                "session_id": f"session-{seed}-{execution // 2}",
                "execution_id": f"execution-{seed}-{execution}",
                "retriever_id": "retriever",
                "query_snapshot": {"text": f"query {execution % 1_000}"},
                "document_score": float(scores[i]),
                "feature_uri": "mixpeek://text@v1/vector",
            }
        )
    return [json.dumps(row, separators=(",", ":")).encode() for row in made]


class BareWriter:
    """One thread that inserts all that waits and commits it together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._condition = threading.Condition()
        self._queue: deque[tuple[bytes, Future[None]] | None] = deque()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def record(self, row: bytes) -> None:
        """Return once a row is committed."""
        future: Future[None] = Future()
        with self._condition:
            self._queue.append((row, future))
            self._condition.notify()
        future.result()

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._queue.append(None)
            self._condition.notify()
        self._thread.join()

    def _work(self) -> None:
        connection = connect(self._path)
        while True:
            with self._condition:
                while not self._queue:
                    self._condition.wait()
                group = list(self._queue)
                self._queue.clear()
            rows = [item for item in group if item is not None]
            insert(connection, [row for row, _ in rows])
            for _, future in rows:
                future.set_result(None)
            if len(rows) < len(group):
                connection.close()
                return


def connect(path: Path) -> sqlite3.Connection:
    """Open a file with one table, as the log is opened."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, row BLOB)")
    return connection


def insert(connection: sqlite3.Connection, rows: list[bytes]) -> None:
    """Insert rows in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO bare (row) VALUES (?)", [(row,) for row in rows])
    connection.execute("COMMIT")


def timed(call: Callable[[Any], object], arguments: Sequence[Any], threads: int) -> float:
    """Return how many calls a second several threads make, each with its share."""
    barrier = threading.Barrier(threads + 1)

    def work(share: Sequence[Any]) -> None:
        barrier.wait()
        for argument in share:
            call(argument)

    workers = [threading.Thread(target=work, args=(arguments[i::threads],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    start = time.monotonic()
    for worker in workers:
        worker.join()
    return len(arguments) / (time.monotonic() - start)


def batches(folder: Path, rows: list[bytes]) -> tuple[float, float, bool]:
    """Return rows a second, bare and ours, and whether ours were all stored."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    bodies = [b"[" + b",".join(part) + b"]" for part in parts]
    connection = connect(folder / "bare.db")
    start = time.monotonic()
    for part in parts:
        insert(connection, part)
    bare = len(rows) / (time.monotonic() - start)
    connection.close()
    with InteractionLog(f"sqlite:///{folder}/log.db") as log:
        log.check()
        ours = timed(log.record_batch, bodies, 1) * BATCH
        stored = log.find(limit=1, include_total=True).total == len(rows)
    return bare, ours, stored


def singles(folder: Path, rows: list[bytes], threads: int) -> tuple[float, float, bool]:
    """Return rows a second, bare and ours, and whether ours were all stored."""
    writer = BareWriter(folder / "bare.db")
    bare = timed(writer.record, rows, threads)
    writer.close()
    with InteractionLog(f"sqlite:///{folder}/log.db") as log:
        log.check()
        ours = timed(log.record, rows, threads)
        stored = log.find(limit=1, include_total=True).total == len(rows)
    return bare, ours, stored


def measure(options: argparse.Namespace, label: str, threads: int) -> tuple[dict[str, float], bool]:
    """Return the medians of all rounds."""
    found, stored = [], True
    for seed in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            if threads:
                rows = make_rows(options.singles, seed)
                bare, ours, whole = singles(Path(folder), rows, threads)
            else:
                rows = make_rows(options.rows, seed)
                bare, ours, whole = batches(Path(folder), rows)
        found.append((bare, ours, ours / bare))
        stored &= whole
    bare, ours, ratio = np.median(found, axis=0).tolist()
    print(f"  {label:34s} {bare:13,.0f} {ours:10,.0f} {ratio:9.2f}")
    return {"bare": bare, "rankloom": ours, "of bare": ratio}, stored


def main() -> int:
    """Measure, print the table and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="in batches")
    parser.add_argument("--singles", type=int, default=5_000, help="one by one")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, help="where files are made; the system's by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    versions = {"rankloom": rankloom.__version__, "sqlite": sqlite3.sqlite_version}
    print({**versions, "python": platform.python_version()})
    print(f"\n{'interactions a second':36s} {'bare INSERT':>13s} {'rankloom':>10s} {'of bare':>9s}")
    results: dict[str, Any] = {"versions": versions}
    verdict = True
    cases = [(f"batches of {BATCH}", 0)]
    cases += [(f"singly, {n} thread{'s' * (n > 1)}", n) for n in options.threads]
    for label, threads in cases:
        results[label], stored = measure(options, label, threads)
        verdict &= stored
    text = "every acknowledged interaction was stored once"
    print(f"\n{'holds' if verdict else 'FAILS'}: {text}")
    if options.out:
        record = {**results, "verdicts": {text: verdict}}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
