"""Error and coverage of `PositionBias` on simulated clicks with a known examination curve.

Data: MQ2007-agg parts A1 to A3 (../shared/data/mq2007agg), features = the ranks of 21 systems.
Log: three production rankers, each a small lambdarank (20 rounds, 4 leaves) on 10 random queries;
an execution draws a query with at least 10 documents and one ranker, and shows its top 10.
Clicks: P(click) = 1/rank * (0.1 + 0.9 r), r = 0, 1/3, 1 for grades 0, 1, 2. Every log goes the
whole way: simulate_interactions, load_pairs, PositionBias.fit.

Error: the largest relative error over positions 1 to 9, median over the seeds, for every estimator
and for the rival: all-pairs harvesting as published (Agarwal et al., WSDM 2019, equation of
section 4.2 maximised by L-BFGS), on the same counts. Coverage: how often the nominal intervals of
the all-pairs estimate hold the truth, pooled over positions and logs; the simultaneous band counts
once a log.

Then the same for the features, and for both joined ("auto"), also on logs of one deterministic
ranker (reciprocal rank fusion), which swaps alone must refuse; with a third of the features taken
away; with the position as a feature, which must be refused; and the published swap of results 2
and 3 of English Wikipedia's search (483,916 searches; CC BY 4.0): examination of result 3 relative
to result 2 is .66 by one of the two documents and .61 by the other.

usage: position_bias_accuracy.py [--data DIR] [--seeds N] [--logs N] [--sessions N N]
       [--feature-seeds N] [--feature-logs N] [--replicates N] [--out JSON]
exit code: 0 if every bound in BOUNDS holds, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from rankloom.datasets import PositionBias, TrainingPairs, load_pairs, true_examination
from rankloom.datasets.counts.pair_counts import count_pairs
from rankloom.errors import NotIdentifiableError

sys.path.append(str(Path(__file__).resolve().parents[1] / "ranking"))  # the protocol is shared

from letor_protocol import (
    DEFAULT_DATA,
    SHOWN,
    TRAIN,
    load_parts,
    log_of,
    one_ranker,
    versions,
    weak_rankers,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUTH = true_examination(SHOWN)
BOUNDS = {
    "median error at 20,000 sessions": (0.0, 0.17),
    "median error at 200,000 sessions": (0.0, 0.06),
    "pointwise coverage": (0.80, 0.97),
    "simultaneous coverage": (0.80, 1.0),
    "features, one ranker: median error at 20,000 sessions": (0.0, 0.15),
    "joined, three rankers: median error at 20,000 sessions": (0.0, 0.08),
    "features, one ranker: pointwise coverage": (0.80, 0.97),
    "joined, three rankers: pointwise coverage": (0.80, 0.97),
}
LOGS = {"three rankers": weak_rankers, "one ranker": lambda judged, _: one_ranker(judged)}
JOINED = {"three rankers": ("all_pairs", "features", "auto"), "one ranker": ("features",)}
WIKIPEDIA = {"control": (279_749, 0.0298, 0.0155), "swapped": (204_167, 0.0253, 0.0196)}


def published_all_pairs(pairs: TrainingPairs) -> NDArray[np.float64]:
    """Return the curve by the all-pairs likelihood of Agarwal et al. (2019)."""
    counts = count_pairs(pairs, SHOWN)
    rate, shown = np.zeros((len(counts), SHOWN)), np.zeros((len(counts), SHOWN))
    rate[counts.pair, counts.position] = counts.clicks / counts.shown
    shown[counts.pair, counts.position] = 1.0
    clicked, total = rate.T @ shown, shown.T @ shown
    upper, apart = np.triu_indices(SHOWN, 1), ~np.eye(SHOWN, dtype=bool)

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        examined, relevance = expit(free[:SHOWN]), np.zeros((SHOWN, SHOWN))
        relevance[upper] = expit(free[SHOWN:])
        relevance += relevance.T
        chance = np.clip(examined[:, None] * relevance, 1e-9, 1 - 1e-9)
        missed = total - clicked
        value = -(clicked * np.log(chance) + missed * np.log1p(-chance))[apart].sum()
        slope = np.where(apart, missed / (1 - chance) - clicked / chance, 0.0)
        by_pair = slope * examined[:, None]
        half = (by_pair + by_pair.T)[upper] * (relevance * (1 - relevance))[upper]
        return value, np.concatenate(
            [(slope * relevance).sum(axis=1) * examined * (1 - examined), half]
        )

    start = np.concatenate([np.linspace(2, -2, SHOWN), np.zeros(len(upper[0]))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000})
    curve = expit(found.x[:SHOWN])
    return np.asarray(curve / curve[0])


def largest_error(curve: NDArray[np.float64]) -> float:
    """Return the largest relative error over positions 1 to 9; NaN if one has no estimate."""
    if len(curve) < SHOWN:
        return float("nan")
    return float(np.abs(curve[1:] / TRUTH[1:] - 1).max())


def errors(judged: TrainingPairs, sessions: int, seeds: int) -> dict[str, Any]:
    """Return every estimator's largest error on every seed, and the seconds of a fit."""
    found: dict[str, list[float]] = {}
    seconds = []
    for seed in range(seeds):
        pairs = log_of(judged, weak_rankers(judged, seed), sessions, seed)
        started = time.perf_counter()
        bias = PositionBias("all_pairs").fit(pairs)
        seconds.append(time.perf_counter() - started)
        curves = {**bias.estimates_, "published all-pairs": published_all_pairs(pairs)}
        for name, curve in curves.items():
            found.setdefault(name, []).append(largest_error(curve))
    return {
        "sessions": sessions,
        "errors": found,
        "median": {name: float(np.median(values)) for name, values in found.items()},
        "fit_seconds": float(np.median(seconds)),
    }


