"""How many interactions the service takes in and how fast it answers, compared with bare endpoints.

Server and client share the machine's cores over loopback; the client is a process of its own with
raw sockets and requests made beforehand (socket_client.py). An interaction counts when its answer
has come, so it is committed by then. Bare endpoints of the same framework, loop and parser
(bare_endpoints.py) read the same bytes: "constant" answers always the same, "decoded" decodes the
JSON and answers as many ids, "inserted" puts the body into one table of SQLite with the commit
policy of the service (`synchronous=FULL`, all that wait in one transaction). Rounds go over all
servers in an order of their own, every figure is the median of rounds, every ratio the median of
the rounds' own ratios. Rows are sent to a retriever that is only logged and to one that learns.
Afterwards the log must hold every acknowledged row.

"Bare INSERT" puts the same bytes into one table of SQLite with `synchronous=FULL`, in transactions
of as many rows as the service's had in the mean (rows of one transaction share a timestamp).

With --minutes the memory of four services under a steady mixed load is watched too: see
memory.py.

usage: throughput.py [--seconds S] [--rounds N] [--calls N] [--minutes M] [--dir DIR] [--out JSON]
exit code: 0 if all goals are met and every acknowledged row was stored, else 1
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uvicorn
from memory import memory
from processes import LEARNING, LOGGED, SINGLE, Running, bare, enable, service
from socket_client import (
    DOCUMENTS,
    Finished,
    Target,
    get,
    make_rows,
    post,
    press,
    send_steadily,
    shuffled,
    time_calls,
)

import rankloom

BATCH = 500
CONNECTIONS = {"batch": (1, 4), "single": (1, 8, 32)}
ENOUGH = {"batch": 400, "single": 5_000}
"""Requests a second of load; one that is done with all of them ends early."""
STEADY_RATE = 200.0
USERS = 500
GOALS = {"batch": 0.3, "single": 0.3, "insert": 0.5, "p99": 5.0}

READS = ("weights", "in a session")
"""Of a user of whom nothing is known, and of one with live evidence of a running session."""
BARE = ("bare, constant", "bare, decoded", "bare, inserted")

Results = dict[str, Any]


class Servers(NamedTuple):
    """The servers that are compared."""

    bare: Running
    ours: Running


def run_apart(function: Any, *arguments: Any) -> Any:
    """Run a function in a new process and return what it returns."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def load(
    kind: str,
    target: Target,
    path: str,
    retriever: str,
    name: str,
    connections: int,
    seconds: float,
) -> Finished:
    """Make requests and press a server with them; runs in the client's process."""
    rows = BATCH if kind == "batch" else 1
    count = int(ENOUGH[kind] * seconds)
    if kind == "batch":
        made = make_rows(retriever, name, count * BATCH, session=False)
        parts = (made[start : start + BATCH] for start in range(0, len(made), BATCH))
        requests = [post(path, {"interactions": part}, target) for part in parts]
        del made
    else:
        made = make_rows(retriever, name, count, session=True)
        requests = [post(path, row, target) for row in made]
    return press(target.port, requests, rows, connections, seconds)


def pressed(
    servers: Servers, kind: str, connections: int, options: argparse.Namespace
) -> tuple[Results, int]:
    """Return rows a second of every server, ratios, and how many rows ours has acknowledged."""
    ours = SINGLE if kind == "single" else f"{SINGLE}/batch"
    places = {
        "bare, constant": (servers.bare.target, "/constant", LOGGED),
        "bare, decoded": (servers.bare.target, "/decoded", LOGGED),
        "bare, inserted": (servers.bare.target, "/inserted", LOGGED),
        "logged": (servers.ours.target, ours, LOGGED),
        "learning": (servers.ours.target, ours, LEARNING),
    }
    rates: dict[str, list[float]] = {label: [] for label in places}
    acknowledged = 0
    groups = []
    for number in range(options.rounds):
        for label in shuffled(list(places), number):
            target, path, retriever = places[label]
            name = f"{kind}-{connections}-{number}-{label[:4]}"
            before = servers.ours.commits() if target is servers.ours.target else (0, 0)
            work = (kind, target, path, retriever, name, connections, options.seconds)
            done = run_apart(load, *work)
            rates[label].append(done.rows / done.seconds)
            if target is servers.ours.target:
                acknowledged += done.rows
                after = servers.ours.commits()
                groups.append((after[0] - before[0]) / max(after[1] - before[1], 1))
                servers.ours.wait_until_learnt()
    figures: Results = {label: float(np.median(found)) for label, found in rates.items()}
    for label in ("logged", "learning"):
        for bare_label in BARE:
            pairs = zip(rates[label], rates[bare_label], strict=True)
            figures[f"{label} of {bare_label}"] = float(np.median([a / b for a, b in pairs]))
    figures["rows of a commit"] = float(np.median(groups))
    return figures, acknowledged


