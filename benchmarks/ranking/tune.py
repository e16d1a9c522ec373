"""What `tune` gains over the defaults of a `Ranker`, on executions that the search never read.

Three logs of simulated clicks: MQ2007-agg, whose lists three weak rankers order (as in
`unbiased_ltr.py`), searches of Robust03 that repeat (as in `memory.py`), and a catalogue of the
simulator with 2,000 queries (as in `simulated_worlds.py`). The search gets the earlier half of the
executions of half of the queries. Defaults and best parameters, both fitted on these, are compared
by the debiased criterion, which is all that a user would have, on the later executions of the other
queries, as the folds of the search are, and on those of the same queries; and, which `tune` does
not see, by the true grades of all candidates of the other queries (NDCG@10).

usage: tune.py [--data DIR] [--sets NAME ...] [--modes NAME ...] [--trials N] [--executions N]
               [--seed N] [--timeout SECONDS] [--out JSON]
exit code: 0 if the interval of the gain on the later executions of other queries lies above 0 on at
least two sets in one of the modes
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from letor_protocol import DEFAULT_DATA, SHOWN, TRAIN, load_parts, log_of, versions, weak_rankers
from repeated_queries import simulate
from simulated_worlds import CATALOGUES, judged

from rankloom.datasets import (
    PositionBias,
    load_pairs,
    simulate_catalogue,
    simulate_interactions,
    split_by_query,
    split_by_time,
)
from rankloom.ltr import Ranker, examination_weighted_dcg, ndcg, paired_bootstrap, tune

if TYPE_CHECKING:
    import polars as pl

    from rankloom.datasets import TrainingPairs
    from rankloom.ltr import PairedDifference

SETS = ("mq2007agg", "robust03", "catalogue")


class Log(NamedTuple):
    """A simulated log, and all candidates of its queries as judged lists."""

    pairs: TrainingPairs
    judged: TrainingPairs


def make(options: argparse.Namespace, name: str) -> Log:
    """Simulate the log of a data set by the position-based click model."""
    seed, executions = options.seed, options.executions
    if name == "robust03":
        searches = simulate(options.data, name, "pbm", executions // 80, seed)
        return Log(searches.pairs, searches.judged)
    if name == "mq2007agg":
        lists = load_parts(options.data, TRAIN)
        return Log(log_of(lists, weak_rankers(lists, seed), executions, seed), lists)
    catalogue = simulate_catalogue(**CATALOGUES["many queries"], n_channels=0, random_state=seed)
    log = simulate_interactions(
        catalogue, n_executions=executions, interactions="clicks", random_state=seed
    )
    features = catalogue.select("feature_id", r"^f\d+$")
    return Log(load_pairs(log, features=features, builtin_features=()), judged(catalogue))


def run(options: argparse.Namespace, name: str, mode: str) -> dict[str, Any]:
    """Search on a part of a log; return what the best parameters gain on the others."""
    log = make(options, name)
    earlier, later = split_by_time(log.pairs, test_fraction=0.5)
    searched, _ = split_by_query(earlier, test_fraction=0.5)
    same, other = split_by_query(later, test_fraction=0.5)
    ranker = Ranker(mode, n_jobs=1, random_state=options.seed, progress=False)
    start = time.perf_counter()
    result = tune(
        searched,
        n_trials=options.trials,
        timeout=options.timeout,
        ranker=ranker,
        holdout=other,
        seed=options.seed,
        progress=False,
    )
    seconds = time.perf_counter() - start
    print(f"\n{name}, debias={mode}, {seconds:.0f} s, {len(searched):,} pairs\n{result}")
    best, default = (each.fit(searched) for each in (result.ranker(), ranker))
    found = {
        "same queries, by clicks": by_clicks(best, default, same, searched),
        "other queries, by grades": by_grades(best, default, others(log, searched)),
    }
    for what, paired in found.items():
        low, high = paired.interval
        print(f"{what}: {paired.difference:+.4f} ({low:+.4f} to {high:+.4f})", flush=True)
    extra = {what: paired._asdict() for what, paired in found.items()}
    return {"set": name, "mode": mode, "seconds": seconds, **extra, **result.to_dict()}


def by_clicks(
    best: Ranker, default: Ranker, pairs: TrainingPairs, training: TrainingPairs
) -> PairedDifference:
    """Return the difference of the debiased criterion on pairs, by the curve of the training."""
    curve = PositionBias(n_bootstrap=0).fit(training)
    e = np.asarray(curve.apply(replace(pairs, examination=None)).examination)
    parts = [
        examination_weighted_dcg(pairs.y, each.predict(pairs), pairs.group, e)
        for each in (best, default)
    ]
    weight = parts[0][1]
    used = weight > 0
    a, b = (weighted[used] / weight[used] for weighted, _ in parts)
    return paired_bootstrap(a, b, weight=weight[used], cluster=pairs.query_code[used])


def by_grades(best: Ranker, default: Ranker, lists: TrainingPairs) -> PairedDifference:
    """Return the difference of the true NDCG of all candidates."""
    a, b = (ndcg(lists.y, each.predict(lists), lists.group, SHOWN) for each in (best, default))
    return paired_bootstrap(a, b)


def others(log: Log, searched: TrainingPairs) -> TrainingPairs:
    """Return the judged lists of queries that the search did not read."""
    known = set(names(searched.query_id.unique()))
    return log.judged[[name not in known for name in names(log.judged.query_id)]]


def names(queries: pl.Series) -> list[str]:
    """Return query ids as plain names: logs hold them as JSON."""
    return [query.removeprefix('{"query":').strip('"}') for query in queries]


def main() -> int:
    """Run, print the results, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--modes", nargs="+", default=["position"])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--executions", type=int, default=16_000)
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
    gained = {each["set"] for each in results if each["holdout_gain"]["interval"][0] > 0}
    print(f"\nthe interval lies above 0 on {len(gained)} of {len(options.sets)} sets")
    return int(len(gained) < 2)


if __name__ == "__main__":
    sys.exit(main())
