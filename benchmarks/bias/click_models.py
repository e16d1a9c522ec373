"""Seconds to fit each click model on a large log, and how well it predicts held-out clicks.

Log: queries by Zipf's law, three production rankers of different quality, ten results of twenty
documents; clicks of readers whose examination falls with the rank and with the distance to their
last click (a user browsing model). Nine tenths are fitted on, the rest is held out. Sizes are
numbers of fitted executions.

The baseline knows the click rate of every position and nothing else. The rival is CLAX
(Hager et al. 2025; package clax-models), trained as its README does (AdamW at 0.003, until the
held-out loss no longer falls), at --rival-sizes; it runs in the interpreter --rival-python, as a
process of its own, and its time holds the compilation of its steps (clax-models 0.1.1 runs with
jax 0.7 and optax 0.2.5; its flax does not import under later ones). Perplexities are those given
earlier clicks, the mean over positions; ours does not see the held-out part while fitting.

usage: click_models.py [--sizes N N] [--rounds N] [--rival-python PYTHON] [--rival-sizes N N]
                       [--out JSON]
exit code: 0 if PBM and UBM stay below --bound processor seconds (median) at a million executions,
else 1; they use one thread, so on a machine with nothing else to do these are seconds of the clock
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import polars as pl

import rankloom
from rankloom.datasets import TrainingPairs
from rankloom.datasets.click_models import (
    DBN,
    PBM,
    UBM,
    Cascade,
    ClickModel,
    SimplifiedDBN,
    TrustPBM,
)

MODELS: tuple[type[ClickModel], ...] = (PBM, UBM, TrustPBM, Cascade, SimplifiedDBN, DBN)
SHOWN, CANDIDATES, RANKERS = 10, 20, 3
BOUNDED, BOUNDED_SIZE = ("PBM", "UBM"), 1_000_000
RIVAL = Path(__file__).with_name("click_models_clax.py")


@dataclass(frozen=True)
class Log:
    """Executions as tables: document (lists, SHOWN), clicked (lists, SHOWN), query (lists,)."""

    query: np.ndarray
    document: np.ndarray
    clicked: np.ndarray

    def part(self, chosen: slice) -> Log:
        """Return some of the executions."""
        return Log(self.query[chosen], self.document[chosen], self.clicked[chosen])


def simulated(lists: int, seed: int) -> Log:
    """Return a log of a user browsing world."""
    rng = np.random.default_rng(seed)
    queries = max(lists // 50, 10)
    relevance = rng.beta(0.5, 1.5, (queries, CANDIDATES))
    noise = np.array([0.2, 0.4, 0.8])[:, None, None]
    score = relevance + noise * rng.normal(size=(RANKERS, queries, CANDIDATES))
    order = np.argsort(-score, axis=2)[:, :, :SHOWN].astype(np.int32)
    share = 1 / np.arange(1, queries + 1)
    query = rng.choice(queries, size=lists, p=share / share.sum()).astype(np.int32)
    shown = order[rng.integers(0, RANKERS, lists), query]
    clicked = np.zeros((lists, SHOWN), dtype=np.bool_)
    last = np.full(lists, -1)
    for rank in range(SHOWN):
        examined = 0.9**rank / np.sqrt(rank - last)
        clicked[:, rank] = rng.random(lists) < examined * relevance[query, shown[:, rank]]
        last[clicked[:, rank]] = rank
    return Log(query, query[:, None] * CANDIDATES + shown, clicked)


def training_pairs(log: Log, texts: pl.Series) -> TrainingPairs:
    """Return a log as training pairs without features."""
    lists, rows = len(log.query), log.document.size
    return TrainingPairs(
        X=np.zeros((rows, 0), dtype=np.float32),
        y=log.clicked.ravel().astype(np.float32),
        clicked=log.clicked.ravel(),
        negative=np.zeros(rows, dtype=np.bool_),
        group=np.full(lists, SHOWN, dtype=np.int32),
        position=np.tile(np.arange(SHOWN, dtype=np.int32), lists),
        document_score=np.full(rows, np.nan),
        age_days=np.full(rows, np.nan, dtype=np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=np.full(lists, np.datetime64("NaT"), dtype="datetime64[us]"),
        execution_id=pl.Series(np.arange(lists)).cast(pl.String),
        query_code=log.query,
        queries=texts,
        document_code=log.document.ravel(),
        documents=texts,
        feature_names=(),
    )


def baseline(fitted: Log, held_out: Log) -> float:
    """Return the perplexity of the click rate by position."""
    rate = fitted.clicked.mean(axis=0)
    chance = np.where(held_out.clicked, rate, 1 - rate)
    return float(np.exp(-np.log(chance).mean(axis=0)).mean())


def measured(model_class: type[ClickModel], fitted: TrainingPairs, rounds: int) -> dict[str, Any]:
    """Return the model, and the seconds of every round: wall clock and processor."""
    wall, processor = [], []
    for _ in range(rounds):
        fitted.__dict__.pop("query_document", None)  # a cached property: part of the work
        began, used = time.perf_counter(), time.process_time()
        model = model_class().fit(fitted)
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {"model": model, "seconds": wall, "processor_seconds": processor}


def ours(fitted: Log, held_out: Log, rounds: int) -> list[dict[str, Any]]:
    """Return one row of results a model."""
    texts = pl.Series(np.arange(int(fitted.document.max()) + CANDIDATES)).cast(pl.String)
    train, test = training_pairs(fitted, texts), training_pairs(held_out, texts)
    rows = []
    for model_class in MODELS:
        model_class().fit(train.take(np.arange(500)))  # compiles
        result = measured(model_class, train, rounds)
        model = result.pop("model")
        rows.append(
            {
                "name": model_class.__name__,
                "median_seconds": float(np.median(result["seconds"])),
                **result,
                "perplexity": model.perplexity(test).overall,
                "marginal_perplexity": model.perplexity(test, conditional=False).overall,
            }
        )
    return rows


def rival(python: Path, fitted: Log, held_out: Log) -> list[dict[str, Any]]:
    """Return CLAX's rows, or one row that says why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.npz"
        np.savez(
            path,
            document=fitted.document,
            clicked=fitted.clicked,
            test_document=held_out.document,
            test_clicked=held_out.clicked,
        )
        done = subprocess.run(
            [str(python), str(RIVAL), str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        return [{"name": "CLAX", "failed": done.stderr[-500:]}]
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def print_table(size: int, rows: list[dict[str, Any]], by_position: float) -> None:
    """Print one line a model."""
    print(
        f"\n{size:,} executions of {SHOWN} results; perplexity by position alone {by_position:.4f}"
    )
    print(f"{'model':<16}{'seconds':>9}{'cpu':>9}{'perplexity':>12}{'marginal':>10}")
    for row in rows:
        if "failed" in row:
            print(f"{row['name']:<16}did not run: {row['failed']}")
            continue
        print(
            f"{row['name']:<16}{row['median_seconds']:>9.2f}"
            f"{np.median(row['processor_seconds']):>9.2f}{row['perplexity']:>12.4f}"
            f"{row['marginal_perplexity']:>10.4f}"
        )


def versions() -> dict[str, str]:
    """Return the versions that the numbers depend on."""
    return {
        "rankloom": rankloom.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def main() -> int:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, BOUNDED_SIZE])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bound", type=float, default=10.0, help="seconds")
    parser.add_argument("--rival-python", type=Path, help="interpreter that has clax-models")
    parser.add_argument("--rival-sizes", type=int, nargs="*", default=[100_000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(", ".join(f"{name} {version}" for name, version in versions().items()), "; 1 thread")
    tables, holds = [], True
    for size in options.sizes:
        log = simulated(size + size // 9, seed=0)
        fitted, held_out = log.part(slice(size)), log.part(slice(size, None))
        rows = ours(fitted, held_out, options.rounds)
        if options.rival_python and size in options.rival_sizes:
            rows += rival(options.rival_python, fitted, held_out)
        print_table(size, rows, baseline(fitted, held_out))
        tables.append({"executions": size, "models": rows, "baseline": baseline(fitted, held_out)})
        slow = [
            row["name"]
            for row in rows
            if row["name"] in BOUNDED and np.median(row["processor_seconds"]) > options.bound
        ]
        holds &= not (slow and size >= BOUNDED_SIZE)
    print(f"\n{'holds' if holds else 'FAILS'}: PBM and UBM within {options.bound:g} s")
    if options.out:
        result = {"versions": versions(), "tables": tables, "holds": holds}
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