def insert(folder: str, group: int, seconds: float) -> float:
    """Return rows a second of bare INSERTs, so many in each transaction."""
    rows = make_rows(LOGGED, "bare", 2_000, session=True)
    bodies = [(json.dumps(row).encode(),) for row in rows]
    path = Path(folder) / f"bare-{time.monotonic_ns()}.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (body BLOB)")
        done, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            at = done % (len(bodies) - group)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare VALUES (?)", bodies[at : at + group])
            connection.execute("COMMIT")
            done += group
        return done / (time.perf_counter() - start)


def compared_with_insert(
    servers: Servers, connections: int, group: float, options: argparse.Namespace
) -> tuple[Results, int]:
    """Return rows a second of the service and of bare INSERTs, in turn."""
    size = max(round(group), 1)
    rates: dict[str, list[float]] = {"bare INSERT": [], "logged": []}
    acknowledged = 0
    for number in range(options.rounds):
        rates["bare INSERT"].append(
            run_apart(insert, str(servers.ours.folder), size, options.seconds)
        )
        name = f"durable-{connections}-{number}"
        work = ("single", servers.ours.target, SINGLE, LOGGED, name, connections, options.seconds)
        done = run_apart(load, *work)
        rates["logged"].append(done.rows / done.seconds)
        acknowledged += done.rows
    pairs = zip(rates["logged"], rates["bare INSERT"], strict=True)
    figures: Results = {label: float(np.median(found)) for label, found in rates.items()}
    figures["of bare INSERT"] = float(np.median([a / b for a, b in pairs]))
    figures["rows of a commit"] = size
    return figures, acknowledged


def begin_sessions(target: Target, name: str) -> list[str]:
    """Post live rows of many sessions; return the queries of their weights; in a new process."""
    rows = make_rows(LEARNING, name, USERS * DOCUMENTS, session=True)
    press(target.port, [post(SINGLE, row, target) for row in rows], 1, 8, 600.0)
    firsts = rows[::DOCUMENTS]
    return [f"{row['user_id']}?session_id={row['session_id']}" for row in firsts]


def timed(servers: Servers, name: str, in_session: list[str], calls: int) -> dict[str, list[int]]:
    """Time reads of both servers in turn, beforehand some to warm up; in the client's process."""
    users = [f"{name}-{number}" for number in range(USERS)]
    path = f"/v1/retrievers/{LEARNING}/learned-fusion/weights/"
    targets = {
        label: (target.port, [get(prefix + each, target) for each in suffixes])
        for label, target, prefix, suffixes in (
            ("bare", servers.bare.target, "/weights/", users),
            ("weights", servers.ours.target, path, users),
            ("in a session", servers.ours.target, path, in_session),
        )
    }
    time_calls(targets, 100)
    return time_calls(targets, calls)


def reads(servers: Servers, options: argparse.Namespace) -> Results:
    """Return microseconds of reads: quiet, and while single rows are posted at a steady rate."""
    figures: Results = {}
    context = multiprocessing.get_context("spawn")
    for state in ("quiet", "posting"):
        in_session = run_apart(begin_sessions, servers.ours.target, state)
        servers.ours.wait_until_learnt()
        with ExitStack() as stack:
            if state == "posting":
                stop = context.Event()
                for label, server in zip(("/constant", SINGLE), servers, strict=True):
                    process = context.Process(target=steady, args=(server.target, label, stop))
                    process.start()
                    stack.callback(process.join)
                stack.callback(stop.set)
                time.sleep(2.0)
            took = run_apart(timed, servers, state, in_session, options.calls)
        found: Results = {
            label: {f"p{q:g}": float(np.quantile(t, q / 100)) / 1e3 for q in (50, 99)}
            for label, t in took.items()
        }
        for label in READS:
            for q in ("p50", "p99"):
                found[label][f"{q} of bare"] = found[label][q] / found["bare"][q]
        figures[state] = found
    return figures


