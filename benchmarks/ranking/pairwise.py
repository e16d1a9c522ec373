"""`Ranker("pairwise")` and XGBoost's Unbiased LambdaMART and LightGBM's lambdarank.

Quality: the columns and settings of `unbiased_ltr.py` (MQ2007-agg, simulated clicks, NDCG@10 as a
share of the full-information skyline), ours and XGBoost's on the same logs. Time: fits on one
log, ours and `lightgbm.train` with lambdarank on the executions that hold a pair, in alternating
order; the figure is the ratio of the medians, of wall time and of CPU time.

usage: pairwise.py [--data DIR] [--sessions N] [--seeds N ...] [--columns NAME ...] [--rounds N]
exit code: 0 if ours is within 0.3 points of XGBoost's in every column (or above) and takes at most
1.5 times lambdarank's wall time with 1 and 2 threads, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import xgboost
from letor_protocol import DEFAULT_DATA, versions
from rivals import train_lightgbm, xgboost_unbiased
from simulated_log import COLUMNS, ROUNDS, World, make_world, mean_ndcg
from unbiased_ltr import ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

POINTS, TIMES = 0.3, 1.5


def quality(world: World) -> dict[str, float]:
    """Return NDCG@10 of the skyline and of both Unbiased LambdaMARTs."""

    def mean(scores: NDArray[Any]) -> float:
        return mean_ndcg(world.test, scores)

    return {
        "skyline": mean(train_lightgbm(world, world.judged)),
        "XGBoost unbiased": mean(xgboost_unbiased(world)),
        "pairwise": mean(ours("pairwise")(world)),
    }


def lambdarank(world: World) -> None:
    """LightGBM without debiasing, called without us."""
    found = world.learnable()
    data = lightgbm.Dataset(found.X, found.y, group=found.group)
    lightgbm.train(world.lightgbm_options(world.leaf()), data, ROUNDS)


def pairwise(world: World) -> None:
    """Ours, which also has to find the executions that hold a pair."""
    world.ranker("pairwise", world.leaf()).fit(world.pairs)


def seconds(run: Callable[[World], None], world: World) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(world)
    return time.perf_counter() - wall, time.process_time() - cpu


def timing(world: World, rounds: int) -> dict[str, Any]:
    """Time both in alternating order, after a first run of each that pays compilation."""
    sides = {"lambdarank": lambdarank, "pairwise": pairwise}
    for run in sides.values():
        run(world)
    runs: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for i in range(rounds):
        for side in list(sides) if i % 2 == 0 else reversed(sides):
            runs[side].append(seconds(sides[side], world))
    medians = {side: np.median(values, axis=0).tolist() for side, values in runs.items()}
    wall, cpu = np.divide(medians["pairwise"], medians["lambdarank"]).tolist()
    return {"runs": runs, "median": medians, "wall_ratio": wall, "cpu_ratio": cpu}


def show_quality(column: str, runs: list[dict[str, float]]) -> float:
    """Print one column; return how many points of the skyline ours is above XGBoost's."""
    skyline = np.mean([found["skyline"] for found in runs])
    shares = {name: 100 * np.array([found[name] for found in runs]) / skyline for name in runs[0]}
    gap = shares["pairwise"] - shares["XGBoost unbiased"]
    error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else float("nan")
    print(
        f"{column:10s}{shares['XGBoost unbiased'].mean():12.2f}{shares['pairwise'].mean():10.2f}"
        f"{gap.mean():+12.2f} (standard error {error:.2f})",
        flush=True,
    )
    return float(gap.mean())


def main() -> int:
    """Run both parts, print tables and verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    parser.set_defaults(set="mq2007agg", swap=False)
    parser.add_argument(
        "--columns", nargs="*", choices=COLUMNS["mq2007agg"], default=list(COLUMNS["mq2007agg"])
    )
    parser.add_argument("--swap", action="store_true", help="train on A4-A5, test on A1-A3")
    parser.add_argument("--rounds", type=int, default=7, help="of timing; 0 leaves it out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.threads = 1
    if not (options.data / "mq2007agg").is_dir():
        parser.exit(2, f"no mq2007agg in {options.data}; give --data DIR\n")
    about = {**versions(), "xgboost": xgboost.__version__}
    print(", ".join(f"{name} {version}" for name, version in about.items()))
    print(f"{options.sessions:,} sessions, {len(options.seeds)} seeds")
    verdicts: dict[str, bool] = {}
    results: dict[str, Any] = {"quality": {}, "timing": {}}
    if options.columns:
        print(f"\n{'% skyline':10s}{'XGBoost':>12s}{'pairwise':>10s}{'difference':>12s}")
    for column in options.columns:
        runs = [quality(make_world(options, column, seed)) for seed in options.seeds]
        results["quality"][column] = runs
        gap = show_quality(column, runs)
        verdicts[f"within {POINTS} points of XGBoost's ({column})"] = gap >= -POINTS
    if options.rounds:
        world = make_world(options, "pbm", options.seeds[0])
        print(f"\n{'threads':10s}{'lambdarank s':>14s}{'pairwise s':>12s}{'wall':>8s}{'CPU':>8s}")
        for threads in (1, 2):
            world.threads = threads
            found = results["timing"][threads] = timing(world, options.rounds)
            median = found["median"]
            print(
                f"{threads:<10d}{median['lambdarank'][0]:14.2f}{median['pairwise'][0]:12.2f}"
                f"{found['wall_ratio']:8.2f}{found['cpu_ratio']:8.2f}"
            )
            within = found["wall_ratio"] <= TIMES
            verdicts[f"at most {TIMES} times lambdarank's time ({threads} threads)"] = within
    for name, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {name}")
    if options.out:
        options.out.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
