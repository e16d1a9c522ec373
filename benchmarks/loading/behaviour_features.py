"""Behaviour features: what they cost beside `load_pairs`, and what they bring where tastes change.

Cost: CPU time, wall time and peak memory of `behaviour_features` (document, query-document and
user-document over 4 windows) and of `load_pairs` on the same simulated files, each in a process of
its own. Ends with 1 if the first takes more than 3 times the CPU time of the second.

Gain: a simulated world with 40 queries of 20 documents. A document is relevant with the probability
sigmoid(features + popularity - 1), where popularity is a random walk over days (standard deviation
1.5, correlation .93 from day to day), and unseen by the features. Production ranks by a noisy score
of the features and shows ten; clicks follow the position-based model. Rankers learn from the first
days and rank all documents of every query on each later day, by `as_of` tables of that midnight;
judged by NDCG@10 with the true grades of the day. Rivals: no behaviour features, and clicks by
examination of the whole training log joined by document, which is what a look-ahead gives.

    python benchmarks/loading/behaviour_features.py --cost --rows 1 10
    python benchmarks/loading/behaviour_features.py --gain --seeds 0 1 2 3 4
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from load_pairs import make_files, peak_memory
from scipy.special import expit
from scipy.stats import t as student

from rankloom.datasets import behaviour_features, canonical_query, load_pairs
from rankloom.ltr import Ranker
from rankloom.ltr.metrics.ranking import ndcg

MAX_RATIO = 3.0
QUERIES, DOCUMENTS, SHOWN = 40, 20, 10
DAYS, TRAIN_DAYS = 60, 48
CORRELATION, POPULARITY = 0.93, 1.5
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CURVE = 1 / np.arange(1, SHOWN + 1) ** 0.7
FEATURES = ["f0", "f1", "f2"]
JOBS = {
    "load_pairs": load_pairs,
    "behaviour_features": lambda files: behaviour_features(files, examination=CURVE),
}


def contend(name: str, files: list[str]) -> dict[str, float]:
    """Run one of the jobs in this process, with everything compiled beforehand."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.parquet"
        pl.scan_parquet(files[0]).head(5_000).collect().write_parquet(small)
        JOBS[name]([str(small)])
    wall, cpu = time.perf_counter(), time.process_time()
    JOBS[name](files)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "peak_gb": peak_memory()}