def show_reads(figures: Results) -> dict[str, bool]:
    """Print one line of every kind of read, and return the verdicts."""
    verdicts = {}
    for state, found in figures.items():
        for label in ("bare", *READS):
            numbers = f"p50 {found[label]['p50']:8.0f}  p99 {found[label]['p99']:8.0f}"
            print(f"  {state}, {label}, microseconds: {numbers}")
        for label in READS:
            ratio = found[label]["p99 of bare"]
            text = f"{label}, {state}: p99 {ratio:.1f} times a bare endpoint's"
            verdicts[f"{text} (goal {GOALS['p99']:g})"] = ratio <= GOALS["p99"]
    return verdicts


def steady(target: Target, path: str, stop: Any) -> None:
    """Post new single rows at a steady rate; runs in a process of its own."""
    rows = make_rows(LEARNING, "steady", 20_000, session=True)
    send_steadily(target.port, [post(path, row, target) for row in rows], STEADY_RATE, stop)


def show_rates(kind: str, connections: int, figures: Results) -> None:
    """Print one line of each way to serve."""
    print(f"\n{kind}, {connections} connection{'s' if connections > 1 else ''}, rows a second")
    for label in BARE:
        print(f"  {label:16s} {figures[label]:12,.0f}")
    for label in ("logged", "learning"):
        of = ", ".join(f"{figures[f'{label} of {bare}']:.2f} of {bare[6:]}" for bare in BARE)
        print(f"  {label:16s} {figures[label]:12,.0f}   {of}")
    print(f"  {'rows of a commit':16s} {figures['rows of a commit']:12,.1f}")


def measure(servers: Servers, options: argparse.Namespace) -> tuple[Results, dict[str, bool]]:
    """Measure all, print the tables, and return the figures and the verdicts."""
    results: Results = {}
    verdicts: dict[str, bool] = {}
    acknowledged = 0
    for kind, numbers in CONNECTIONS.items():
        for connections in numbers:
            figures, rows = pressed(servers, kind, connections, options)
            acknowledged += rows
            results[f"{kind}, {connections} connections"] = figures
            show_rates(kind, connections, figures)
            for label in ("logged", "learning"):
                ratio = figures[f"{label} of bare, constant"]
                text = f"{kind}, {connections} connections, {label}: {ratio:.2f} of a bare endpoint"
                verdicts[f"{text} (goal {GOALS[kind]})"] = ratio >= GOALS[kind]
            if kind == "single":
                group = figures["rows of a commit"]
                figures, rows = compared_with_insert(servers, connections, group, options)
                acknowledged += rows
                results[f"durable, {connections} connections"] = figures
                ratio = results[f"single, {connections} connections"]["logged of bare, inserted"]
                text = f"durable singly, {connections} connections: {ratio:.2f} of a bare endpoint"
                verdicts[f"{text} that INSERTs (goal {GOALS['insert']})"] = ratio >= GOALS["insert"]
                ratio = figures["of bare INSERT"]
                shown = f"{figures['bare INSERT']:,.0f} a second in transactions of {group:.0f}"
                print(f"  bare INSERT {shown}; logged {ratio:.2f} of it")
                text = f"durable singly, {connections} connections: {ratio:.2f} of a bare INSERT"
                verdicts[f"{text} (goal {GOALS['insert']})"] = ratio >= GOALS["insert"]
    stored = servers.ours.commits()[0]
    verdicts[f"of {acknowledged:,} acknowledged rows the log holds {stored:,}"] = (
        stored == acknowledged
    )
    results["reads"] = reads(servers, options)
    verdicts |= show_reads(results["reads"])
    return results, verdicts


def main() -> int:
    """Measure, print the tables and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3_000, help="reads whose time is taken")
    parser.add_argument("--minutes", type=float, default=0.0, help="to watch memory for")
    parser.add_argument("--dir", type=Path, help="where files are made; the system's by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    versions = {
        "rankloom": rankloom.__version__,
        "sqlite": sqlite3.sqlite_version,
        "uvicorn": uvicorn.__version__,
        "python": platform.python_version(),
    }
    print(versions)
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        with bare(Path(folder)) as endpoint, service(Path(folder)) as own:
            enable(own.target)
            results, verdicts = measure(Servers(endpoint, own), options)
        if options.minutes:
            results["memory"], more = memory(Path(folder), options.minutes)
            verdicts |= more
    print()
    for text, holds in verdicts.items():
        print(f"{'met' if holds else 'MISSED'}: {text}")
    if options.out:
        record = {"versions": versions, **results, "verdicts": verdicts}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
