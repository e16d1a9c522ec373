"""Unbiased learning to rank on simulated clicks with known truth: ours and the rivals.

Train on MQ2007-agg A1 to A3, test on A4 and A5 (or --swap). Logging ``weak3``: a session draws a
query and one of three weak lambdaranks and shows its top 10; ``rrf``: one deterministic ranker,
reciprocal rank fusion. Clicks (r = 0, 1/3, 1 for grades 0, 1, 2; examination 1/rank): PBM
P(click) = e (0.1 + 0.9 r); trust; cascade, which is
the simulator's "dbn" (see `simulate_interactions`).

Metric: NDCG@10, gain 2^grade - 1, over full lists, queries without a relevant document left out;
as a share of the skyline, a lambdarank trained on the true grades of all training documents.
LightGBM for all: 150 trees, 15 leaves, learning rate 0.05, truncation 10, min_data_in_leaf 50
(session data: times how often a document is repeated). XGBoost: rank:ndcg, eta 0.05, 15 leaves
loss-guided, top-k pairs with 10 a sample, lambdarank_unbiased with bias_norm 1.

Rivals: naive LightGBM, LightGBM ``position``, XGBoost unbiased, ensembles of two seeds of each
(nine tenths of the lists or rows and four fifths of the features, drawn anew), the mean of the
standardised scores of the last two, and IPS labels with the true curve. Ours: every mode, as the
one model that `save` writes; "auto, undistilled" is the blend it was trained on. "mean of the two
rivals, distilled" gives the rivals' mean the same last step, to see what that alone is worth.

usage: unbiased_ltr.py [--data DIR] [--sessions N] [--seeds N ...] [--columns NAME ...] [--swap]
exit code: 0 if every bound in `judge` holds, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from letor_protocol import DEFAULT_DATA, SHOWN, versions
from rivals import (
    lightgbm_sessions,
    lightgbm_twice,
    rivals_distilled,
    shown_only,
    standard,
    train_lightgbm,
    xgboost_twice,
    xgboost_unbiased,
)
from simulated_log import COLUMNS, TRUTH, World, make_world, mean_ndcg

from rankloom.datasets import PositionBias
from rankloom.errors import NotIdentifiableError
from rankloom.ltr.debias.blend import blended
from rankloom.ltr.metrics.bootstrap import paired_bootstrap
from rankloom.ltr.metrics.ranking import ndcg

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FULL = 20_000


def ours(debias: str) -> Callable[[World], NDArray[np.float32]]:
    """Return a method that learns on sessions with our ranker."""
    return lambda world: world.ranker(debias, world.leaf()).fit(world.pairs).predict(world.test)


def ips_true(world: World) -> NDArray[np.float32]:
    """IPS labels with the true curve."""
    return world.ranker("ips", 50, examination=TRUTH).fit(world.pairs).predict(world.test)


def ips_estimated(world: World) -> NDArray[np.float32]:
    """IPS labels with the curve that is found in the log, by swaps, features or both."""
    bias = PositionBias().fit(world.pairs)
    return world.ranker("ips", 50, examination=bias).fit(world.pairs).predict(world.test)


def auto(world: World) -> NDArray[np.float32]:
    """Our default, as the one model that `save` writes."""
    ranker = world.ranker("auto", 50).fit(world.pairs)
    world.shared["auto"] = ranker
    return ranker.predict(world.test)


def undistilled(world: World) -> NDArray[Any]:
    """Return the scores of the blend that auto's model was trained on, if there was one."""
    ranker = world.shared["auto"]
    if not ranker.members_:
        return ranker.predict(world.test)
    return blended(ranker.members_, world.test.X, world.threads)


