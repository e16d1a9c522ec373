"""Unbiased learning to rank on simulated clicks with known truth: ours beside the rivals.

Train on MQ2007-agg A1 to A3, test on A4 and A5 (or --swap). Logging ``weak3``: a session draws a
query and one of three weak lambdaranks and shows its top 10; ``rrf``: one deterministic ranker,
reciprocal rank fusion. Clicks (r = 0, 1/3, 1 for grades 0, 1, 2; examination 1/rank): PBM
P(click) = e (0.1 + 0.9 r); trust; cascade (see `simulate_interactions`).

Metric: NDCG@10, gain 2^grade - 1, over full lists, queries without a relevant document left out;
as a share of the skyline, a lambdarank trained on the true grades of all training documents.
LightGBM for all: 150 trees, 15 leaves, learning rate 0.05, truncation 10, min_data_in_leaf 50
(session data: times how often a document is repeated). XGBoost: rank:ndcg, eta 0.05, 15 leaves
loss-guided, top-k pairs with 10 a sample, lambdarank_unbiased with bias_norm 1.

usage: unbiased_ltr.py [--data DIR] [--sessions N] [--seeds N ...] [--columns NAME ...] [--swap]
exit code: 0 if every bound in `judge` holds, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import xgboost
from protocol_a import (
    DEFAULT_DATA,
    SHOWN,
    TEST,
    TRAIN,
    load_parts,
    log_of,
    one_ranker,
    versions,
    weak_rankers,
)

from rankloom.datasets import PositionBias, TrainingPairs
from rankloom.errors import NotIdentifiableError
from rankloom.ltr import Ranker
from rankloom.ltr.metrics import ndcg

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROUNDS, LEAVES, RATE = 150, 15, 0.05
TRUTH = 1 / np.arange(1, SHOWN + 1)
COLUMNS = {
    "pbm": ("pbm", "weak3"),
    "trust": ("trust", "weak3"),
    "cascade": ("cascade", "weak3"),
    "pbm rrf": ("pbm", "rrf"),
}


@dataclass
class World:
    """One simulated log with all that a method may use, and what it is judged by."""

    pairs: TrainingPairs
    judged: TrainingPairs
    test: TrainingPairs
    rankers: NDArray[np.float64]
    seed: int
    threads: int
    shared: dict[str, Any] = field(default_factory=dict)

    def learnable(self) -> TrainingPairs:
        """Return the executions with both a clicked and an unclicked document."""
        if "learnable" not in self.shared:
            clicks = np.add.reduceat(self.pairs.clicked, self.pairs.offsets[:-1], dtype=np.int64)
            mixed = (clicks > 0) & (clicks < self.pairs.group)
            self.shared["learnable"] = self.pairs.take(mixed)
        return self.shared["learnable"]

    def leaf(self) -> int:
        """Return min_data_in_leaf for session data."""
        shown = len(np.unique(self.pairs.document_code))
        return int(50 * len(self.learnable()) / shown)

    def lightgbm_options(self, min_data_in_leaf: int) -> dict[str, Any]:
        """Return the frozen settings."""
        return {
            "objective": "lambdarank",
            "num_leaves": LEAVES,
            "learning_rate": RATE,
            "min_data_in_leaf": min_data_in_leaf,
            "lambdarank_truncation_level": SHOWN,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "num_threads": self.threads,
            "verbosity": -1,
        }

    def ranker(self, debias: str, min_data_in_leaf: int, **options: Any) -> Ranker:
        """Return our ranker with the same settings."""
        params = self.lightgbm_options(min_data_in_leaf)
        del params["objective"]
        return Ranker(debias, n_estimators=ROUNDS, params=params, progress=False, **options)


def train_lightgbm(world: World, judged: TrainingPairs) -> NDArray[np.float64]:
    """Full information: the true grades of the given lists."""
    data = lightgbm.Dataset(judged.X, judged.y, group=judged.group)
    booster = lightgbm.train(world.lightgbm_options(50), data, ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads))


def shown_only(world: World) -> NDArray[np.float64]:
    """Train on true grades, but only of documents that were ever shown."""
    shown = set(world.pairs.document_id.unique())
    query = world.judged.query_id.gather(world.judged.execution_index)
    ids = [f"{q}/{d}" for q, d in zip(query, world.judged.document_id, strict=True)]
    kept = np.array([name in shown for name in ids])
    sizes = np.add.reduceat(kept, world.judged.offsets[:-1], dtype=np.int64)
    data = lightgbm.Dataset(world.judged.X[kept], world.judged.y[kept], group=sizes[sizes > 0])
    booster = lightgbm.train(world.lightgbm_options(50), data, ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads))


def lightgbm_position(world: World) -> NDArray[np.float64]:
    """LightGBM's own debiasing, called without us."""
    found = world.learnable()
    data = lightgbm.Dataset(found.X, found.y, group=found.group, position=found.position)
    booster = lightgbm.train(world.lightgbm_options(world.leaf()), data, ROUNDS)
    return np.asarray(booster.predict(world.test.X, num_threads=world.threads), np.float32)


def xgboost_unbiased(world: World) -> NDArray[np.float64]:
    """XGBoost's Unbiased LambdaMART."""
    found = world.learnable()
    data = xgboost.DMatrix(found.X, found.y, qid=found.execution_index)
    settings = {
        "objective": "rank:ndcg",
        "eta": RATE,
        "max_leaves": LEAVES,
        "grow_policy": "lossguide",
        "max_depth": 0,
        "tree_method": "hist",
        "nthread": world.threads,
        "seed": world.seed,
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": SHOWN,
        "lambdarank_unbiased": True,
        "lambdarank_bias_norm": 1,
    }
    booster = xgboost.train(settings, data, ROUNDS)
    return np.asarray(booster.predict(xgboost.DMatrix(world.test.X)))