def coverage(judged: TrainingPairs, sessions: int, logs: int) -> dict[str, Any]:
    """Return how often intervals and band of `logs` logs hold the truth."""
    inside, within = [], []
    for seed in range(logs):
        pairs = log_of(judged, weak_rankers(judged, 1000 + seed), sessions, 1000 + seed)
        bias = PositionBias("all_pairs").fit(pairs)
        held = (bias.lower_ <= TRUTH) & (bias.upper_ >= TRUTH)
        inside.append(held[1:].tolist())
        within.append(bool(((bias.band_lower_ <= TRUTH) & (bias.band_upper_ >= TRUTH)).all()))
    return {
        "sessions": sessions,
        "logs": logs,
        "pointwise": float(np.mean(inside)),
        "by_position": np.mean(inside, axis=0).round(3).tolist(),
        "simultaneous": float(np.mean(within)),
    }


def refusal(judged: TrainingPairs, sessions: int) -> str | None:
    """Return the message on a log of one deterministic ranker, or None if none was raised."""
    try:
        PositionBias("all_pairs").fit(log_of(judged, one_ranker(judged), sessions, 0))
    except NotIdentifiableError as error:
        return str(error)
    return None


def joined(
    judged: TrainingPairs, log: str, sessions: int, seeds: range, replicates: int
) -> dict[str, Any]:
    """Return errors, coverage and shares of swaps, features and both joined."""
    found: dict[str, dict[str, list[Any]]] = {}
    for seed in seeds:
        pairs = log_of(judged, LOGS[log](judged, seed), sessions, seed)
        third = np.arange(pairs.X.shape[1]) % 3 != 0
        fewer = replace(
            pairs,
            X=np.ascontiguousarray(pairs.X[:, third]),
            feature_names=tuple(np.array(pairs.feature_names)[third]),
        )
        for name, given in [
            *((each, pairs) for each in JOINED[log]),
            (f"{JOINED[log][-1]}, a third of features less", fewer),
        ]:
            started = time.process_time()
            try:
                bias = PositionBias(name.split(",")[0], n_bootstrap=replicates).fit(given)
            except NotIdentifiableError:
                continue
            of = found.setdefault(
                name, {"error": [], "inside": [], "seconds": [], "by_features": []}
            )
            of["seconds"].append(time.process_time() - started)
            of["error"].append(largest_error(bias.examination_))
            of["inside"].append(((bias.lower_ <= TRUTH) & (bias.upper_ >= TRUTH))[1:].tolist())
            share = bias.contributions_.get("features", np.zeros(SHOWN))
            of["by_features"].append(float(np.nanmean(share[1:])))
    return {"log": log, "sessions": sessions, "logs": len(seeds), "found": found}


