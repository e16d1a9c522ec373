"""What learned weights cost the first lists, by how many lists are learnt before they are served.

Simulation, channels and clicks as of learned_weights.py. Until `min_lists` lists are learnt every
list is fused by equal weights, as the service does it; from then on by weights drawn from the
posterior. Judged: NDCG@10 of each list that is shown, as the difference to that of the same query
fused by equal weights, in windows of the first lists; clustered by split.

usage: warm_up.py [--data DIR] [--splits N] [--clicks N] [--lists N]
exit code: 0 if no window of the default loses more than 0.02, else 1
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
import time
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from learners import Rankloom
from robust2003_protocol import DEFAULT_DATA, SYSTEMS, Searches, load_queries, top

from rankloom.service.learning.settings_table import MIN_LISTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOWS = (1, 11, 21, 51, 101, 201, 401)
"""First lists of the windows; the last ends them."""

BOUND = -0.02


def losses(
    searches: Searches, learner: Rankloom, min_lists: int, lists: int
) -> NDArray[np.float64]:
    """Return the difference to equal weights of each list that is shown."""
    equal = np.full(len(SYSTEMS), 1 / len(SYSTEMS))
    found = []
    for number, (query, uniform) in enumerate(islice(searches, lists)):
        scores = searches.candidates(query)
        plain = top(scores @ equal)
        shown = learner.show(scores)
        if number < min_lists:
            learner.served, shown = equal, plain
        learner.update(scores[shown], searches.clicks(query, shown, uniform))
        found.append(searches.ndcg(query, shown) - searches.ndcg(query, plain))
    return np.array(found)


def main() -> int:
    """Run, print the tables, judge the default."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--clicks", type=int, default=6, help="click seeds a split")
    parser.add_argument("--lists", type=int, default=WINDOWS[-1] - 1)
    options = parser.parse_args()
    started, worst = time.perf_counter(), 0.0
    queries = load_queries(options.data)
    windows = [(a - 1, b - 1) for a, b in pairwise(WINDOWS) if b - 1 <= options.lists]
    for kind in ("linear", "beta"):
        print(f"\n{kind}: NDCG@10 over equal weights (standard error, clustered by split)")
        print(f"{'min_lists':>10}" + "".join(f"{f'{a + 1}-{b}':>18}" for a, b in windows))
        for min_lists in sorted({0, 10, 20, 50, 100, 200, MIN_LISTS}):
            runs = np.array([
                [losses(Searches(queries, queries.split(split)[0], 1.0, (split, seed)),
                        Rankloom(kind, len(SYSTEMS), (split, seed)), min_lists, options.lists)
                 for seed in range(options.clicks)]
                for split in range(options.splits)
            ])  # fmt: skip
            by_split = np.array([runs[:, :, a:b].mean(axis=(1, 2)) for a, b in windows])
            means = by_split.mean(axis=1)
            errors = by_split.std(axis=1, ddof=1) / np.sqrt(options.splits)
            cells = "".join(f"{m:>+9.4f} ({e:.4f})" for m, e in zip(means, errors, strict=True))
            print(f"{min_lists:>10}{cells}", flush=True)
            worst = min(worst, float(means.min())) if min_lists == MIN_LISTS else worst
    print(f"\n{time.perf_counter() - started:.0f} s; worst window of the default {worst:+.4f}")
    return 0 if worst >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