def ours(debias: str) -> Callable[[World], NDArray[np.float32]]:
    """Return a method that learns on sessions with our ranker."""
    return lambda world: world.ranker(debias, world.leaf()).fit(world.pairs).predict(world.test)


def ips_true(world: World) -> NDArray[np.float32]:
    """IPS labels with the true curve."""
    return world.ranker("ips", 50, examination=TRUTH).fit(world.pairs).predict(world.test)


def ips_estimated(world: World) -> NDArray[np.float32]:
    """IPS labels with the curve that all-pairs harvesting finds in the log."""
    bias = PositionBias().fit(world.pairs)
    return world.ranker("ips", 50, examination=bias).fit(world.pairs).predict(world.test)


METHODS: dict[str, Callable[[World], NDArray[Any]]] = {
    "skyline": lambda world: train_lightgbm(world, world.judged),
    "true grades of shown": shown_only,
    "naive (none)": ours("none"),
    "LightGBM position": lightgbm_position,
    "position": ours("position"),
    "XGBoost unbiased": xgboost_unbiased,
    "ips, true curve": ips_true,
    "ips, all-pairs curve": ips_estimated,
}


def production(world: World) -> float:
    """Return the production rankers' mean NDCG@10 on the test lists."""
    return float(np.mean([_mean(world.test, scores) for scores in world.rankers.T]))


def _mean(test: TrainingPairs, scores: NDArray[Any]) -> float:
    return float(np.nanmean(ndcg(test.y, scores, test.group, k=SHOWN)))


def make_world(options: argparse.Namespace, column: str, seed: int) -> World:
    """Simulate one log."""
    click_model, logger = COLUMNS[column]
    parts = (TEST, TRAIN) if options.swap else (TRAIN, TEST)
    judged, test = (load_parts(options.data, found) for found in parts)
    both = load_parts(options.data, (*parts[0], *parts[1]))
    everything = one_ranker(both) if logger == "rrf" else None
    if everything is None:
        # The rankers learn from training queries, and score the test queries for reference.
        scores = weak_rankers(judged, seed, also=test)
        train_scores, test_scores = scores[: len(judged)], scores[len(judged) :]
    else:
        train_scores, test_scores = everything[: len(judged)], everything[len(judged) :]
    pairs = log_of(judged, train_scores, options.sessions, seed, click_model=click_model)
    return World(pairs, judged, test, test_scores, seed, options.threads)


def run(world: World) -> dict[str, dict[str, Any]]:
    """Return NDCG@10 and seconds of every method; a refusal has its message instead."""
    found: dict[str, dict[str, Any]] = {"production": {"ndcg": production(world)}}
    scores: dict[str, NDArray[Any]] = {}
    for name, method in METHODS.items():
        started = time.perf_counter()
        try:
            scores[name] = method(world)
        except NotIdentifiableError as error:
            found[name] = {"refused": str(error)}
            continue
        seconds = time.perf_counter() - started
        found[name] = {"ndcg": _mean(world.test, scores[name]), "seconds": seconds}
    standard = [
        (s - s.mean()) / s.std() for s in (scores["LightGBM position"], scores["XGBoost unbiased"])
    ]
    found["mean of the two rivals"] = {"ndcg": _mean(world.test, sum(standard))}
    same = np.array_equal(scores["LightGBM position"], scores["position"])
    found["position"]["bit for bit LightGBM's"] = same
    return found


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


def judge(results: dict[str, list[dict[str, dict[str, Any]]]]) -> dict[str, bool]:
    """Return which of the promised bounds hold."""

    def share(column: str, name: str) -> float:
        runs = results[column]
        skyline = np.mean([found["skyline"]["ndcg"] for found in runs])
        return float(100 * np.mean([found[name]["ndcg"] for found in runs]) / skyline)

    verdicts = {
        f"position is LightGBM's bit for bit ({column})": all(
            found["position"]["bit for bit LightGBM's"] for found in runs
        )
        for column, runs in results.items()
    }
    if "pbm" in results:
        true, estimated = share("pbm", "ips, true curve"), share("pbm", "ips, all-pairs curve")
        verdicts["ips with the true curve reaches 94 % (pbm)"] = true >= 94
        verdicts["the all-pairs curve is within 1.5 points of it (pbm)"] = estimated >= true - 1.5
    if "pbm rrf" in results:
        verdicts["ips without a known curve refuses (pbm rrf)"] = all(
            "refused" in found["ips, all-pairs curve"] for found in results["pbm rrf"]
        )
    return verdicts


def main() -> int:
    """Run the columns, print the tables and verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--swap", action="store_true", help="train on A4-A5, test on A1-A3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not (options.data / "mq2007agg").is_dir():
        parser.exit(2, f"no mq2007agg in {options.data}; give --data DIR\n")
    about = {**versions(), "xgboost": xgboost.__version__, "threads": str(options.threads)}
    print(", ".join(f"{name} {version}" for name, version in about.items()))
    print(f"{options.sessions:,} sessions; test on {'A1-A3' if options.swap else 'A4-A5'}")
    results = {}
    for column in options.columns:
        results[column] = [run(make_world(options, column, seed)) for seed in options.seeds]
        show(column, results[column])
    verdicts = judge(results)
    for name, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {name}")
    if options.out:
        options.out.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
