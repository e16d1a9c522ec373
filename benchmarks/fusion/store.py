"""Events and reads a second of a store of learned fusion, compared with the bare database.

Writing: processes send events of their own, in batches (`FusionBandit.update`) and one by one
(`FusionBandit.observe`); an event counts when the call has returned. Compared with the same units'
keys and values, made beforehand, in a bare INSERT into one table of SQLite (same file system, same
write-ahead mode, one transaction a batch) and in a bare pipeline of HSET to the same Redis server.
Every store must afterwards hold every acknowledged event. Reading, while one process writes
without pause: weights of a user (`WatchedWeights.sample`) and the newest snapshot, in turn with a
bare GET (SELECT by key) of as many bytes as the user's unit has. All times are wall time.

A redis-server is started on a free port if one is on the path; else Redis is left out.

usage: store.py [--events N] [--singles N] [--writers N ...] [--rounds N] [--reads N]
                [--dir DIR] [--out JSON]
exit code: 0 if no acknowledged event was lost, else 1
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import rankloom
from rankloom.bandit import (
    EventColumns,
    Evidence,
    FusionBandit,
    FusionWeights,
    open_store,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.synchronize import Barrier, Event

ARMS = [f"mixpeek://channel-{i}" for i in range(5)]
START = 1_770_000_000_000_000
BATCH, PER_EXECUTION = 500, 10
TIMEOUT = 120.0

Pairs = list[tuple[bytes, bytes]]


class Work(NamedTuple):
    """What one process writes: `events` of its own in batches of `batch`, under a name."""

    kind: str
    url: str
    name: str
    writer: int
    events: int
    batch: int


def make_events(writer: int, events: int) -> EventColumns:
    """Make executions of ten documents each, one user each, that no other writer has."""
    generator = np.random.default_rng(writer)
    executions = -(-events // PER_EXECUTION)
    row = np.arange(events)
    return EventColumns(
        execution=row // PER_EXECUTION,
        executions=[f"execution-{writer}-{i}" for i in range(executions)],
        document=row % PER_EXECUTION,
        documents=[f"document-{i}" for i in range(PER_EXECUTION)],
        types=(generator.random(events) < 0.2).astype(np.int32),
        type_sets=[["impression"], ["impression", "click"]],
        time=START + row * 1_000,
        position=row % PER_EXECUTION,
        feature_uri=generator.integers(0, len(ARMS), events),
        feature_uris=ARMS,
        user=row // PER_EXECUTION,
        users=[f"user-{writer}-{i}" for i in range(executions)],
    )


def batches(columns: EventColumns, batch: int) -> Iterator[EventColumns]:
    """Cut columns up."""
    names = ("execution", "document", "types", "time", "position", "feature_uri", "user")
    for start in range(0, len(columns), batch):
        rows = slice(start, start + batch)
        yield replace(columns, **{name: getattr(columns, name)[rows] for name in names})


def as_dict(columns: EventColumns) -> dict[str, Any]:
    """Return the one event of columns as it would be observed."""
    assert columns.feature_uri is not None
    assert columns.user is not None
    return {
        "execution_id": columns.executions[columns.execution[0]],
        "feature_id": columns.documents[columns.document[0]],
        "interaction_type": columns.type_sets[columns.types[0]],
        "timestamp": str(columns.time.astype("datetime64[us]")[0]) + "Z",
        "position": int(columns.position[0]),
        "feature_uri": ARMS[columns.feature_uri[0]],
        "user_id": columns.users[columns.user[0]],
    }


def stored(columns: EventColumns) -> Pairs:
    """Return keys and values of the events' units."""
    evidence = Evidence(ARMS)
    evidence.update(columns)
    return [(row.key, row.value) for row in evidence.unit_rows()]


def connect(url: str) -> sqlite3.Connection:
    """Open the file of an URL as the store does, with a bare table."""
    path = url.removeprefix("sqlite:///") + ".bare"
    connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE IF NOT EXISTS bare (key BLOB PRIMARY KEY, value BLOB)")
    return connection


