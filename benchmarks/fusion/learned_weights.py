"""Learned fusion weights on simulated clicks over real runs, compared with rivals.

Data: Robust 2003 (../shared/data/robust03), systems pircRBa1, UIUC03Rd1, SABIR03BASE, rutcor03100
and InexpC2, scores min-max normalised per query over all candidates. Learning: impressions of fused
top-10 lists of the queries of one half, position-based clicks with examination 1/rank and
attractiveness 0.1 to 0.9 by gain. Judged: NDCG@10 on the other half, at `mean()`, as difference to
equal weights; online: the NDCG@10 of the lists shown. Every learner meets the same queries and the
same users. All of it once more where the true examination is 1/sqrt(rank) and learners go on
assuming 1/rank. Standard errors are paired and clustered by split.

usage: learned_weights.py [--data DIR] [--splits N] [--clicks N] [--impressions N] [--out JSON]
exit code: 0 if every bound holds, else 1
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from learners import (
    PairwiseGradient,
    PlainLinear,
    Rankloom,
    WinnerTakesAll,
    coordinate_ascent,
)
from robust2003_protocol import DEFAULT_DATA, SYSTEMS, Queries, Searches, load_queries

import rankloom

if TYPE_CHECKING:
    from collections.abc import Callable

    from fusion_learners import Learner
    from numpy.typing import NDArray

MARKS = (100, 500, 2000)
OURS = ("rankloom linear", "rankloom beta, named channel")
COUNT = len(SYSTEMS)
LEARNERS: dict[str, Callable[[tuple[int, ...]], Learner]] = {
    OURS[0]: lambda seed: Rankloom("linear", COUNT, seed),
    OURS[1]: lambda seed: Rankloom("beta", COUNT, seed),
    "plain linear Thompson": lambda seed: PlainLinear(COUNT, seed),
    "PDGD": lambda seed: PairwiseGradient(COUNT, seed),
    "winner-takes-all beta": lambda seed: WinnerTakesAll(COUNT, seed),
}
LARGEST_LOSS = -0.005


def follow(
    learner: Learner, searches: Searches, held_out: NDArray[np.int64], marks: tuple[int, ...]
) -> list[float]:
    """Return the held-out NDCG@10 at every mark, and the mean one online."""
    judged, online = [], []
    for number, (query, uniform) in enumerate(islice(searches, marks[-1]), 1):
        scores = searches.candidates(query)
        shown = learner.show(scores)
        learner.update(scores[shown], searches.clicks(query, shown, uniform))
        online.append(searches.ndcg(query, shown))
        if number in marks:
            judged.append(searches.queries.ndcg(held_out, learner.weights()))
    return [*judged, float(np.mean(online))]


def run(
    queries: Queries, power: float, splits: int, clicks: int, marks: tuple[int, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return gains over equal weights by learner; shape (splits, clicks, marks + 1)."""
    equal = np.full(COUNT, 1 / COUNT)
    gains: dict[str, list[Any]] = {name: [] for name in LEARNERS}
    for split in range(splits):
        learning, held_out = queries.split(split)
        base = [queries.ndcg(held_out, equal)] * len(marks) + [queries.ndcg(learning, equal)]
        for name, build in LEARNERS.items():
            found = []
            for seed in range(clicks):
                searches = Searches(queries, learning, power, (split, seed))
                found.append(follow(build((split, seed)), searches, held_out, marks))
            gains[name].append(np.array(found) - base)
    return {name: np.array(values) for name, values in gains.items()}


def references(queries: Queries, splits: int) -> dict[str, NDArray[np.float64]]:
    """Return what needs no clicks: equal weights, and gains over them; shape (splits,)."""
    equal = np.full(COUNT, 1 / COUNT)
    found: dict[str, list[float]] = {"equal weights": [], "equal RRF": [], "supervised": []}
    for split in range(splits):
        learning, held_out = queries.split(split)
        base = queries.ndcg(held_out, equal)
        found["equal weights"].append(base)
        found["equal RRF"].append(queries.ndcg(held_out, np.ones(COUNT), ranks=True) - base)
        best = coordinate_ascent(queries, learning)
        found["supervised"].append(queries.ndcg(held_out, best) - base)
    return {name: np.array(values) for name, values in found.items()}