METHODS: dict[str, Callable[[World], NDArray[Any]]] = {
    "skyline": lambda world: train_lightgbm(world, world.judged),
    "true grades of shown": shown_only,
    "naive (none)": ours("none"),
    "naive, two seeds": lambda world: lightgbm_twice(world, position=False),
    "LightGBM position": lambda world: lightgbm_sessions(world, position=True),
    "position, two seeds": lambda world: lightgbm_twice(world, position=True),
    "XGBoost unbiased": xgboost_unbiased,
    "XGBoost, two seeds": xgboost_twice,
    "ips, true curve": ips_true,
    "rivals' mean, distilled": rivals_distilled,
    "position": ours("position"),
    "ips, estimated curve": ips_estimated,
    "pairwise": ours("pairwise"),
    "click_model": lambda world: (
        world.ranker("click_model", 50).fit(world.pairs).predict(world.test)
    ),
    "auto": auto,
    "auto, undistilled": undistilled,
}
RIVALS = (
    "naive (none)",
    "naive, two seeds",
    "LightGBM position",
    "position, two seeds",
    "XGBoost unbiased",
    "XGBoost, two seeds",
    "mean of the two rivals",
    "ips, true curve",
)


def production(world: World) -> float:
    """Return the production rankers' mean NDCG@10 on the test lists."""
    return float(np.mean([mean_ndcg(world.test, scores) for scores in world.rankers.T]))


def run(world: World) -> dict[str, dict[str, Any]]:
    """Return NDCG@10 by query and seconds of every method; a refusal has its message instead."""
    found: dict[str, dict[str, Any]] = {"production": {"ndcg": production(world)}}
    scores: dict[str, NDArray[Any]] = {}
    for name, method in METHODS.items():
        started = time.perf_counter()
        try:
            scores[name] = method(world)
        except NotIdentifiableError as error:
            found[name] = {"refused": str(error)}
            continue
        found[name] = _judged(world, scores[name]) | {"seconds": time.perf_counter() - started}
    both = standard(scores["LightGBM position"]) + standard(scores["XGBoost unbiased"])
    found["mean of the two rivals"] = _judged(world, both)
    same = np.array_equal(scores["LightGBM position"], scores["position"])
    found["position"]["bit for bit LightGBM's"] = same
    choice = world.shared["auto"].choice_
    found["auto"] |= {"choice": choice.to_dict()}
    return found


def _judged(world: World, scores: NDArray[Any]) -> dict[str, Any]:
    by_query = ndcg(world.test.y, scores, world.test.group, k=SHOWN)
    return {"ndcg": float(np.nanmean(by_query)), "by_query": by_query.tolist()}


def show(column: str, runs: list[dict[str, dict[str, Any]]]) -> None:
    """Print one column of the table."""
    skyline = np.mean([found["skyline"]["ndcg"] for found in runs])
    print(f"\n{column}: {len(runs)} seeds")
    print(f"{'':24s}{'NDCG@10':>9s}{'% skyline':>11s}{'lowest':>9s}{'seconds':>9s}")
    for name in runs[0]:
        if any("refused" in found[name] for found in runs):
            count = sum("refused" in found[name] for found in runs)
            print(f"{name:24s}  refused on {count} of {len(runs)} logs")
            continue
        values = np.array([found[name]["ndcg"] for found in runs])
        seconds = np.mean([found[name].get("seconds", np.nan) for found in runs])
        print(
            f"{name:24s}{values.mean():9.4f}{100 * values.mean() / skyline:11.1f}"
            f"{100 * values.min() / skyline:9.1f}{seconds:9.1f}"
        )
    chosen = [found["auto"]["choice"] for found in runs]
    readings = ", ".join(str(choice["click_model"]) for choice in chosen)
    backs = sum(choice["fall_back"] for choice in chosen)
    print(f"auto read by {readings}; would fall back to document_score on {backs}", flush=True)


Results = dict[str, list[dict[str, dict[str, Any]]]]


def share(results: Results, column: str, name: str) -> float:
    """Return a method's mean NDCG@10 as a percentage of the skyline's."""
    skyline = np.mean([found["skyline"]["ndcg"] for found in results[column]])
    return float(100 * np.mean([found[name]["ndcg"] for found in results[column]]) / skyline)


def judge(results: Results, sessions: int) -> dict[str, bool]:
    """Return which of the stated bounds hold."""
    verdicts = {
        f"position is LightGBM's bit for bit ({column})": all(
            found["position"]["bit for bit LightGBM's"] for found in runs
        )
        for column, runs in results.items()
    }
    verdicts |= _of_ips(results) | _of_auto(results, sessions)
    return verdicts


