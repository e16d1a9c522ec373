"""Bias, error and coverage of `evaluate_from_logs` on simulated clicks whose truth is known.

Data: MQ2007-agg parts A4 and A5 (../shared/data/mq2007agg). Logger: 240 rankings, equally likely.
Half are Plackett-Luce draws around three weak rankers (small lambdaranks on 10 random queries of A1
to A3), half rotations of a random order, so that every document is examined with a probability of
at least 0.01. An execution shows the top 10 of one ranking. Clicks: P(click) = 1/rank
(0.1 + 0.9 r), r = 0, 1/3, 1 for grades 0, 1, 2. Every log goes the whole way:
simulate_interactions, load_pairs, evaluate_from_logs with intervals clustered by user.

Candidates: "good" (a lambdarank on the true grades of A1 to A3), "weak" (one of the logging
rankers without noise) and "bad" (good upside down). Truth: expected DCG@10 of a candidate's
ranking, sum over the first 10 of P(click | examined) / log2(rank + 1), mean over queries.

With the policy known, propensities and all candidates are given. With the policy estimated, the
log is all there is, and a candidate ranks the documents that the log showed; the truth is that of
this ranking, again as a mean over queries. (With few executions a query, more frequent ones
have shown more documents, and the estimate, which is over executions, rightly differs from that
mean: read these bounds at 20 executions a query or more.)

At last logs of one deterministic ranker (reciprocal rank fusion), which must have a statement
instead of intervals, and, for information, logs of click models that break the position-based
assumption (under "trust", P(click | examined) depends on the rank; under "dbn", examination
depends on the results above).

usage: counterfactual.py [--data DIR] [--logs N] [--sessions N] [--out JSON]
exit code: 0 if every bound holds, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl
from letor_protocol import (
    DEFAULT_DATA,
    PRODUCTION,
    SHOWN,
    TEST,
    TRAIN,
    catalogue_of,
    load_parts,
    one_ranker,
    versions,
    weak_rankers,
)

from rankloom.datasets import (
    TrainingPairs,
    click_probability,
    load_pairs,
    relevance_of_grade,
    simulate_interactions,
    true_examination,
)
from rankloom.ltr import CounterfactualReport, evaluate_from_logs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CURVE = true_examination(SHOWN)
DISCOUNT = 1 / np.log2(np.arange(2, SHOWN + 2))
RANKINGS = 240
SEED = 1_000
COVERAGE = (0.80, 0.97)
RMSE_RATIO = 1.05
LEAST_PROPENSITY = 0.01
ESTIMATORS = ("ips", "snips", "doubly_robust")


@dataclass
class World:
    """Judged lists, the logger and the candidates; everything by row of the judged lists."""

    judged: TrainingPairs
    catalogue: pl.DataFrame
    rankings: Floats
    propensity: Floats
    scores: dict[str, Floats]

    @property
    def query(self) -> NDArray[np.int32]:
        """Query of every row."""
        return self.judged.execution_index

    @property
    def candidates(self) -> pl.DataFrame:
        """Everything that can be shown."""
        return self.catalogue.select(query_id="query", feature_id="feature_id")

    def ranks(self, scores: Floats) -> NDArray[np.int64]:
        """0-based rank of every row among its query's."""
        rank = np.empty(len(scores), dtype=np.int64)
        rank[np.lexsort((-scores, self.query))] = np.arange(len(scores))
        return rank - self.judged.offsets[self.query]

    def value(self, scores: Floats, click_model: str = "pbm") -> float:
        """Return the expected DCG@10 of a ranking under a click model."""
        rank = self.ranks(scores)
        shown = rank < SHOWN
        relevance = np.full((self.judged.n_executions, SHOWN), np.nan)
        relevance[self.query[shown], rank[shown]] = relevance_of_grade(self.judged.y)[shown]
        # What a DBN's reader examines is clicked as often as by the position-based reader.
        model = "pbm" if click_model == "dbn" else click_model
        examined = click_probability(relevance, click_model=model) / CURVE
        return float((np.nan_to_num(examined) * DISCOUNT).sum(axis=1).mean())


def make_world(data: Path) -> World:
    """Return the judged lists with logger and candidates."""
    judged, training = load_parts(data, TEST), load_parts(data, TRAIN)
    rng = np.random.default_rng(SEED)
    weak = weak_rankers(training, SEED, also=judged)[len(training) :]
    group = lightgbm.Dataset(training.X, training.y, group=training.group)
    booster = lightgbm.train({**PRODUCTION, "num_leaves": 15, "seed": SEED}, group, 150)
    good = np.asarray(booster.predict(judged.X, num_threads=1)) + 1e-9 * rng.random(len(judged))
    world = World(
        judged,
        catalogue_of(judged),
        np.empty(0),
        np.empty(0),
        {"good": good, "weak": weak[:, 0], "bad": -good},
    )
    world.rankings = _rankings(world, weak, rng)
    examined = [_examined(world.ranks(scores)) for scores in world.rankings.T]
    world.propensity = np.mean(examined, axis=0)
    return world