def bare_writer(kind: str, url: str, name: str) -> Callable[[Pairs], object]:
    """Return what writes a batch and returns when the database has taken it."""
    if kind == "sqlite":
        connection = connect(url)

        def insert(pairs: Pairs) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare (key, value) VALUES (?, ?)", pairs)
            connection.execute("COMMIT")

        return insert
    import redis

    client = redis.Redis.from_url(url)

    def pipeline(pairs: Pairs) -> None:
        commands = client.pipeline(transaction=False)
        for key, value in pairs:
            commands.hset(name, key, value)
        commands.execute()

    return pipeline


def write_bare(work: Work, barrier: Barrier, results: Any) -> None:
    """Write without rankloom, and report when it began and ended."""
    made = [stored(part) for part in batches(make_events(work.writer, work.events), work.batch)]
    write = bare_writer(work.kind, work.url, work.name)
    barrier.wait()
    start = time.monotonic()
    for pairs in made:
        write(pairs)
    results.put((start, time.monotonic()))


def write_ours(work: Work, barrier: Barrier, results: Any) -> None:
    """Write through `FusionBandit`, and report when it began and ended."""
    bandit = FusionBandit.open(work.url, ARMS, namespace=work.name, timeout=TIMEOUT)
    columns = make_events(work.writer, work.events)
    parts = list(batches(columns, work.batch))
    events = [as_dict(part) for part in parts] if work.batch == 1 else []
    Evidence(ARMS).update(parts[0])  # loads the compiled kernels
    barrier.wait()
    start = time.monotonic()
    if work.batch == 1:
        for event in events:
            bandit.observe(event)
    else:
        for part in parts:
            bandit.update(part)
    results.put((start, time.monotonic()))


