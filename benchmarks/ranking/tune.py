"""What `tune` gains over the defaults of a `Ranker`, on executions that the search never read.

Two logs of simulated clicks: MQ2007-agg, whose lists three weak rankers order (as in
`unbiased_ltr.py`), and searches of Robust03 that repeat (as in `memory.py`). The search gets the
earlier executions; defaults and best parameters, both fitted on all of them, are compared on the
later ones by the debiased criterion, which is all that a user would have, and, which `tune` does
not see, by the true grades of all candidates (NDCG@10): on MQ2007-agg of queries that were never
logged, on Robust03 of all queries.

usage: tune.py [--data DIR] [--sets NAME ...] [--modes NAME ...] [--trials N] [--executions N]
               [--size N] [--seed N] [--timeout SECONDS] [--out JSON]
exit code: 0 if the interval of the gain on later executions lies above 0 on every set
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from letor_protocol import DEFAULT_DATA, SHOWN, TEST, TRAIN, load_parts, log_of, versions
from letor_protocol import weak_rankers as weak
from repeated_queries import simulate

from rankloom.datasets import split_by_time
from rankloom.ltr import Ranker, ndcg, paired_bootstrap, tune

if TYPE_CHECKING:
    from rankloom.datasets import TrainingPairs

SETS = ("mq2007agg", "robust03")


class Log(NamedTuple):
    """A simulated log, and judged lists that are not part of it."""

    pairs: TrainingPairs
    judged: TrainingPairs


def make(options: argparse.Namespace, name: str) -> Log:
    """Simulate the log of a data set by the position-based click model."""
    if name == "robust03":
        searches = simulate(options.data, name, "pbm", options.size, options.seed)
        return Log(searches.pairs, searches.judged)
    judged = load_parts(options.data, TRAIN)
    rankers = weak(judged, options.seed)
    log = log_of(judged, rankers, options.executions, options.seed)
    return Log(log, load_parts(options.data, TEST))


def run(options: argparse.Namespace, name: str, mode: str) -> dict[str, Any]:
    """Search on the earlier executions of a log; return what the best parameters gain."""
    log = make(options, name)
    earlier, later = split_by_time(log.pairs, test_fraction=0.3)
    ranker = Ranker(mode, n_jobs=1, random_state=options.seed, progress=False)
    start = time.perf_counter()
    result = tune(
        earlier,
        n_trials=options.trials,
        timeout=options.timeout,
        ranker=ranker,
        holdout=later,
        seed=options.seed,
        progress=False,
    )
    seconds = time.perf_counter() - start
    print(f"\n{name}, debias={mode}: {earlier!r} to search on; {seconds:.0f} s")
    print(result, flush=True)
    judged = log.judged
    best, default = (
        100 * ndcg(judged.y, each.fit(earlier).predict(judged), judged.group, SHOWN)
        for each in (result.ranker(), ranker)
    )
    true = paired_bootstrap(best, default)
    low, high = true.interval
    print(f"true NDCG@{SHOWN}: {true.difference:+.2f} ({low:+.2f} to {high:+.2f}) points")
    found = {"set": name, "mode": mode, "seconds": seconds, "true_ndcg": true._asdict()}
    return {**found, **result.to_dict()}


def main() -> int:
    """Run, print the results, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--modes", nargs="+", default=["position"])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--executions", type=int, default=8_000, help="of MQ2007-agg")
    parser.add_argument("--size", type=int, default=100, help="searches of each Robust03 query")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data}: no such folder, so nothing was measured")
        return 0
    print(versions(), "1 thread")
    results = [run(options, name, mode) for name in options.sets for mode in options.modes]
    if options.out:
        options.out.write_text(json.dumps({"versions": versions(), "results": results}, indent=1))
    return int(not all(found["holdout_gain"]["interval"][0] > 0 for found in results))


if __name__ == "__main__":
    sys.exit(main())
