"""Rankers on catalogues of the simulator, judged on queries that were logged and on others.

A narrow benchmark flatters: beside the public lists of `unbiased_ltr.py` these are catalogues with
other numbers of queries, documents and features, and other amounts of clicks. Half of a
catalogue's queries are logged by three production rankers; all candidates of the logged queries,
and of the other half, are judged by their true grades (NDCG@10). Compared are every mode of
`Ranker` as the model that `save` writes, the blend that "auto" learns from ("auto, undistilled"),
what "auto" serves with a `QueryMemory` of the same log ("auto, memory"; the same as "auto" for
queries that were not logged), and XGBoost's `lambdarank_unbiased`, all with the settings of
`unbiased_ltr.py`.

usage: simulated_worlds.py [--catalogues NAME ...] [--executions N ...] [--models NAME ...]
                           [--seeds N ...] [--modes NAME ...] [--threads N] [--out JSON]
exit code: 0 if "auto" is within 0.2 points of the blend that it learns from in every world, for
logged queries with its memory
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from letor_protocol import SHOWN, versions
from rivals import xgboost_unbiased
from simulated_log import World, mean_ndcg

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr import QueryMemory, held_out_scores
from rankloom.ltr.debias.blend import blended

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rankloom.datasets import TrainingPairs
    from rankloom.ltr import Ranker

CATALOGUES = {
    "small": {"n_queries": 400, "n_documents": 30, "n_features": 8},
    "many queries": {"n_queries": 2_000, "n_documents": 20, "n_features": 20},
}
MODELS = ("pbm", "trust", "cascade")
MODES = ("none", "position", "ips", "pairwise", "click_model", "auto")
BLEND, MEMORY, RIVAL = "auto, undistilled", "auto, memory", "XGBoost unbiased"
MAX_LOSS = 0.2


def judged(catalogue: pl.DataFrame) -> TrainingPairs:
    """Return all candidates of every query with their grades, as one list a query."""
    rows = catalogue.with_columns(
        execution_id=pl.col("query"),
        query_snapshot=pl.col("query"),
        interaction_type=pl.lit("impression"),
        position=pl.int_range(pl.len()).over("query"),
    )
    types = {f"grade{grade}": grade for grade in range(5)}
    graded = rows.filter(pl.col("grade") > 0).with_columns(
        interaction_type=pl.format("grade{}", "grade")
    )
    features = catalogue.select("feature_id", "^f\\d+$")
    columns = ["execution_id", "feature_id", "query_snapshot", "interaction_type", "position"]
    log = pl.concat([rows.select(columns), graded.select(columns)])
    return load_pairs(log, features=features, builtin_features=(), grades=types)


def make(options: argparse.Namespace, name: str, model: str, size: int, seed: int) -> World:
    """Simulate one log over half of the queries of a catalogue."""
    catalogue = simulate_catalogue(**CATALOGUES[name], n_channels=0, random_state=seed)
    half = catalogue["query"].unique(maintain_order=True)[::2]
    logged = catalogue.filter(pl.col("query").is_in(half.implode()))
    others = catalogue.filter(~pl.col("query").is_in(half.implode()))
    log = simulate_interactions(
        logged, n_executions=size, click_model=model, interactions="clicks", random_state=seed
    )
    features = catalogue.select("feature_id", "^f\\d+$")
    pairs = load_pairs(log, features=features, builtin_features=())
    return World(pairs, judged(logged), judged(others), np.empty((0, 0)), seed, options.threads)


def run(world: World, modes: list[str]) -> dict[str, dict[str, float]]:
    """Return NDCG@10 of every method on logged and on other queries."""
    test, found = world.test, {}
    scores: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
    for mode in modes:
        leaf = 50 if mode in {"auto", "click_model", "ips"} else world.leaf()
        ranker = world.ranker(mode, leaf).fit(world.pairs)
        scores[mode] = ranker.predict(world.judged), ranker.predict(test)
        if mode == "auto":
            scores[BLEND] = scores[mode]
            scores[MEMORY] = with_memory(ranker, world, scores[mode][0]), scores[mode][1]
            found["trees"] = {"auto": ranker.booster_.num_trees()}
            if ranker.members_:
                lists = world.judged.X, test.X
                scores[BLEND] = tuple(blended(ranker.members_, X, world.threads) for X in lists)
    if RIVAL not in scores:
        world.test = world.judged
        logged = xgboost_unbiased(world)
        world.test = test
        scores[RIVAL] = logged, xgboost_unbiased(world)
    for name, (logged, other) in scores.items():
        found[name] = {
            "logged": mean_ndcg(world.judged, logged),
            "other": mean_ndcg(test, other),
        }
    return found


def with_memory(ranker: Ranker, world: World, scores: NDArray[Any]) -> NDArray[Any]:
    """Return the scores of the candidates of logged queries with a memory of the log.

    As `Ranker.rank` serves them: a memory that is calibrated on production's scores, because the
    ranker falls back to these, is not mixed with the learnt scores that stand in for them here.
    """
    pairs, judged = world.pairs, world.judged
    if ranker.choice_ is not None and ranker.choice_.fall_back:
        return scores
    memory = QueryMemory().fit(pairs, prior=ranker, held_out=held_out_scores(ranker, pairs))
    ids = judged.documents.gather(judged.document_code).to_list()
    queries, offsets = judged.query_id.to_list(), judged.offsets
    return np.concatenate(
        [
            memory.rescore(query, ids[start:end], scores[start:end])
            for query, start, end in zip(queries, offsets, offsets[1:], strict=False)
        ]
    )


def main() -> int:
    """Run, print the table and the verdict, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--catalogues", nargs="+", choices=CATALOGUES, default=list(CATALOGUES))
    parser.add_argument("--executions", type=int, nargs="+", default=[2_000, 6_000, 20_000])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(versions(), f"{options.threads} thread(s), NDCG@{SHOWN} in points")
    results, worst = [], 0.0
    worlds = itertools.product(options.catalogues, options.models, options.executions)
    for name, model, size in worlds:
        runs = [
            run(make(options, name, model, size, seed), options.modes) for seed in options.seeds
        ]
        print(f"\n{name}, {model}, {size:,} executions, {len(runs)} seeds")
        for method in (m for m in runs[0] if m != "trees"):
            means = {k: 100 * np.mean([r[method][k] for r in runs]) for k in ("logged", "other")}
            print(f"  {method:20s} logged {means['logged']:6.2f}   other {means['other']:6.2f}")
            results.append({"world": [name, model, size], "method": method, **means})
        if "auto" in options.modes:
            served = (("auto", "logged"), ("auto", "other"), (MEMORY, "logged"))
            lost = [
                100 * np.mean([r[BLEND][k] - r[method][k] for r in runs]) for method, k in served
            ]
            trees = [r["trees"]["auto"] for r in runs]
            print(
                f"  lost to the blend: {lost[0]:.2f} logged, {lost[2]:.2f} logged with memory, "
                f"{lost[1]:.2f} other; trees {trees}"
            )
            sys.stdout.flush()
            worst = max(worst, *lost[1:])
    print(
        f"\nlargest loss to the blend, logged queries with memory: {worst:.2f} points, at most "
        f"{MAX_LOSS}"
    )
    if options.out:
        options.out.write_text(json.dumps({"versions": versions(), "results": results}, indent=1))
    return int(worst > MAX_LOSS)


if __name__ == "__main__":
    sys.exit(main())
