"""How many triplets are true: `training_triplets` beside clicks against skips, at known relevance.

Data: MQ2007-agg (../shared/data/mq2007agg), lists by three weak production rankers or one, clicks
simulated by three click models (see `ranking/letor_protocol.py`). A triplet is true if its positive
has the higher grade; where both have the same grade it is not.

Beside the default, and the rivals with all the triplets that they give, all are compared at equal
numbers: ours without bounds of confidence and examination and without caps, the most certain
first, and the rivals' triplets that most lists say. The default's negatives are harder: they were
examined.

    python benchmarks/retrieval/triplets.py --out triplets.json
    python benchmarks/retrieval/triplets.py --cost      # CPU time and memory beside load_pairs
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rival_triplets import clicked_against

sys.path.append(str(Path(__file__).resolve().parents[1] / "ranking"))  # the protocol is shared
from letor_protocol import (
    DEFAULT_DATA,
    TRAIN,
    catalogue_of,
    load_parts,
    log_of,
    one_ranker,
    versions,
    weak_rankers,
)

from rankloom.datasets import TrainingPairs, load_pairs
from rankloom.retrieval import training_triplets

COLUMNS = {
    "pbm": ("pbm", "weak3"),
    "trust": ("trust", "weak3"),
    "cascade": ("dbn", "weak3"),
    "pbm one ranker": ("pbm", "one"),
}
MIN_LEAD = 0.05
"""Share of true triplets by which ours have to be above those of clicked against skipped above."""


def shares(frame: pl.DataFrame, grade: dict[str, int]) -> dict[str, float]:
    """Return the number of triplets, the share that is true, and the share that is the reverse."""
    one, other = (
        frame[name].replace_strict(grade, return_dtype=pl.Int64)
        for name in ("positive_id", "negative_id")
    )
    n = len(frame)
    true, false = int((one > other).sum()), int((one < other).sum())
    return {"n": n, "true": true / max(n, 1), "false": false / max(n, 1)}


def measure(pairs: TrainingPairs, grade: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return the shares of every method on one log."""
    own = training_triplets(pairs, test_fraction=0).frame
    every = training_triplets(
        pairs, test_fraction=0, confidence=1e-6, min_examination=0, max_per_query=10**9,
        max_per_positive=10**9,
    ).frame.sort("weight", descending=True)  # fmt: skip
    above = clicked_against(pairs, above=True)
    anywhere = clicked_against(pairs, above=False)
    n = min(len(every), len(above))
    frames = {
        "default": own,
        "most certain, as many as default": every.head(len(own)),
        "skipped above": above,
        "any unclicked": anywhere,
        "skipped above, as many as default": above.head(len(own)),
        "any unclicked, as many as default": anywhere.head(len(own)),
        "most certain, as many as skipped": every.head(n),
        "skipped above, the same number": above.head(n),
    }
    return {name: shares(frame, grade) for name, frame in frames.items()}


def quality(options: argparse.Namespace) -> int:
    """Measure every world, size and seed; return 1 if a lead is smaller than asked for."""
    judged = load_parts(options.data, TRAIN)
    catalogue = catalogue_of(judged)
    grade = dict(zip(catalogue["feature_id"], catalogue["grade"], strict=True))
    results: list[dict[str, Any]] = []
    for column, (click_model, ranker) in COLUMNS.items():
        for sessions in options.sessions:
            runs = []
            for seed in range(options.seeds):
                scores = weak_rankers(judged, seed) if ranker == "weak3" else one_ranker(judged)
                pairs = log_of(judged, scores, sessions, seed, click_model=click_model)
                runs.append(measure(pairs, grade))
            results.append({"column": column, "sessions": sessions, "runs": runs})
            show(results[-1])
    if options.out:
        options.out.write_text(json.dumps({"versions": versions(), "results": results}))
    return judge(results)


def show(result: dict[str, Any]) -> None:
    """Print means over seeds, and the range of the share of true triplets."""
    print(f"\n{result['column']}, {result['sessions']:,} sessions, {len(result['runs'])} seeds")
    print(f"{'':36s}{'triplets':>10s}{'true':>8s}{'lowest':>8s}{'highest':>8s}{'false':>8s}")
    for name in result["runs"][0]:
        each = [run[name] for run in result["runs"]]
        n, false = (np.mean([one[key] for one in each]) for key in ("n", "false"))
        true = [100 * one["true"] for one in each]
        print(
            f"{name:36s}{n:>10,.0f}{np.mean(true):>8.1f}{min(true):>8.1f}{max(true):>8.1f}"
            f"{100 * false:>8.1f}",
            flush=True,
        )


def judge(results: list[dict[str, Any]]) -> int:
    """Return 0 if ours lead clicked against skipped above at equal numbers in every run."""
    missed = []
    for result in results:
        for run in result["runs"]:
            lead = run["most certain, as many as skipped"]["true"]
            lead -= run["skipped above, the same number"]["true"]
            if lead < MIN_LEAD:
                missed.append(f"{result['column']}, {result['sessions']:,}: {100 * lead:+.1f}")
    print("\n".join(f"missed: {each} points" for each in missed) or "\nevery lead is 5 points")
    return bool(missed)


def cost(options: argparse.Namespace) -> int:
    """Measure load and triplets of a log in a process of its own."""
    if options.files:
        print(json.dumps(cost_of(options.files)))
        return 0
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "loading"))
    from load_pairs import make_files

    for millions in options.millions:
        with tempfile.TemporaryDirectory() as folder:
            files = make_files(Path(folder), millions)
            command = [sys.executable, __file__, "--cost", "--files", *files]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout.strip(), flush=True)
    return 0


def cost_of(files: list[str]) -> dict[str, Any]:
    """Return seconds, CPU seconds and peak memory of loading, and of triplets with texts."""
    training_triplets(load_pairs(files[0]).take(np.arange(5_000)))  # compiles
    clocks = [(time.perf_counter(), time.process_time())]
    pairs = load_pairs(files, builtin_features=())
    clocks.append((time.perf_counter(), time.process_time()))
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    names = pairs.documents
    texts = pl.DataFrame({"id": names, "text": "An article about " + names})
    clocks.append((time.perf_counter(), time.process_time()))
    found = training_triplets(pairs, documents=texts)
    clocks.append((time.perf_counter(), time.process_time()))
    wall, cpu = np.diff(np.array(clocks), axis=0)[[0, 2]].T.round(2).tolist()
    return {
        "rows": pairs.report.rows_read,
        "pairs": len(pairs),
        "triplets": len(found),
        "seconds of loading and of triplets": wall,
        "cpu": cpu,
        "peak GB after each": [
            round(loaded, 2),
            round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        ],
    }


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sessions", type=int, nargs="+", default=[5_000, 20_000, 100_000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--millions", type=float, nargs="+", default=[10.0])
    parser.add_argument("--files", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    return cost(options) if options.cost else quality(options)


if __name__ == "__main__":
    raise SystemExit(main())
