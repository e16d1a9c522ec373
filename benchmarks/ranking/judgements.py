"""Judgements and clicks together on a log of a few head queries and many tail queries.

World: `simulate_catalogue`, 30 candidates a query; 40 head, 100 torso and 400 tail queries are
shown 300, 25 and 2 times each in the mean, ten documents a list by three production rankers, clicks
by the position-based model. A labeller grades every candidate: with the stated accuracy by the true
grade (0 to 4), else by another one at random; at 0.2 it is random.

Metric: NDCG@10 of true grades (gain 2^grade - 1), in percent. For logged queries, by band, the
order by what is known of their documents: clicks alone and both together by `judgment_list` (where
it holds no candidate, that comes last), labels alone by the better of the labels themselves, ties
by a lambdarank learnt from them, and of that lambdarank. For 300 queries that were never shown,
rankers: lambdarank on the labels, "auto" on clicks alone and on both. Rows "..., ranker" are the
scores of these rankers on the logged queries, which they were trained on, and "..., memory" those
that `Ranker.rank` gives with a `QueryMemory` of the same pairs.

usage: judgements.py [--seeds N ...] [--accuracy P ...]
exit code: 0 if, at an accuracy of 0.8, both together are at most 0.3 below the better of the two in
every band and above both over all queries, as a list and as ranker with memory beside rankers
alone, and a random labeller costs at most 0.3; else 1
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import polars as pl

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr import QueryMemory, Ranker, judgment_list
from rankloom.ltr.metrics.ranking import ndcg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rankloom.datasets import TrainingPairs

    Floats = NDArray[np.float64]
    Table = dict[str, dict[str, float]]

BANDS = {"head": (40, 300), "torso": (100, 25), "tail": (400, 2)}
COLUMNS = (*BANDS, "all", "new")
NEW_QUERIES = 300
TOLERANCE = 0.3
RIGHT, RANDOM = 0.8, 0.2
OPTIONS: dict[str, Any] = {"n_jobs": 1, "progress": False}


def world(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the catalogue with the band of every query, and the log."""
    size = sum(queries for queries, _ in BANDS.values())
    catalogue = simulate_catalogue(n_queries=size, n_channels=0, random_state=seed)
    names = catalogue["query"].unique(maintain_order=True)
    band = [name for name, (queries, _) in BANDS.items() for _ in range(queries)]
    banded = catalogue.with_columns(
        pl.col("query").replace_strict(names, pl.Series(band)).alias("band")
    )
    logs = [
        simulate_interactions(
            banded.filter(pl.col("band") == name).drop("band"),
            n_executions=queries * times,
            interactions="clicks",
            random_state=seed,
            id_prefix=name,
        )
        for name, (queries, times) in BANDS.items()
    ]
    return banded, pl.concat(logs)


def labels(catalogue: pl.DataFrame, accuracy: float, seed: int) -> pl.DataFrame:
    """Return the labeller's grades of all documents."""
    generator = np.random.default_rng(seed)
    true = catalogue["grade"].to_numpy()
    other = (true + generator.integers(1, 5, len(true))) % 5
    given = np.where(generator.random(len(true)) < accuracy, true, other)
    source = pl.lit("labeller").alias("source")
    return catalogue.select("query", "feature_id", source).with_columns(pl.Series("grade", given))


def features(catalogue: pl.DataFrame) -> NDArray[np.float32]:
    """Return the features of all documents."""
    return catalogue.select(pl.col("^f[0-9]+$")).to_numpy().astype(np.float32)


def mean_ndcg(catalogue: pl.DataFrame, scores: Any) -> dict[str, float]:
    """Return mean NDCG@10 in each band and overall; rows are ordered by query."""
    queries = catalogue.group_by("query", maintain_order=True).agg(pl.len(), pl.col("band").first())
    found = 100 * ndcg(catalogue["grade"].to_numpy(), scores, queries["len"].to_numpy(), k=10)
    band = queries["band"].to_numpy()
    means = {name: float(np.nanmean(found[band == name])) for name in np.unique(band)}
    return {**means, "all": float(np.nanmean(found))}


def order(catalogue: pl.DataFrame, pairs: TrainingPairs) -> Floats:
    """Return the relevance of every candidate by the pairs' judgement list."""
    known = judgment_list(pairs, ranker=Ranker(**OPTIONS)).frame
    joined = catalogue.join(known, on="feature_id", how="left", maintain_order="left")
    return joined["relevance"].fill_null(-1.0).to_numpy()