def cost(sizes: list[float], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the jobs at every size, alternating, and print medians."""
    results: dict[str, dict[str, dict[str, float]]] = {}
    for millions in sizes:
        with tempfile.TemporaryDirectory() as folder:
            files = make_files(Path(folder), millions, users=True)
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in JOBS}
            for name in [*JOBS] * rounds:
                runs[name].append(in_a_process(name, files))
        medians = {
            name: {key: statistics.median(run[key] for run in found) for key in found[0]}
            for name, found in runs.items()
        }
        print(f"\n{millions:g} M rows\n{'':20s}{'wall s':>9s}{'CPU s':>9s}{'peak GB':>9s}")
        for name, found in medians.items():
            print(f"{name:20s}{found['wall']:9.2f}{found['cpu']:9.2f}{found['peak_gb']:9.2f}")
        print(f"CPU ratio {ratio(medians):.2f}")
        results[f"{millions:g}"] = medians
    if len(sizes) > 1:
        cpu = [results[f"{size:g}"]["behaviour_features"]["cpu"] for size in (sizes[0], sizes[-1])]
        slope = np.log(cpu[1] / cpu[0]) / np.log(sizes[-1] / sizes[0])
        print(f"CPU time grows with exponent {slope:.3f}")
    return results


def ratio(medians: dict[str, dict[str, float]]) -> float:
    """Return the CPU time of the features by that of the loader."""
    return medians["behaviour_features"]["cpu"] / medians["load_pairs"]["cpu"]


def in_a_process(name: str, files: list[str]) -> dict[str, float]:
    """Run a job in a fresh interpreter: peak memory is a process's."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", name, *files],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


class World:
    """Documents whose popularity drifts, and a log of what production showed of them."""

    def __init__(self, seed: int, executions: int) -> None:
        rng = np.random.default_rng(seed)
        size = QUERIES * DOCUMENTS
        self.X = rng.normal(size=(size, len(FEATURES)))
        popularity = np.empty((DAYS, size))
        popularity[0] = rng.normal(size=size)
        for day in range(1, DAYS):
            step = rng.normal(size=size) * np.sqrt(1 - CORRELATION**2)
            popularity[day] = CORRELATION * popularity[day - 1] + step
        logit = self.X @ [1.0, 0.7, 0.0] + POPULARITY * popularity - 1
        self.relevance = expit(logit).reshape(DAYS, QUERIES, DOCUMENTS)
        self.log = self._log(rng, executions)

    def _log(self, rng: np.random.Generator, executions: int) -> pl.DataFrame:
        hour = np.sort(rng.uniform(0, 24 * DAYS, executions))
        query, day = rng.integers(0, QUERIES, executions), (hour // 24).astype(int)
        score = (self.X @ [1.0, 0.0, 0.5]).reshape(QUERIES, DOCUMENTS)[query]
        score += rng.normal(size=score.shape)
        shown = np.argsort(-score, axis=1)[:, :SHOWN]
        chance = CURVE * np.take_along_axis(self.relevance[day, query], shown, axis=1)
        clicked = rng.random(chance.shape) < chance
        impressions = pl.DataFrame(
            {
                "execution_id": np.repeat(np.arange(executions), SHOWN),
                "feature_id": (query[:, None] * DOCUMENTS + shown).ravel(),
                "position": np.tile(np.arange(SHOWN), executions),
                "hour": np.repeat(hour, SHOWN),
                "query_snapshot": np.repeat(query, SHOWN),
                "clicked": clicked.ravel(),
            }
        )
        clicks = impressions.filter("clicked").with_columns(pl.col("hour") + 0.02)
        rows = pl.concat([impressions.with_columns(clicked=False), clicks]).with_columns(
            pl.concat_str(pl.lit("q"), "query_snapshot").alias("query_snapshot"),
            pl.col("execution_id", "feature_id").cast(pl.String),
            occurred_at=pl.lit(START) + pl.duration(microseconds=pl.col("hour") * 3.6e9),
            interaction_type=pl.when("clicked")
            .then(pl.lit(["click"]))
            .otherwise(pl.lit(["impression"])),
        )
        return rows.drop("hour", "clicked")

    def documents(self) -> pl.DataFrame:
        """Return the features that do not change."""
        ids = pl.Series("feature_id", np.arange(len(self.X))).cast(pl.String)
        return pl.DataFrame(self.X, schema=FEATURES).with_columns(ids)

    def judge(self, ranker: Ranker, table: object) -> float:
        """Return the mean NDCG@10 over the later days; `table(day, query, ids)` has features."""
        values = []
        for day in range(TRAIN_DAYS, DAYS):
            relevance = self.relevance[day]
            grades = np.digitize(relevance, [0.3, 0.5, 0.7, 0.85]).astype(float)
            parts = [table(day, query) for query in range(QUERIES)]
            scores = ranker.predict(pl.concat(parts))
            group = np.full(QUERIES, DOCUMENTS)
            values.append(np.nanmean(ndcg(grades.ravel(), scores, group, k=SHOWN)))
        return float(np.mean(values))


def at(day: int) -> dt.datetime:
    """Return the midnight with which a day begins."""
    return START + dt.timedelta(days=day)


def gain_of(seed: int, executions: int, modes: list[str]) -> dict[str, dict[str, float]]:
    """Return NDCG@10 by mode and by what the ranker knows of past behaviour."""
    world = World(seed, executions)
    documents = world.documents()
    train = world.log.filter(pl.col("occurred_at") < at(TRAIN_DAYS))
    behaviour = behaviour_features(train, examination=CURVE).join(documents, on="feature_id")
    position = pl.col("position").replace_strict(dict(enumerate(CURVE)), return_dtype=pl.Float64)
    is_click = pl.col("interaction_type").list.contains("click")
    whole = train.group_by("feature_id").agg(
        rate_of_log=is_click.sum() / position.filter(~is_click).sum()
    )
    looking_ahead = documents.join(whole, on="feature_id", how="left")
    as_of = {
        day: behaviour_features(world.log, examination=CURVE, as_of=at(day))
        for day in range(TRAIN_DAYS, DAYS)
    }

    def static(table: pl.DataFrame) -> object:
        parts = table.with_row_index().with_columns(pl.col("index") // DOCUMENTS)
        return lambda _day, query: parts.filter(pl.col("index") == query).drop("index")

    def served(day: int, query: int) -> pl.DataFrame:
        ids = [str(query * DOCUMENTS + d) for d in range(DOCUMENTS)]
        found = as_of[day].features(ids, query_id=canonical_query(f"q{query}"))
        return found.join(documents, on="feature_id", maintain_order="left")

    contenders = {
        "without": (documents, static(documents)),
        "whole log": (looking_ahead, static(looking_ahead)),
        "behaviour": (behaviour, served),
    }
    found: dict[str, dict[str, float]] = {mode: {} for mode in modes}
    for name, (features, table) in contenders.items():
        pairs = load_pairs(train, features=features, builtin_features=())
        for mode in modes:
            ranker = Ranker(mode, examination=CURVE, n_jobs=1, random_state=seed, progress=False)
            found[mode][name] = world.judge(ranker.fit(pairs), table)
            if name == "behaviour":
                found[mode]["share of gain"] = sum(
                    ranker.training_report_["behaviour_gain"].values()
                )
    return found


def gain(seeds: list[int], executions: int, modes: list[str]) -> dict[str, object]:
    """Print NDCG@10 over seeds, and the gains with 95 % intervals."""
    runs = [gain_of(seed, executions, modes) for seed in seeds]
    results: dict[str, object] = {}
    for mode in modes:
        columns = {name: np.array([run[mode][name] for run in runs]) for name in runs[0][mode]}
        means = ", ".join(f"{name} {values.mean():.4f}" for name, values in columns.items())
        print(f"\n{mode}: {means}")
        for name in ("whole log", "behaviour"):
            difference = columns[name] - columns["without"]
            half = student.ppf(0.975, len(seeds) - 1) * difference.std(ddof=1) / len(seeds) ** 0.5
            print(f"  {name} over without: {difference.mean():+.4f} +- {half:.4f}")
            results[f"{mode}, {name}"] = [float(difference.mean()), float(half)]
    return {"runs": runs, "gains": results}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--gain", action="store_true")
    parser.add_argument("--rows", type=float, nargs="+", default=[1, 10], help="in millions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--executions", type=int, default=20_000)
    parser.add_argument("--modes", nargs="+", default=["none", "pairwise", "auto"])
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--job", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run what was asked for."""
    options = arguments()
    if options.job:
        print(json.dumps(contend(options.job[0], options.job[1:])))
        return 0
    results: dict[str, object] = {}
    slow = False
    if options.cost:
        found = cost(options.rows, options.rounds)
        slow = any(ratio(medians) > MAX_RATIO for medians in found.values())
        results["cost"] = found
    if options.gain:
        results["gain"] = gain(options.seeds, options.executions, options.modes)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=1))
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