def print_joined(result: dict[str, Any]) -> None:
    """Print one line for every estimator."""
    print(f"\n{result['log']}, {result['sessions']:,} sessions, {result['logs']} logs")
    print(
        f"{'estimator':<32}{'median':>9}{'90 %':>9}{'coverage':>10}{'by features':>13}{'CPU s':>8}"
    )
    for name, of in result["found"].items():
        print(
            f"{name:<32}{np.median(of['error']):>9.1%}{np.quantile(of['error'], 0.9):>9.1%}"
            f"{np.mean(of['inside']):>10.1%}{np.mean(of['by_features']):>13.0%}"
            f"{np.median(of['seconds']):>8.1f}"
        )


def features_that_are_the_position(judged: TrainingPairs, sessions: int) -> str | None:
    """Return the message on features that are the position, or None if none was raised."""
    pairs = log_of(judged, one_ranker(judged), sessions, 0)
    position = pairs.position[:, None].astype(np.float32)
    try:
        PositionBias().fit(
            replace(
                pairs,
                X=np.hstack([pairs.X, position]),
                feature_names=(*pairs.feature_names, "place"),
            )
        )
    except NotIdentifiableError as error:
        return str(error)
    return None


def published_swap() -> dict[str, Any]:
    """Return the ratio of examination of result 3 to result 2 with its interval."""
    lists, clicked = [], []
    for order, (size, second, third) in zip(
        ([0, 1, 2], [0, 2, 1]), WIKIPEDIA.values(), strict=True
    ):
        lists.append(np.tile(order, size))
        clicks = np.zeros((size, 3), dtype=bool)
        clicks[: round(size * second), 1] = True
        clicks[size - round(size * third) :, 2] = True
        clicks[: size // 5, 0] = True
        clicked.append(clicks.ravel())
    rows = [
        {"execution_id": "e", "feature_id": str(place), "position": place} for place in range(3)
    ]
    one = load_pairs([{**row, "interaction_type": ["impression"]} for row in rows])
    document, click = np.concatenate(lists), np.concatenate(clicked)
    executions = one.take(np.zeros(len(document) // 3, dtype=np.int64))
    pairs = replace(
        executions,
        document_code=document.astype(np.int32),
        clicked=click,
        y=click.astype(np.float32),
        X=executions.X[:, :0],
        feature_names=(),
        time=np.full(executions.n_executions, np.datetime64("NaT"), dtype="datetime64[us]"),
    )
    (group,) = PositionBias().fit(pairs).groups_
    low, high = float(group.lower[1]), float(group.upper[1])
    return {
        "ratio": float(group.ratio[1]),
        "interval": [low, high],
        "holds": all(low <= published <= high for published in (0.61, 0.66)),
    }


def print_errors(result: dict[str, Any]) -> None:
    """Print one table: estimators by median, 90 % quantile and largest error."""
    print(f"\n{result['sessions']:,} sessions: largest relative error over positions 1 to 9")
    print(f"{'estimator':<22}{'median':>9}{'90 %':>9}{'largest':>9}{'undefined':>11}")
    for name, values in result["errors"].items():
        known = np.array([value for value in values if np.isfinite(value)])
        print(
            f"{name:<22}{result['median'][name]:>9.1%}{np.quantile(known, 0.9):>9.1%}"
            f"{known.max():>9.1%}{len(values) - len(known):>11}"
        )
    print(f"fit with 200 replicates: {result['fit_seconds']:.2f} s, median")


def judge(
    tables: list[dict[str, Any]], cover: dict[str, Any], both: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return each bounded quantity with its value, bounds and verdict."""
    values = {
        f"median error at {table['sessions']:,} sessions": table["median"]["all_pairs"]
        for table in tables
    }
    values["pointwise coverage"] = cover["pointwise"]
    values["simultaneous coverage"] = cover["simultaneous"]
    for each in both:
        for name, label in (("features", "features"), ("auto", "joined")):
            if name not in each["found"]:  # without swaps joined is by features
                continue
            of, start = each["found"][name], f"{label}, {each['log']}: "
            values[f"{start}median error at {each['sessions']:,} sessions"] = float(
                np.median(of["error"])
            )
            if each["sessions"] == min(other["sessions"] for other in both):
                values[f"{start}pointwise coverage"] = float(np.mean(of["inside"]))
    return {
        name: {"value": value, "bounds": BOUNDS[name], "holds": _holds(value, BOUNDS[name])}
        for name, value in values.items()
        if name in BOUNDS
    }


def _holds(value: float, bounds: tuple[float, float]) -> bool:
    return bool(bounds[0] <= value <= bounds[1])


def main() -> int:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--seeds", type=int, default=20, help="logs for the error")
    parser.add_argument("--logs", type=int, default=100, help="logs for the coverage")
    parser.add_argument("--sessions", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--feature-seeds", type=int, default=20, help="logs for joined errors")
    parser.add_argument("--feature-logs", type=int, default=50, help="logs for their coverage")
    parser.add_argument("--replicates", type=int, default=200, help="of the joined bootstrap")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    judged = load_parts(options.data, TRAIN)
    about = versions()
    print(", ".join(f"{name} {version}" for name, version in about.items()), "; 1 thread")
    tables = []
    for sessions in options.sessions:
        tables.append(errors(judged, sessions, options.seeds))
        print_errors(tables[-1])
    cover = coverage(judged, options.sessions[0], options.logs)
    print(
        f"\n90 % intervals of all_pairs, {cover['logs']} logs of {cover['sessions']:,} sessions: "
        f"pointwise {cover['pointwise']:.1%} (by position {cover['by_position']}), "
        f"simultaneous {cover['simultaneous']:.1%}"
    )
    message = refusal(judged, options.sessions[0])
    print(f"one deterministic ranker: {message or 'NOT REFUSED'}")
    both = []
    for log in LOGS:
        for sessions in options.sessions:
            # The logs for coverage begin where those of the trial runs ended.
            logs = (
                options.feature_logs if sessions == options.sessions[0] else options.feature_seeds
            )
            both.append(joined(judged, log, sessions, range(2000, 2000 + logs), options.replicates))
            print_joined(both[-1])
    position = features_that_are_the_position(judged, options.sessions[0])
    print(f"\nfeatures that are the position: {position or 'NOT REFUSED'}")
    swap = published_swap()
    print(
        "published swap of results 2 and 3: examination {ratio:.3f}, interval {interval}, .61 and "
        ".66 inside: {holds}".format(**swap)
    )
    verdicts = judge(tables, cover, both)
    for name, verdict in verdicts.items():
        word = "holds" if verdict["holds"] else "FAILS"
        print(f"{word}: {name} {verdict['value']:.3f}, bounds {verdict['bounds']}")
    if options.out:
        result = {
            "versions": about,
            "errors": tables,
            "coverage": cover,
            "refusal": message,
            "joined": both,
            "position as a feature": position,
            "published swap": swap,
            "verdicts": verdicts,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    refused = message and position and swap["holds"]
    return 0 if refused and all(verdict["holds"] for verdict in verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
