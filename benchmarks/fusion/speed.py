"""The cost of updating, storing, sampling and importing learned fusion, compared with others.

100,000 events of 100,000 users over 5 channels, one document each, as dictionary-encoded columns
whose ids are hashed. Compared with `Evidence.update`: a plain numpy pass that adds exposures,
successes and failures up by (user, channel), three calls of `bincount`; and MABWiser,
bayesianbandits, river and PyBandits, which learn one context, as far as they are installed. What
`update` does is fold rows into units; what it costs to hash ids, to take the same rows again, to
read sums, to compact and to start from dicts is reported apart. Times are CPU time of the process:
contenders take turns of five runs; bounds are judged by the least of all runs, since what other
processes do to the caches only adds, and medians are printed with it. Latency is wall time by call,
in turns too; imports are wall time in fresh interpreters. Names of `rankloom.bandit` load their
modules when they are used first, so what a service needs is imported apart.

usage: speed.py [--events N] [--users N] [--rounds N] [--out JSON]
exit code: 0 if every bound holds, else 1
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import gc
import json
import platform
import subprocess
import sys
import time
import tracemalloc
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rivals import MabWiser, rivals

import rankloom
from rankloom.bandit import EventColumns, Evidence, FusionBandit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ARMS = [f"mixpeek://channel-{i}" for i in range(5)]
START = 1_700_000_000_000_000
MONTH = 30 * 86_400_000_000
AFTER = START + 2 * MONTH
HEAVY = ("scipy", "numba", "pyarrow", "polars", "pandas", "sklearn", "lightgbm", "redis")
MOST_BINCOUNTS, LEAST_OVER_MABWISER = 5.0, 3.0
STATEMENTS = {
    "numpy": "import numpy",
    "rankloom.bandit": "import rankloom.bandit",
    "FusionBandit, FusionWeights": "from rankloom.bandit import FusionBandit, FusionWeights",
}
MOST_MB, MOST_BETAS, MOST_IMPORT_MS = 20.0, 10.0, 50.0
RUNS = 5
CALLS = 200
BANDITS = 200

Contender = tuple["Callable[[], Any]", "Callable[[Any], object]"]
"""What makes a contender anew before every round, and what is timed."""


def make_events(events: int, users: int) -> EventColumns:
    """Make events of which each shows one document to one user; all users come before one again."""
    generator = np.random.default_rng(0)
    return EventColumns(
        execution=np.arange(events),
        executions=[f"execution-{i:032d}" for i in range(events)],
        document=generator.integers(0, events, events),
        documents=[f"document-{i:012d}" for i in range(events)],
        types=(generator.random(events) < 0.2).astype(np.int32),
        type_sets=[["impression"], ["impression", "click"]],
        time=START + generator.integers(0, MONTH, events),
        position=generator.integers(0, 10, events),
        feature_uri=generator.integers(0, len(ARMS), events),
        feature_uris=ARMS,
        user=generator.permutation(np.arange(events) % users),
        users=[f"user-{i:032d}" for i in range(users)],
    )


def as_dicts(columns: EventColumns) -> list[dict[str, Any]]:
    """Return the same events as a log would hold them."""
    times = columns.time.astype("datetime64[us]").astype(str)
    arms = columns.feature_uri
    assert arms is not None
    assert columns.user is not None
    return [
        {
            "execution_id": columns.executions[columns.execution[i]],
            "feature_id": columns.documents[columns.document[i]],
            "interaction_type": columns.type_sets[columns.types[i]],
            "timestamp": times[i] + "Z",
            "position": int(columns.position[i]),
            "feature_uri": ARMS[arms[i]],
            "user_id": columns.users[columns.user[i]],
        }
        for i in range(len(columns))
    ]


def milliseconds(
    contenders: dict[str, Contender], rounds: int, runs: int
) -> dict[str, dict[str, float]]:
    """Run the contenders in turn and return least and median; CPU time."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for make, run in contenders.values():  # compiles, allocates
        run(make())
    for _ in range(rounds):
        for name, (make, run) in contenders.items():
            for _ in range(runs):
                made = make()
                start = time.process_time()
                run(made)
                took[name].append(1e3 * (time.process_time() - start))
    return {
        name: {"least": min(each), "median": float(np.median(each))} for name, each in took.items()
    }


def plain_sums(columns: EventColumns, users: int) -> tuple[NDArray[np.float64], ...]:
    """Add exposures, successes and failures up by (user, channel)."""
    cell = columns.user.astype(np.int64) * len(ARMS) + columns.feature_uri
    shown = np.ones(len(columns))
    clicked = columns.types.astype(np.float64)
    size = users * len(ARMS)
    return tuple(
        np.bincount(cell, weights=weights, minlength=size)
        for weights in (shown, clicked, shown - clicked)
    )