def standard_error(by_split: NDArray[np.float64]) -> float:
    """Return the standard error of a mean over splits; NaN for a single one."""
    count = len(by_split)
    return float(by_split.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")


def summary(gains: NDArray[np.float64], marks: tuple[int, ...]) -> dict[str, Any]:
    """Return means with standard errors, and how many runs lost."""
    by_split = gains.mean(axis=1)
    columns = [*(str(mark) for mark in marks), "online"]
    last = gains[:, :, len(marks) - 1]
    return {
        "gain": dict(zip(columns, by_split.mean(axis=0).tolist(), strict=True)),
        "error": dict(zip(columns, map(standard_error, by_split.T), strict=True)),
        "lost": float((last < LARGEST_LOSS).mean()),
        "worst": float(last.min()),
    }


def print_table(title: str, results: dict[str, dict[str, Any]]) -> None:
    """Print gains over equal weights with their standard errors."""
    columns = list(next(iter(results.values()))["gain"])
    print(f"\n{title}: NDCG@10 over equal weights (paired standard error)")
    head = "".join(f"{'@' + column if column.isdigit() else column:>18}" for column in columns)
    print(f"{'':<30}{head}{'below -0.005':>14}{'worst':>9}")
    for name, result in results.items():
        cells = "".join(
            f"{result['gain'][column]:>+9.4f} ({result['error'][column]:.4f})" for column in columns
        )
        print(f"{name:<30}{cells}{result['lost']:>14.0%}{result['worst']:>+9.4f}")


def judge(
    right: dict[str, dict[str, Any]], wrong: dict[str, dict[str, Any]], last: str
) -> list[tuple[str, float, float]]:
    """Return every bounded quantity as (name, value, lowest value allowed)."""
    linear, beta = (right[name] for name in OURS)
    first = str(MARKS[0])
    lost = [table[name]["lost"] for table in (right, wrong) for name in OURS]
    return [
        (f"linear at {last}", linear["gain"][last], 0.018),
        (f"linear at {first}", linear["gain"][first], -linear["error"][first]),
        (f"linear at {last}, wrong curve", wrong[OURS[0]]["gain"][last], 0.008),
        (f"beta at {last}", beta["gain"][last], 0.010),
        (f"beta at {first}", beta["gain"][first], -0.005),
        (f"share of runs not below {LARGEST_LOSS}", 1 - float(np.mean(lost)), 0.95),
    ]


def main() -> int:
    """Run, print the tables and verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--clicks", type=int, default=6, help="click seeds a split")
    parser.add_argument("--impressions", type=int, default=MARKS[-1])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    marks = (*(mark for mark in MARKS if mark < options.impressions), options.impressions)
    about = {
        "rankloom": rankloom.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(", ".join(f"{name} {version}" for name, version in about.items()), "; 1 thread")
    started = time.perf_counter()
    queries = load_queries(options.data)
    known = references(queries, options.splits)
    print(f"{len(queries.size)} queries; equal weights {known['equal weights'].mean():.4f}")
    for name in ("equal RRF", "supervised"):
        print(f"{name:<30}{known[name].mean():+9.4f} ({standard_error(known[name]):.4f})")
    tables = {}
    for title, power in (("examination 1/rank", 1.0), ("examination 1/sqrt(rank)", 0.5)):
        gains = run(queries, power, options.splits, options.clicks, marks)
        tables[title] = {name: summary(values, marks) for name, values in gains.items()}
        print_table(title, tables[title])
    verdicts = judge(*tables.values(), str(marks[-1]))
    print(f"\n{time.perf_counter() - started:.0f} s")
    for name, value, bound in verdicts:
        print(
            f"{'holds' if value >= bound else 'FAILS'}: {name} {value:+.4f}, at least {bound:+.4f}"
        )
    if options.out:
        result = {
            "versions": about,
            "references": {name: values.tolist() for name, values in known.items()},
            "tables": tables,
            "verdicts": verdicts,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(value >= bound for _, value, bound in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