def _of_ips(results: Results) -> dict[str, bool]:
    verdicts = {}
    for column in [each for each in ("pbm", "pbm rrf") if each in results]:
        true = share(results, column, "ips, true curve")
        if column == "pbm":
            verdicts["ips with the true curve reaches 94 % (pbm)"] = true >= 94
        is_refused = any("refused" in found["ips, estimated curve"] for found in results[column])
        name = f"the estimated curve is within 1.5 points of it ({column})"
        verdicts[name] = not is_refused and (
            share(results, column, "ips, estimated curve") >= true - 1.5
        )
    return verdicts


def _of_auto(results: Results, sessions: int) -> dict[str, bool]:
    """Judge auto against the best rival of each column."""
    verdicts, margin = {}, 0.5 if sessions == FULL else -0.5
    for column in results:
        best = max(RIVALS, key=lambda name: share(results, column, name))
        ahead = share(results, column, "auto") - share(results, column, best)
        verdicts[f"auto is {ahead:+.2f} points from the best rival, {best} ({column})"] = (
            ahead >= margin
        )
    mean = float(np.mean([share(results, column, "auto") for column in results]))
    blend = float(np.mean([share(results, column, "auto, undistilled") for column in results]))
    if sessions == FULL:
        verdicts[f"auto's mean over the columns is {mean:.2f} %, at least 97"] = mean >= 97
        low, high = _interval(results)
        text = f"gain over each column's best rival: {100 * low:+.2f} to {100 * high:+.2f} (95 %)"
        verdicts[f"{text}, in points of NDCG, above 0"] = low > 0
    text = f"the undistilled blend is {blend - mean:+.2f} points better, at most 0.5"
    verdicts[text] = blend - mean <= 0.5
    below = [
        max(found["production"]["ndcg"], found["naive (none)"]["ndcg"]) - found["auto"]["ndcg"]
        for runs in results.values()
        for found in runs
    ]
    share_below = float(np.mean(np.array(below) > 0))
    text = f"below production or naive in {share_below:.0%} of runs, at most by {max(below):+.4f}"
    verdicts[text] = share_below <= 0.05 and max(below) <= 0.005
    return verdicts


def _interval(results: Results) -> tuple[float, float]:
    """Return the paired bootstrap interval, over test queries, of the mean gain of auto."""
    ours, theirs = [], []
    for column, runs in results.items():
        best = max(RIVALS, key=lambda name: share(results, column, name))
        ours += [found["auto"]["by_query"] for found in runs]
        theirs += [found[best]["by_query"] for found in runs]
    mine, other = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    return paired_bootstrap(mine, other, 5000, 0, 0.95).interval


def main() -> int:
    """Run the columns, print the tables and verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    parser.add_argument("--set", choices=COLUMNS, default="mq2007agg", help="judged lists")
    parser.add_argument("--columns", nargs="+", help="click models and loggers; all by default")
    parser.add_argument("--swap", action="store_true", help="train on A4-A5, test on A1-A3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not (options.data / options.set).is_dir():
        parser.exit(2, f"no {options.set} in {options.data}; give --data DIR\n")
    columns = COLUMNS[options.set] if options.columns is None else options.columns
    if not set(columns) <= set(COLUMNS[options.set]):
        parser.exit(2, f"--columns: expected some of {list(COLUMNS[options.set])}\n")
    about = {**versions(), "xgboost": xgboost.__version__, "threads": str(options.threads)}
    print(", ".join(f"{name} {version}" for name, version in about.items()))
    swapped = ", train and test swapped" if options.swap else ""
    print(f"{options.set}, {options.sessions:,} sessions{swapped}")
    results = {}
    for column in columns:
        results[column] = [run(make_world(options, column, seed)) for seed in options.seeds]
        show(column, results[column])
    verdicts = judge(results, options.sessions)
    for name, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {name}")
    if options.out:
        options.out.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