def evidence_of(columns: EventColumns) -> Evidence:
    """Return evidence that holds the events."""
    evidence = Evidence(ARMS)
    evidence.update(columns)
    return evidence


def updates(columns: EventColumns, users: int, rounds: int) -> dict[str, dict[str, float]]:
    """Time one batch."""
    arm, clicked = columns.feature_uri, columns.types.astype(np.int64)
    assert arm is not None
    whole = evidence_of(columns)
    contenders: dict[str, Contender] = {
        "numpy bincount, 3 sums": (lambda: None, lambda _: plain_sums(columns, users)),
        "rankloom": (lambda: Evidence(ARMS), lambda evidence: evidence.update(columns)),
        "rankloom, all rows resent": (lambda: whole, lambda evidence: evidence.update(columns)),
    }
    for label, make in rivals(ARMS, arm, clicked):
        contenders[label] = (make, lambda rival: rival.update())
    return milliseconds(contenders, rounds, RUNS)


def apart(given: EventColumns, columns: EventColumns, rounds: int) -> dict[str, dict[str, float]]:
    """Time what stands before and after the fold."""
    dicts = as_dicts(given)

    def filled() -> Evidence:
        return evidence_of(columns)

    contenders: dict[str, Contender] = {
        "hashing all ids, once": (lambda: None, lambda _: given.interned()),
        "update from a list of dicts": (lambda: Evidence(ARMS), lambda e: e.update(dicts)),
        "global sums": (filled, lambda e: e.sums([()])),
        "sums of all users": (filled, lambda e: e.user_sums(time=AFTER)),
        "compact": (filled, lambda e: e.compact(AFTER)),
    }
    return milliseconds(contenders, rounds, runs=1)


def megabytes(make: Callable[[], object]) -> float:
    """Return what an object keeps allocated."""
    gc.collect()
    tracemalloc.start()
    held = make()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del held
    return size / 1e6


def memory(columns: EventColumns, users: int) -> dict[str, float]:
    """Weigh the state of all users."""

    def closed() -> Evidence:
        evidence = evidence_of(columns)
        evidence.compact(AFTER)
        return evidence

    account = closed().summary
    keys = 8 * account.users
    found = {
        "numpy, 3 sums": megabytes(lambda: plain_sums(columns, users)),
        "rankloom, open units with their index": megabytes(lambda: evidence_of(columns)),
        "rankloom, closed, all in all": megabytes(closed),
        "rankloom, closed sums with the id index": account.closed_nbytes / 1e6,
        "rankloom, closed sums": (account.closed_nbytes - keys) / 1e6,
    }
    try:
        few = megabytes(
            lambda: [
                MabWiser(np.arange(len(ARMS)), np.zeros(len(ARMS), int)) for _ in range(BANDITS)
            ]
        )
    except ImportError:
        return found
    found[f"MABWiser, one a user ({BANDITS} scaled up)"] = few * users / BANDITS
    return found


def latencies(columns: EventColumns, rounds: int) -> dict[str, dict[str, float]]:
    """Time single draws; microseconds."""
    bandit = FusionBandit(ARMS, random_state=0)
    bandit.update(columns)
    weights = bandit.snapshot()
    live = {"execution_id": "live", "feature_id": "d", "position": 0, "feature_uri": ARMS[0]}
    bandit.observe({**live, "interaction_type": ["impression", "click"], "session_id": "live"})
    generator = np.random.default_rng(0)
    a, b = np.full(len(ARMS), 3.0), np.full(len(ARMS), 9.0)
    order = generator.permutation(len(columns.users))[: CALLS * rounds].tolist()
    calls: dict[str, Callable[[str], object]] = {
        "Generator.beta(a, b, size=5)": lambda _: generator.beta(a, b, size=len(ARMS)),
        "FusionBandit.sample(user_id=)": lambda user: bandit.sample(user_id=user),
        "the same in a session with a click": lambda user: bandit.sample(
            user_id=user, session_id="live"
        ),
        "FusionWeights.sample(user_id=)": lambda user: weights.sample(user_id=user),
    }
    arm, clicked = columns.feature_uri, columns.types.astype(np.int64)
    assert arm is not None
    for label, make in rivals(ARMS, arm[:1000], clicked[:1000]):
        rival = make()
        rival.update()
        calls[label] = lambda _, rival=rival: rival.draw()  # type: ignore[misc]
    took: dict[str, list[int]] = {name: [] for name in calls}
    for number in range(rounds):
        users = [f"user-{i:032d}" for i in order[number * CALLS : (number + 1) * CALLS]]
        for name, call in calls.items():
            for user in users:
                start = time.perf_counter_ns()
                call(user)
                took[name].append(time.perf_counter_ns() - start)
    return {
        name: {"p50": float(np.median(t)) / 1e3, "p99": float(np.quantile(t, 0.99)) / 1e3}
        for name, t in took.items()
    }