def remembered(catalogue: pl.DataFrame, pairs: TrainingPairs, ranker: Ranker) -> Floats:
    """Return the scores of every candidate by the ranker with a memory, query by query."""
    memory = QueryMemory().fit(pairs, prior=ranker)
    scores = ranker.predict(features(catalogue))
    ids, names = catalogue["feature_id"].to_list(), catalogue["query"].to_list()
    sizes = catalogue.group_by("query", maintain_order=True).len()["len"].to_numpy()
    ends = np.cumsum(sizes)
    return np.concatenate(
        [
            memory.rescore(names[start], ids[start:end], scores[start:end])
            for start, end in zip(ends - sizes, ends, strict=True)
        ]
    )


def learnt_from(catalogue: pl.DataFrame, given: pl.DataFrame) -> lightgbm.Booster:
    """Return a lambdarank with the ranker's own settings, learnt from the labels alone."""
    settings = {
        "objective": "lambdarank",
        "num_leaves": 15,
        "learning_rate": 0.05,
        "min_data_in_leaf": 50,
        "lambdarank_truncation_level": 10,
        "num_threads": 1,
        "verbosity": -1,
    }
    group = catalogue.group_by("query", maintain_order=True).len()["len"].to_numpy()
    data = lightgbm.Dataset(features(catalogue), given["grade"].to_numpy(), group=group)
    return lightgbm.train(settings, data, 150)


def measure(seed: int, accuracy: float) -> Table:
    """Return NDCG by method and column."""
    catalogue, log = world(seed)
    given = labels(catalogue, accuracy, seed)
    table = catalogue.drop("query", "grade", "band")
    new = simulate_catalogue(n_queries=NEW_QUERIES, n_channels=0, random_state=1000 + seed)
    new = new.with_columns(pl.lit("head").alias("band"))
    found: Table = {}
    for name, judged in (("clicks", None), ("both", given)):
        pairs = load_pairs(log, features=table, builtin_features=(), judgments=judged)
        ranker = Ranker(**OPTIONS).fit(pairs)
        found[name] = mean_ndcg(catalogue, order(catalogue, pairs))
        found[name]["new"] = mean_ndcg(new, ranker.predict(features(new)))["all"]
        found[f"{name}, ranker"] = mean_ndcg(catalogue, ranker.predict(features(catalogue)))
        found[f"{name}, memory"] = mean_ndcg(catalogue, remembered(catalogue, pairs, ranker))
    booster = learnt_from(catalogue, given)
    scores = booster.predict(features(catalogue))
    # Grades are whole numbers, and the ranks of scores below 1 break their ties.
    ties = np.argsort(np.argsort(scores)) / len(scores)
    candidates = mean_ndcg(catalogue, scores), mean_ndcg(catalogue, given["grade"] + ties)
    found["labels"] = dict(max(candidates, key=lambda each: each["all"]))
    found["labels"]["new"] = mean_ndcg(new, booster.predict(features(new)))["all"]
    found["labels, ranker"] = candidates[0]
    return found


def report(accuracy: float, tables: list[Table]) -> bool:
    """Print means over the seeds; return whether the bounds hold."""
    means = {
        name: {c: float(np.mean([t[name][c] for t in tables])) for c in row}
        for name, row in tables[0].items()
    }
    print(f"labeller right {accuracy:.0%}, {len(tables)} seeds")
    print(f"{'':16}" + "".join(f"{column:>8}" for column in COLUMNS))
    for name in sorted(means, key=lambda each: (each.partition(", ")[2], each)):
        values = [means[name].get(column) for column in COLUMNS]
        print(f"{name:16}" + "".join(f"{'' if v is None else f'{v:.2f}':>8}" for v in values))
    if accuracy == RANDOM:
        worst = (means["both"][c] - means["clicks"][c] for c in COLUMNS)
        served = (means["both, memory"][c] - means["clicks, memory"][c] for c in (*BANDS, "all"))
        return all(each >= -TOLERANCE for each in (*worst, *served))
    if accuracy != RIGHT:
        return True
    lists, rankers = ("clicks", "labels"), ("clicks, ranker", "labels, ranker")
    held = _blends(means, "both", lists, "all") and _blends(means, "both, memory", rankers, "all")
    return held and all(means["both"]["new"] > means[name]["new"] for name in lists)


def _blends(means: Table, name: str, alone: tuple[str, ...], overall: str) -> bool:
    """Return whether a row is about as good as the better one in each band, and better overall."""
    best = {c: max(means[each][c] for each in alone) for c in (*BANDS, overall)}
    in_bands = all(means[name][c] >= best[c] - TOLERANCE for c in BANDS)
    return in_bands and means[name][overall] > best[overall]


def main() -> int:
    """Run all seeds at every accuracy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--accuracy", type=float, nargs="+", default=[RIGHT, RANDOM])
    options = parser.parse_args()
    held = [
        report(accuracy, [measure(seed, accuracy) for seed in options.seeds])
        for accuracy in options.accuracy
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