def rate(target: Callable[..., None], works: list[Work]) -> float:
    """Run one process for each piece of work, all at once; return events a second."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(works)), context.SimpleQueue()
    processes = [context.Process(target=target, args=(w, barrier, results)) for w in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        msg = f"a writer of {works[0]} failed"
        raise RuntimeError(msg)
    times = [results.get() for _ in processes]
    seconds = max(ended for _, ended in times) - min(begun for begun, _ in times)
    return sum(work.events for work in works) / seconds


def writing(
    kind: str, url: str, writers: int, events: int, batch: int, rounds: int
) -> tuple[dict[str, float], bool]:
    """Return events a second, medians, and whether none was lost."""
    found: dict[str, list[float]] = {"bare": [], "rankloom": []}
    complete = True
    for number in range(rounds):
        for label, target in (("bare", write_bare), ("rankloom", write_ours)):
            name = f"{label}-{writers}-{batch}-{number}"
            place = f"{url}-{name}" if kind == "sqlite" else url
            works = [Work(kind, place, name, w, events, batch) for w in range(writers)]
            found[label].append(rate(target, works))
            if label == "rankloom":
                with open_store(place, namespace=name) as store:
                    loaded = store.load()
                complete &= loaded is not None and loaded.summary.open_units == writers * events
    figures = {label: float(np.median(rates)) for label, rates in found.items()}
    return {**figures, "of bare": figures["rankloom"] / figures["bare"]}, complete


def write_on(url: str, name: str, started: Event, stop: Event) -> None:
    """Write batches of new executions until `stop` is set."""
    bandit = FusionBandit.open(url, ARMS, namespace=name, timeout=TIMEOUT)
    writer = 1
    while not stop.is_set():
        writer += 1
        for part in batches(make_events(writer, 20 * BATCH), BATCH):
            bandit.update(part)
            started.set()
            if stop.is_set():
                return


def bare_reader(kind: str, url: str, key: bytes, value: bytes) -> Callable[[], object]:
    """Return what reads one value by key."""
    if kind == "sqlite":
        connection = connect(url)
        connection.execute("INSERT OR REPLACE INTO bare VALUES (?, ?)", (key, value))

        def select() -> object:
            return connection.execute("SELECT value FROM bare WHERE key = ?", (key,)).fetchone()

        return select
    import redis

    client = redis.Redis.from_url(url)
    client.set(key, value)
    return lambda: client.get(key)


def reading(kind: str, url: str, reads: int) -> dict[str, dict[str, float]]:
    """Time reads while a process writes; microseconds."""
    name, place = "reads", f"{url}-reads" if kind == "sqlite" else url
    columns = make_events(1, 10 * BATCH)
    bandit = FusionBandit.open(place, ARMS, namespace=name)
    bandit.update(columns)
    bandit.publish()
    key, value = stored(next(batches(columns, BATCH)))[0]
    bare = bare_reader(kind, place, b"bare:" + key, value)
    context = multiprocessing.get_context("spawn")
    started, stop = context.Event(), context.Event()
    process = context.Process(target=write_on, args=(place, name, started, stop))
    users = [f"user-1-{i % 500}" for i in range(reads)]
    process.start()
    with open_store(place, namespace=name) as store, FusionWeights.watch(store, ARMS) as weights:
        calls: dict[str, Callable[[str], object]] = {
            "bare GET": lambda _: bare(),
            "weights of a user": lambda user: weights.sample(user_id=user),
            "newest snapshot": lambda _: store.get_snapshot(),
        }
        took: dict[str, list[int]] = {label: [] for label in calls}
        assert started.wait(TIMEOUT)
        for user in users:
            for label, call in calls.items():
                start = time.perf_counter_ns()
                call(user)
                took[label].append(time.perf_counter_ns() - start)
        assert process.is_alive()
    stop.set()
    process.join()
    return {
        label: {"p50": float(np.median(t)) / 1e3, "p99": float(np.quantile(t, 0.99)) / 1e3}
        for label, t in took.items()
    }


@contextmanager
def redis_server(folder: Path) -> Iterator[str | None]:
    """Start a server on a free port; None, with a line that says why, where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        print("Redis is left out: no redis-server on the path")
        yield None
        return
    try:
        import redis
    except ImportError as error:
        print(f"Redis is left out: {error}")
        yield None
        return
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        for _ in range(200):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        print(f"Redis {client.info()['redis_version']}")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def measure(kind: str, url: str, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Measure one store and print its tables."""
    results: dict[str, Any] = {}
    complete = True
    bare = "bare INSERT" if kind == "sqlite" else "bare pipeline"
    print(f"\n{f'{kind}, events a second':32s} {bare:>13s} {'rankloom':>10s} {'of bare':>9s}")
    for batch, events in ((BATCH, options.events), (1, options.singles)):
        for writers in options.writers:
            label = f"{writers} writing, batches of {batch}"
            figures, is_complete = writing(kind, url, writers, events, batch, options.rounds)
            complete &= is_complete
            results[label] = figures
            numbers = f"{figures['bare']:13,.0f} {figures['rankloom']:10,.0f}"
            print(f"  {label:30s} {numbers} {figures['of bare']:9.2f}")
    results["reads"] = reading(kind, url, options.reads)
    print(f"{f'{kind}, reads while one writes, microseconds':44s} {'p50':>9s} {'p99':>9s}")
    for label, figures in results["reads"].items():
        print(f"  {label:42s} {figures['p50']:9.1f} {figures['p99']:9.1f}")
    return results, complete


def main() -> int:
    """Measure, print the tables and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="of each writer")
    parser.add_argument("--singles", type=int, default=1_000, help="of each, one by one")
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reads", type=int, default=3_000)
    parser.add_argument("--dir", type=Path, help="where files are made; the system's by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    versions = {"rankloom": rankloom.__version__, "sqlite": sqlite3.sqlite_version}
    print({**versions, "python": platform.python_version()})
    results: dict[str, Any] = {"versions": versions}
    verdicts: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(dir=options.dir) as folder, redis_server(Path(folder)) as url:
        for kind, place in (("sqlite", f"sqlite:///{folder}/fusion"), ("redis", url)):
            if place is not None:
                results[kind], complete = measure(kind, place, options)
                verdicts[f"{kind}: no acknowledged event was lost"] = complete
    print()
    for text, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if options.out:
        record = {**results, "verdicts": verdicts}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