def imports(rounds: int) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Time imports in fresh interpreters, milliseconds; return what heavy packages they load."""
    code = (
        "import sys, time; start = time.perf_counter(); {}; "
        "print(time.perf_counter() - start, *sys.modules)"
    )
    took: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    heavy: dict[str, list[str]] = {}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            command = [sys.executable, "-c", code.format(statement)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds, *modules = said.split()
            took[name].append(1e3 * float(seconds))
            heavy[name] = sorted({m.partition(".")[0] for m in modules}.intersection(HEAVY))
    return {name: float(np.median(times)) for name, times in took.items()}, heavy


def verdicts(results: dict[str, Any]) -> dict[str, bool]:
    """Return every bound and whether it holds."""
    update = {name: figures["least"] for name, figures in results["update"].items()}
    sampling, found = results["sampling"], {}
    ratio = update["rankloom"] / update["numpy bincount, 3 sums"]
    found[f"update takes {ratio:.2f} bincount passes, at most {MOST_BINCOUNTS:g}"] = (
        ratio <= MOST_BINCOUNTS
    )
    for label, least in update.items():
        if label.startswith("MABWiser"):
            ratio = least / update["rankloom"]
            found[f"update {ratio:.2f} times as fast as {label}, at least 3"] = (
                ratio >= LEAST_OVER_MABWISER
            )
    size = results["memory"]["rankloom, closed sums"]
    found[f"closed sums {size:.1f} MB, at most {MOST_MB:g}"] = size <= MOST_MB
    for label in ("FusionBandit.sample(user_id=)", "FusionWeights.sample(user_id=)"):
        ratio = sampling[label]["p50"] / sampling["Generator.beta(a, b, size=5)"]["p50"]
        found[f"{label} p50 {ratio:.1f} times Generator.beta, at most {MOST_BETAS:g}"] = (
            ratio <= MOST_BETAS
        )
    ours, numpy_alone = results["import"]["rankloom.bandit"], results["import"]["numpy"]
    found[f"import takes {ours:.1f} ms, at most {MOST_IMPORT_MS:g} over numpy's"] = (
        ours - numpy_alone <= MOST_IMPORT_MS
    )
    for name in list(STATEMENTS)[1:]:
        heavy = ", ".join(results["loaded"][name]) or "none"
        found[f"import of {name} loads of {', '.join(HEAVY)}: {heavy}"] = heavy == "none"
    return found


def versions() -> dict[str, str]:
    """Return the versions of all contenders."""
    found = {"python": platform.python_version(), "rankloom": rankloom.__version__}
    for name in ("numpy", "numba", "mabwiser", "bayesianbandits", "river", "pybandits"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def show(title: str, figures: dict[str, Any]) -> None:
    """Print one table."""
    first = next(iter(figures.values()))
    columns = list(first) if isinstance(first, dict) else [""]
    print(f"\n{title:44s}" + "".join(f"{column:>10s}" for column in columns))
    for name, value in figures.items():
        numbers = value.values() if isinstance(value, dict) else [value]
        print(f"  {name:42s}" + "".join(f"{number:10.2f}" for number in numbers))


def main() -> int:
    """Measure, print the tables and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # those of other libraries
    given = make_events(options.events, options.users)
    columns = given.interned()
    print(versions())
    print(f"{options.events:,} events, {options.users:,} users, {len(ARMS)} channels, one thread")
    results: dict[str, Any] = {"versions": versions()}
    results["update"] = updates(columns, options.users, options.rounds)
    show("one batch, ms of CPU time", results["update"])
    results["apart"] = apart(given, columns, max(options.rounds // 3, 2))
    show("apart, ms of CPU time", results["apart"])
    results["memory"] = memory(columns, options.users)
    show("memory, MB", results["memory"])
    results["sampling"] = latencies(given, 2 * options.rounds)
    show("one draw, microseconds", results["sampling"])
    results["import"], results["loaded"] = imports(20)
    show("import, ms, median of 20", results["import"])
    results["verdicts"] = verdicts(results)
    print()
    for text, holds in results["verdicts"].items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if all(results["verdicts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
