"""How the memory of a running service grows: four of them under a steady mixed load.

Each gets singles, batches of 100 rows, reads of weights and searches at a fixed rate, and rows

- logged: for a retriever that learns nothing, of ever new executions;
- bounded: for one that learns, of the same executions and documents again and again, six minutes
  of event time later each time (nearer rows would be duplicates, and not stored);
- returning: for one that learns, of ever new executions of the same users, whose open units grow;
- growing: for one that learns, of ever new executions of ever new users.

Resident memory is read every five seconds, and what of it is the process's own: the rest are pages
of files. Slopes are those of the last two thirds.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import LEARNING, LOGGED, SINGLE, enable, service
from socket_client import Connection, Target, get, make_row, post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EVERY = 5.0
RATE = 40.0
"""Requests a second; every tenth is a batch."""
BATCH = 100
BOUNDED = 10_000
"""Rows after which the bounded load begins anew."""
USERS = 5_000
"""Users who return."""
KINDS = ("logged", "bounded", "returning", "growing")
LATER = dt.timedelta(minutes=6)
FLAT = 1.0
"""MB a minute that count as flat."""


def requests(kind: str, target: Target) -> Iterator[bytes]:
    """Yield requests without end."""
    retriever = LOGGED if kind == "logged" else LEARNING
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=20)
    number, sent = 0, 0

    def row(*, live: bool) -> dict[str, Any]:
        nonlocal number
        lap, own = divmod(number, BOUNDED) if kind == "bounded" else (0, number)
        number += 1
        user = str(own // 10 % USERS) if kind == "returning" else None
        made = make_row(retriever, str(own // 10), own, session=live, user=user)
        if kind == "bounded":
            made["occurred_at"] = (start + lap * LATER).isoformat()
        return made

    while True:
        sent += 1
        if sent % 10 == 0:
            rows = [row(live=False) for _ in range(BATCH)]
            yield post(f"{SINGLE}/batch", {"interactions": rows}, target)
        elif sent % 10 == 5:
            path = f"/v1/retrievers/{retriever}/learned-fusion/weights/user-{sent % 500}"
            # Nothing is known of a retriever before its first row.
            yield get(path, target)
        elif sent % 50 == 8:
            yield post(f"{SINGLE}/list?limit=20", {"session_id": "sess_1"}, target)
        else:
            yield post(SINGLE, row(live=True), target)


def press_on(kind: str, target: Target, minutes: float) -> None:
    """Send at the fixed rate; runs in a process of its own."""
    connection = Connection(target.port)
    begun, sent = time.monotonic(), 0
    with closing(connection.socket):
        for request in requests(kind, target):
            if time.monotonic() > begun + 60.0 * minutes:
                return
            time.sleep(max(begun + sent / RATE - time.monotonic(), 0.0))
            connection.call(request)
            sent += 1


def memory(folder: Path, minutes: float) -> tuple[dict[str, Any], dict[str, bool]]:
    """Watch the services at once; return figures and verdicts."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        running = {}
        for kind in KINDS:
            (folder / kind).mkdir()
            running[kind] = stack.enter_context(service(folder / kind))
            if kind != "logged":
                enable(running[kind].target)
        clients = [
            context.Process(target=press_on, args=(kind, server.target, minutes))
            for kind, server in running.items()
        ]
        for client in clients:
            client.start()
        samples: dict[str, list[tuple[float, int, int]]] = {kind: [] for kind in running}
        while all(client.is_alive() for client in clients):
            for kind, server in running.items():
                samples[kind].append((time.monotonic(), *server.resident()))
            time.sleep(EVERY)
        for client in clients:
            client.join()
        if any(client.exitcode for client in clients):
            msg = "a load failed"
            raise RuntimeError(msg)
        for kind, server in running.items():
            found[kind] = figures(samples[kind], server.commits()[0])
            if kind != "logged":
                server.wait_until_learnt()
                found[kind]["open units"] = server.statistics()["open_units"]
    show(found, minutes)
    verdicts = {
        f"memory, {kind}: {found[kind]['MB a minute']:+.2f} MB a minute (goal {FLAT:g})": found[
            kind
        ]["MB a minute"]
        <= FLAT
        for kind in found
    }
    return found, verdicts


def figures(samples: list[tuple[float, int, int]], rows: int) -> dict[str, Any]:
    """Return the slope of the last two thirds and what it is made of."""
    times, sizes, own = (np.array(each, np.float64) for each in zip(*samples, strict=True))
    late = times >= times[0] + (times[-1] - times[0]) / 3

    def slope(values: NDArray[np.float64]) -> float:
        return float(np.polyfit(times[late], values[late], 1)[0]) if late.sum() > 1 else 0.0

    return {
        "rows": rows,
        "MB at first": sizes[0] / 1e6,
        "MB at a third": sizes[late][0] / 1e6,
        "MB at last": sizes[-1] / 1e6,
        "MB a minute": slope(sizes) * 60.0 / 1e6,
        "own MB a minute": slope(own) * 60.0 / 1e6,
        "bytes a row": slope(sizes) * (times[-1] - times[0]) / rows,
        "seconds": list(times - times[0]),
        "bytes": list(sizes),
        "own bytes": list(own),
    }


def show(found: dict[str, Any], minutes: float) -> None:
    """Print the table."""
    sys.stdout.write(f"\nmemory over {minutes:g} minutes\n")
    for kind, each in found.items():
        sizes = ", ".join(f"{each[f'MB at {when}']:.0f}" for when in ("first", "a third", "last"))
        slope = f"{each['MB a minute']:+.2f} MB a minute, {each['bytes a row']:+.0f} bytes a row, "
        slope += f"{each['own MB a minute']:+.2f} without pages of files"
        units = f", {each['open units']:,} open units" if "open units" in each else ""
        sys.stdout.write(f"  {kind:9s} MB: {sizes}; {slope}; {each['rows']:,} rows{units}\n")