def _rankings(world: World, weak: Floats, rng: np.random.Generator) -> Floats:
    spread = 1.5 * (weak - weak.mean(axis=0)) / weak.std(axis=0)
    order = world.ranks(rng.random(len(weak)))
    size = world.judged.group[world.query]
    return np.column_stack(
        [
            -((order + j // 2) % size).astype(np.float64)
            if j % 2
            else spread[:, (j // 2) % 3] + rng.gumbel(size=len(weak))
            for j in range(RANKINGS)
        ]
    )


def _examined(rank: NDArray[np.int64]) -> Floats:
    return np.where(rank < SHOWN, CURVE[np.minimum(rank, SHOWN - 1)], 0.0)


def log_of(
    world: World, rankings: Floats, sessions: int, seed: int, click_model: str = "pbm"
) -> TrainingPairs:
    """Simulate and load one log; its query ids are those of the judged lists."""
    interactions = simulate_interactions(
        world.catalogue,
        n_executions=sessions,
        random_state=seed,
        rankers=rankings,
        click_model=click_model,
        list_size=SHOWN,
        min_documents=SHOWN,
        context={},
        channels=(),
        interactions="clicks",
        metadata=False,
    )
    return load_pairs(
        interactions,
        builtin_features=(),
        context=("user_id", "session_id"),
        query_key=lambda snapshot: str(snapshot["query"]),
    )


def report_known(world: World, pairs: TrainingPairs, name: str) -> CounterfactualReport:
    """Evaluate a candidate where the logging policy is known."""
    return evaluate_from_logs(
        pairs,
        world.scores[name],
        examination=CURVE,
        candidates=world.candidates,
        propensity=world.propensity,
    )


def rows_of_log(world: World, pairs: TrainingPairs) -> NDArray[np.int64]:
    """Row of the judged lists that each row of a log shows."""
    place = world.catalogue.select("feature_id").with_row_index("row")
    shown = pl.DataFrame({"feature_id": pairs.document_id})
    found = shown.join(place, on="feature_id", how="left", maintain_order="left")
    return found["row"].to_numpy().astype(np.int64)


def measure(world: World, sessions: int, logs: int) -> dict[str, Any]:
    """Return errors and coverage by policy, candidate and estimator over `logs` logs."""
    production = float(np.mean([world.value(scores) for scores in world.rankings.T]))
    found: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for log in range(logs):
        pairs = log_of(world, world.rankings, sessions, SEED + log)
        rows = rows_of_log(world, pairs)
        unseen = np.bincount(rows, minlength=len(world.judged)) == 0
        for name, scores in world.scores.items():
            truth = world.value(scores)
            known = report_known(world, pairs, name)
            add(found, "known policy", name, known, truth, truth - production)
            # What the log never showed cannot be ranked: last, and beyond the ten of interest.
            shown = world.value(np.where(unseen, scores.min() - 1, scores))
            estimated = evaluate_from_logs(pairs, scores[rows], examination=CURVE)
            add(found, "estimated policy", name, estimated, shown, shown - production)
    return {
        policy: {
            name: {estimator: summary(np.array(errors)) for estimator, errors in each.items()}
            for name, each in candidates.items()
        }
        for policy, candidates in found.items()
    }


def add(
    found: dict[str, Any],
    policy: str,
    name: str,
    report: CounterfactualReport,
    truth: float,
    gain: float,
) -> None:
    """Note error, truth and whether the interval holds it, for every estimator and the gain."""
    cells = found.setdefault(policy, {}).setdefault(name, {})
    for estimator in ESTIMATORS:
        estimate = report.candidate[estimator]
        low, high = estimate.interval or (np.nan, np.nan)
        cells.setdefault(estimator, []).append(
            [estimate.value - truth, truth, low <= truth <= high]
        )
    cells.setdefault("model alone", []).append([report.modelled - truth, truth, np.nan])
    low, high = report.gain.interval or (np.nan, np.nan)
    cells.setdefault("gain", []).append([report.gain.value - gain, gain, low <= gain <= high])


def summary(errors: Floats) -> dict[str, float]:
    """Return truth, bias, its standard error, root mean square error and coverage."""
    error = errors[:, 0]
    return {
        "truth": float(errors[:, 1].mean()),
        "bias": float(error.mean()),
        "bias_error": float(error.std(ddof=1) / np.sqrt(len(error))),
        "rmse": float(np.sqrt((error**2).mean())),
        "coverage": float(errors[:, 2].mean()),
    }


def other_models(world: World, sessions: int, logs: int = 5) -> dict[str, Any]:
    """Return estimated and true values where the position-based assumption does not hold."""
    result: dict[str, Any] = {}
    for model in ("trust", "dbn"):
        production = float(np.mean([world.value(each, model) for each in world.rankings.T]))
        for log in range(logs):
            pairs = log_of(world, world.rankings, sessions, SEED + 500 + log, model)
            for name, scores in world.scores.items():
                report = report_known(world, pairs, name)
                truth = world.value(scores, model)
                cell = [report.candidate["doubly_robust"].value, truth]
                gains = [report.gain.value, truth - production]
                result.setdefault(model, {}).setdefault(name, []).append(cell + gains)
    return {
        model: {name: np.mean(cells, axis=0).tolist() for name, cells in each.items()}
        for model, each in result.items()
    }


def deterministic(world: World, sessions: int) -> dict[str, str | None]:
    """Return the statements on a log of one ranker: all candidates given, and the log alone."""
    pairs = log_of(world, one_ranker(world.judged), sessions, SEED)
    rows = rows_of_log(world, pairs)
    good = world.scores["good"]
    reports = {
        "all candidates": evaluate_from_logs(
            pairs, good, examination=CURVE, candidates=world.candidates
        ),
        "the log alone": evaluate_from_logs(pairs, good[rows], examination=CURVE),
        "the log alone, its own curve": evaluate_from_logs(pairs, good[rows]),
    }
    return {
        name: report.statement if report.gain.interval is None else None
        for name, report in reports.items()
    }


def judge(measured: dict[str, Any], statements: dict[str, str | None]) -> dict[str, bool]:
    """Return every bound and whether it holds."""
    verdicts = {}
    for policy, candidates in measured.items():
        for name, cells in candidates.items():
            where = f"{policy}, {name}"
            for estimator in ("doubly_robust", "gain"):
                held = COVERAGE[0] <= cells[estimator]["coverage"] <= COVERAGE[1]
                verdicts[f"{where}: coverage of {estimator} in {COVERAGE}"] = held
            ratio = cells["doubly_robust"]["rmse"] / min(
                cells[estimator]["rmse"] for estimator in ("ips", "snips")
            )
            verdicts[f"{where}: RMSE over the better of IPS and SNIPS {ratio:.3f}"] = bool(
                ratio <= RMSE_RATIO
            )
    for name, statement in statements.items():
        verdicts[f"one ranker, {name}: a statement instead of intervals"] = statement is not None
    return verdicts


def print_measured(measured: dict[str, Any]) -> None:
    """Print one table a policy."""
    for policy, candidates in measured.items():
        print(f"\n{policy}")
        print(
            f"{'candidate':<10}{'estimator':<15}{'truth':>8}{'bias':>9}{'+-':>8}{'RMSE':>8}"
            f"{'coverage':>10}"
        )
        for name, cells in candidates.items():
            for estimator, cell in cells.items():
                held = f"{cell['coverage']:.0%}" if np.isfinite(cell["coverage"]) else "-"
                print(
                    f"{name:<10}{estimator:<15}{cell['truth']:>8.4f}{cell['bias']:>+9.4f}"
                    f"{cell['bias_error']:>8.4f}{cell['rmse']:>8.4f}{held:>10}"
                )


def print_others(models: dict[str, Any]) -> None:
    """Print what the estimates are worth where their assumption is broken."""
    print("\nother click models, policy known: doubly robust estimate, truth; gain, true gain")
    for model, candidates in models.items():
        for name, (value, truth, gain, true_gain) in candidates.items():
            print(f"{model:<10}{name:<10}{value:8.4f}{truth:8.4f}{gain:+9.4f}{true_gain:+9.4f}")


def main() -> int:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--logs", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    world = make_world(options.data)
    smallest = float(world.propensity.min())
    about = versions()
    print(", ".join(f"{name} {version}" for name, version in about.items()), "; 1 thread")
    print(
        f"{options.logs} logs of {options.sessions:,} executions, {world.judged.n_executions} "
        f"queries; smallest propensity {smallest:.4f}; 90 % intervals"
    )
    measured = measure(world, options.sessions, options.logs)
    print_measured(measured)
    models = other_models(world, options.sessions)
    print_others(models)
    statements = deterministic(world, options.sessions)
    for name, statement in statements.items():
        print(f"\none deterministic ranker, {name}: {statement or 'AN INTERVAL'}")
    verdicts = judge(measured, statements)
    verdicts[f"smallest propensity {smallest:.4f}"] = smallest >= LEAST_PROPENSITY
    print()
    for name, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {name}")
    if options.out:
        result = {
            "versions": about,
            "logs": options.logs,
            "sessions": options.sessions,
            "measured": measured,
            "other_models": models,
            "statements": statements,
            "verdicts": verdicts,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
