"""What `Ranker(debias="none").fit` costs compared with `lightgbm.train` on the same arrays.

Both sides build their own Dataset and train with the same parameters and threads, in alternating
order; the figure is the ratio of the medians, of wall time and of CPU time (which other people's
work on the machine disturbs less). Two cases: every execution holds a pair, so that
nothing is left out; and a log in which some executions have no click, where LightGBM is handed the
finished arrays without them and the ranker has to find and drop them itself.

usage: fit_overhead.py [--executions N] [--features N] [--repeats N] [--threads N] [--out JSON]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl

import rankloom
from rankloom.datasets import TrainingPairs
from rankloom.ltr import Ranker

if TYPE_CHECKING:
    from collections.abc import Callable

PER_EXECUTION = 10


def pairs(executions: int, features: int, clickless: float, seed: int = 0) -> TrainingPairs:
    """Make executions of ten documents, a share of them without a click."""
    generator = np.random.default_rng(seed)
    rows = executions * PER_EXECUTION
    X = generator.normal(size=(rows, features)).astype(np.float32)
    value = (X[:, 0] + 0.5 * X[:, 1] + generator.gumbel(size=rows)).reshape(executions, -1)
    y = np.zeros_like(value, dtype=np.float32)
    y[np.arange(executions), value.argmax(axis=1)] = 1
    y[generator.random(executions) < clickless] = 0
    y = y.ravel()
    return TrainingPairs(
        X=X,
        y=y,
        clicked=y > 0,
        negative=np.zeros(rows, dtype=bool),
        group=np.full(executions, PER_EXECUTION, dtype=np.int32),
        position=np.tile(np.arange(PER_EXECUTION, dtype=np.int32), executions),
        document_score=np.full(rows, np.nan),
        age_days=np.zeros(rows, dtype=np.float32),
        weight=np.ones(rows, dtype=np.float32),
        time=np.arange(executions).astype("datetime64[us]"),
        execution_id=pl.Series([f"execution-{i}" for i in range(executions)]),
        query_code=np.arange(executions, dtype=np.int32),
        queries=pl.Series([f"query-{i}" for i in range(executions)]),
        document_code=np.arange(rows, dtype=np.int32),
        documents=pl.Series([f"document-{i}" for i in range(rows)]),
        feature_names=tuple(f"feature-{i}" for i in range(features)),
    )


def without_clickless(full: TrainingPairs) -> TrainingPairs:
    """Return the executions that hold a pair: LightGBM's finished arrays."""
    return full.take(np.add.reduceat(full.y, full.offsets[:-1]) > 0)


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def train_lightgbm(arrays: TrainingPairs, threads: int) -> None:
    """Train LightGBM alone, with the parameters that the ranker uses by default."""
    params = {
        "objective": "lambdarank",
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 50,
        "lambdarank_truncation_level": 10,
        "num_threads": threads,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    lightgbm.train(params, lightgbm.Dataset(arrays.X, arrays.y, group=arrays.group), 150)


def compare(given: TrainingPairs, repeats: int, threads: int) -> dict[str, Any]:
    """Time both sides in alternating order."""
    arrays = without_clickless(given)
    ranker = Ranker(debias="none", n_jobs=threads, progress=False)
    sides = {
        "lightgbm": lambda: train_lightgbm(arrays, threads),
        "ranker": lambda: ranker.fit(given),
    }
    ranker.fit(given.take(np.arange(min(1000, given.n_executions))))  # pays the imports
    runs: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for i in range(repeats):
        for side in list(sides) if i % 2 == 0 else reversed(sides):
            runs[side].append(seconds(sides[side]))
    medians = {side: np.median(values, axis=0).tolist() for side, values in runs.items()}
    ratios = np.divide(medians["ranker"], medians["lightgbm"])
    return {"runs": runs, "median": medians, "wall_ratio": ratios[0], "cpu_ratio": ratios[1]}


def main() -> None:
    """Run both cases, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    versions = {"rankloom": rankloom.__version__, "lightgbm": lightgbm.__version__}
    print(f"{versions}, Python {platform.python_version()}, {given.threads} threads")
    print(f"{given.executions:,} executions of {PER_EXECUTION} rows, {given.features} features")
    cases = {}
    for name, clickless in (("nothing left out", 0.0), ("a third without a click", 1 / 3)):
        result = compare(
            pairs(given.executions, given.features, clickless), given.repeats, given.threads
        )
        cases[name] = result
        median = result["median"]
        print(
            f"{name:24} lightgbm {median['lightgbm'][0]:.3f} s, ranker {median['ranker'][0]:.3f}"
            f" s, wall ratio {result['wall_ratio']:.3f}, CPU ratio {result['cpu_ratio']:.3f}"
        )
    if given.out:
        record = {"versions": versions, "threads": given.threads, "cases": cases}
        given.out.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
