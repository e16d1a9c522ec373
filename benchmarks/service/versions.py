"""Two versions of the service in one run: rows a second, and the latency of weights.

Both run at the same time, each over SQLite files of its own; loads go to one after the other, in an
order that changes from round to round, so that what else the machine does falls on both. Every
figure is the median of rounds, every ratio the median of the rounds' own ratios. Rows go to a
retriever that is only logged. Weights are read of users of whom nothing is known.

usage: versions.py PYTHON [--seconds S] [--rounds N] [--calls N] [--dir DIR]
PYTHON: the interpreter of an environment in which the other version is installed
exit code: 0 if singly at least 0.8 and in batches at least 0.9 of the other's rows are taken, and
the weights' p99 is at most 1.3 times the other's, else 1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from processes import LEARNING, LOGGED, SINGLE, Running, enable, service
from socket_client import get, shuffled, time_calls
from throughput import load, run_apart

LOADS = (("single", 1), ("single", 8), ("single", 32), ("batch", 1), ("batch", 4))
GOALS = {"single": 0.8, "batch": 0.9}
P99_GOAL = 1.3
USERS = 500


def rates(servers: dict[str, Running], options: argparse.Namespace) -> dict[str, bool]:
    """Print rows a second of both, and return the verdicts."""
    verdicts = {}
    for kind, connections in LOADS:
        path = SINGLE if kind == "single" else f"{SINGLE}/batch"
        found: dict[str, list[float]] = {label: [] for label in servers}
        for number in range(options.rounds):
            for label in shuffled(list(servers), number):
                name = f"{kind}-{connections}-{number}"
                target = servers[label].target
                work = (kind, target, path, LOGGED, name, connections, options.seconds)
                done = run_apart(load, *work)
                found[label].append(done.rows / done.seconds)
        ratio = float(np.median(np.divide(found["this"], found["other"])))
        medians = ", ".join(f"{label} {np.median(each):,.0f}" for label, each in found.items())
        text = f"{kind}, {connections} connections: {ratio:.2f} of the other's rows a second"
        print(f"{text} ({medians})", flush=True)
        verdicts[f"{text} (goal {GOALS[kind]})"] = ratio >= GOALS[kind]
    return verdicts


def timed(servers: dict[str, Running], calls: int) -> dict[str, list[int]]:
    """Time reads of both in turn; in the client's process."""
    path = f"/v1/retrievers/{LEARNING}/learned-fusion/weights/user-"
    targets = {
        label: (
            each.target.port,
            [get(f"{path}{number}", each.target) for number in range(USERS)],
        )
        for label, each in servers.items()
    }
    time_calls(targets, 100)
    return time_calls(targets, calls)


def reads(servers: dict[str, Running], options: argparse.Namespace) -> dict[str, bool]:
    """Print the latency of weights of both, and return the verdict."""
    p50, p99 = [], []
    for _ in range(options.rounds):
        took = run_apart(timed, servers, options.calls)
        for quantile, ratios in ((0.5, p50), (0.99, p99)):
            ratios.append(
                np.quantile(took["this"], quantile) / np.quantile(took["other"], quantile)
            )
        shown = ", ".join(f"{k} {np.quantile(t, 0.99) / 1e3:,.0f}" for k, t in took.items())
        print(f"weights, p99 in microseconds: {shown}", flush=True)
    text = f"weights: p50 {np.median(p50):.2f}, p99 {np.median(p99):.2f} times the other's"
    return {f"{text} (goal {P99_GOAL})": bool(np.median(p99) <= P99_GOAL)}


def main() -> int:
    """Measure, print the figures and the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", help="interpreter of the other version's environment")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=3_000, help="reads of a round")
    parser.add_argument("--dir", type=Path, help="where files are made; the system's by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        folders = {label: Path(folder) / label for label in ("this", "other")}
        for each in folders.values():
            each.mkdir()
        with (
            service(folders["this"]) as this,
            service(folders["other"], python=options.python) as other,
        ):
            servers = {"this": this, "other": other}
            for each in servers.values():
                enable(each.target)
            verdicts = rates(servers, options) | reads(servers, options)
    for text, holds in verdicts.items():
        print(f"{'met' if holds else 'MISSED'}: {text}")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
