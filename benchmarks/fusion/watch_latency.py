"""What a service pays to serve a user within a session from a store that it watches.

`FusionWeights.watch(store).sample(user_id=, session_id=)` reads what the store holds of the person
at every request; `FusionBandit.sample` has it in memory. Beside the two: one read of the store, the
transaction that fetches the same rows and adds nothing up. With 1, 10 and 50 documents in the
session the first must take at most 3 times the sum of the other two, and load no numba. Wall time
by call, all in turns in one run.

usage: watch_latency.py [--state URL] [--events N] [--calls N] [--out JSON]
exit code: 0 if every bound holds, else 1
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rankloom
from rankloom._shared.ids import stable_id
from rankloom.bandit import FusionBandit, FusionWeights, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from rankloom.bandit import Store

ARMS = [f"mixpeek://channel-{i}" for i in range(5)]
DOCUMENTS = (1, 10, 50)
USERS = 200
MAX_RATIO = 3.0
NO_NUMBA = """if True:
    import sys
    from rankloom.bandit import FusionWeights, open_store
    store = open_store(sys.argv[1], namespace=sys.argv[2])
    with store, FusionWeights.watch(store, sys.argv[3:], every=600) as weights:
        assert weights.sample(user_id="u1", session_id="s50").policy == "learned"
    print("numba" in sys.modules)
"""


def event(number: int, **fields: Any) -> dict[str, Any]:
    """Return one document that was shown, by every fifth it was clicked too."""
    types = ["impression", "click"] if number % 5 == 0 else ["impression"]
    return {
        "execution_id": f"e{number // 10}",
        "feature_id": f"d{number}",
        "interaction_type": types,
        "position": number % 10,
        "feature_uri": ARMS[number % 7 % 5],
        **fields,
    }


def learnt(store: Store, events: int) -> FusionBandit:
    """Return a bandit over the store, with a past of many users and a session of each size."""
    now = dt.datetime.now(dt.UTC)
    bandit = FusionBandit(ARMS, namespace=store.namespace, store=store)
    past = [
        event(n, user_id=f"u{n % USERS}", occurred_at=(now - dt.timedelta(minutes=n)).isoformat())
        for n in range(events)
    ]
    bandit.update(past)
    for documents in DOCUMENTS:
        for n in range(documents):
            shown = event(n, user_id="u1", session_id=f"s{documents}")
            bandit.observe({**shown, "execution_id": f"s{documents}-{n // 10}"}, now=now)
    bandit.publish()
    return bandit


def read(store: Store, user: int, session: int) -> None:
    """Fetch what the store holds of a user and a session, in one transaction."""
    with store.backend.transaction(write=False) as transaction:
        transaction.settings()
        transaction.person(user, session)
        transaction.commit(None)


def microseconds(contenders: dict[str, Callable[[], object]], calls: int) -> dict[str, float]:
    """Time the contenders in turn; the median of each."""
    took: dict[str, list[int]] = {name: [] for name in contenders}
    for _ in range(calls):
        for name, call in contenders.items():
            start = time.perf_counter_ns()
            call()
            took[name].append(time.perf_counter_ns() - start)
    return {name: float(np.median(times)) / 1e3 for name, times in took.items()}


def main() -> int:
    """Measure, print the ratios and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", help="as of open_store; a file in a temporary folder if absent")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"version": rankloom.__version__, "state": options.state or "sqlite"}
    verdicts: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as folder:
        url = options.state or f"sqlite:///{folder}/fusion.db"
        namespace = f"benchmark-{uuid.uuid4().hex}"
        with open_store(url, namespace=namespace) as store:
            bandit = learnt(store, options.events)
            with FusionWeights.watch(store, ARMS, every=600) as weights:
                for documents in DOCUMENTS:
                    request = {"user_id": "u1", "session_id": f"s{documents}"}
                    keys = stable_id("u1"), stable_id(request["session_id"])
                    found = microseconds(
                        {
                            "watch.sample": lambda request=request: weights.sample(**request),
                            "FusionBandit.sample": lambda request=request: bandit.sample(**request),
                            "one read": lambda keys=keys: read(store, *keys),
                        },
                        options.calls,
                    )
                    ratio = found["watch.sample"] / (
                        found["FusionBandit.sample"] + found["one read"]
                    )
                    results[f"{documents} documents"] = {**found, "ratio": ratio}
                    verdicts[
                        f"{documents} documents: {ratio:.2f} times sample and read, "
                        f"at most {MAX_RATIO:g}"
                    ] = ratio <= MAX_RATIO
            command = [sys.executable, "-c", NO_NUMBA, url, namespace, *ARMS]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            verdicts["a watching process loads no numba"] = done.stdout.strip() == "False"
            store.clear()
    print(f"{'us, median':14s}" + "".join(f"{name:>21s}" for name in found) + f"{'ratio':>8s}")
    for documents in DOCUMENTS:
        *times, ratio = results[f"{documents} documents"].values()
        row = "".join(f"{value:21.0f}" for value in times)
        print(f"{documents:3d} documents {row}{ratio:8.2f}")
    for text, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    results["verdicts"] = verdicts
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
