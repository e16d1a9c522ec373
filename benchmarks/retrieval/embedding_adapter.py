"""What `EmbeddingAdapter` gains on held-out queries, where the truth is known.

Two data sets. Simulated embeddings: relevance is q' W d with a known W, production goes by q' d;
the adapter has to find W. MQ2007-agg (../shared/data/mq2007agg) has no embeddings: a document of a
query is its 21 reciprocal ranks 60 / (60 + rank), 0 where a system did not retrieve it, and every
query is the same vector of ones, so that the identity is reciprocal rank fusion of all systems and
the map can only learn weights of systems.

Printed: NDCG@10 by true grades of held-out queries, over all their candidates, of the embeddings as
they are, mapped, mapped by the same adapter from clicked against skipped-above triplets, and by
the true map; the gain that the adapter states with its interval; the gain in the same measure, DCG
over the documents shown, by true relevance; and how often the interval holds it.

    python benchmarks/retrieval/embedding_adapter.py --out adapter.json
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
import polars as pl
from embedding_world import make_world
from rival_triplets import clicked_against

sys.path.append(str(Path(__file__).resolve().parents[1] / "ranking"))  # the protocol is shared
from letor_protocol import (
    DEFAULT_DATA,
    TRAIN,
    catalogue_of,
    load_parts,
    log_of,
    versions,
    weak_rankers,
)

from rankloom.datasets import relevance_of_grade, split_by_query, split_by_time
from rankloom.datasets.loading.load_pairs import load_pairs
from rankloom.retrieval import EmbeddingAdapter, training_triplets
from rankloom.retrieval.embedding_adapter.held_out_gain import HeldOutDocuments

if TYPE_CHECKING:
    from rankloom.datasets import TrainingPairs
    from rankloom.retrieval import TrainingTriplets

WORLDS = ("identity", "weights", "rotation", "low rank")
LOWEST = 0.1
"""Click probability of an examined document of grade 0 in the simulations; the highest is 1."""


def true_gain(
    triplets: TrainingTriplets, adapter: EmbeddingAdapter, vectors: Any, grade: dict[Any, int]
) -> float:
    """Return the gain over the documents shown by their true P(click | examined).

    Of the map that was learnt: only where it passed is it the adapter's.
    """
    assert triplets.held_out is not None
    (words, q), (ids, d) = vectors
    row = {word: i for i, word in enumerate(words)}, {name: i for i, name in enumerate(ids)}
    shown = triplets.held_out.filter(
        (pl.len().over("query") > 1) & (pl.col("clicks").sum().over("query") > 0)
    ).sort("query", "document_id")
    x = q[[row[0][word] for word in shown["query"]]]
    y = d[[row[1][name] for name in shown["document_id"]]]
    keys = zip(shown["query"], shown["document_id"], strict=True)
    grades = np.array([grade[key] for key in keys])
    relevance = LOWEST + (1 - LOWEST) * relevance_of_grade(grades, max_grade=max(grade.values()))
    documents = HeldOutDocuments(shown["query"].rle_id().to_numpy().astype(np.int64), relevance)
    before, after = (
        documents.dcg(np.einsum("ij,ij->i", left, y), adapter.k)
        for left in (x, x @ adapter.matrix_)
    )
    return float((after - before).mean())


def naive(triplets: TrainingTriplets, pairs: TrainingPairs) -> TrainingTriplets:
    """Return the same held-out part with clicked against skipped above to learn from."""
    earlier, _ = split_by_time(pairs)
    learning, _ = split_by_query(replace(earlier, queries=words_of(pairs)))
    frame = clicked_against(learning, above=True).with_columns(query="query_id")
    return replace(triplets, frame=frame)


def words_of(pairs: TrainingPairs) -> pl.Series:
    """Return the queries' words, by which parts are split."""
    return pairs.queries.str.extract(r'"query":"([^"]*)"').fill_null(pairs.queries)


def fitted(triplets: TrainingTriplets, vectors: Any, rank: int | None) -> tuple[Any, float]:
    """Return an adapter, and the CPU seconds of its fit."""
    start = time.process_time()
    queries, documents = vectors
    adapter = EmbeddingAdapter(rank=rank).fit(triplets, queries=queries, documents=documents)
    return adapter, time.process_time() - start


def measure(
    pairs: TrainingPairs, vectors: Any, grade: dict[Any, int], ndcg: Any, rank: int | None
) -> dict[str, Any]:
    """Return what the adapter gains on one log; `ndcg`: of a matrix and a set of queries."""
    triplets = training_triplets(pairs)
    adapter, seconds = fitted(triplets, vectors, rank)
    other, _ = fitted(naive(triplets, pairs), vectors, rank)
    assert triplets.held_out is not None
    words = set(triplets.held_out["query"])
    low, high = adapter.gain_.interval
    truth = true_gain(triplets, adapter, vectors, grade)
    return {
        "triplets": adapter.n_triplets_,
        "identity": adapter.is_identity_,
        "as it is": ndcg(np.eye(len(adapter.matrix_)), words),
        "adapted": ndcg(adapter.matrix_, words),
        "skipped above": ndcg(other.matrix_, words),
        "gain": adapter.gain_.gain,
        "interval": [low, high],
        "true gain": truth,
        "held": None if adapter.is_identity_ else bool(low <= truth <= high),
        "cpu": seconds,
    }


def simulated(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure simulated embeddings."""
    results = []
    for kind in WORLDS:
        for executions in options.executions:
            runs = []
            for seed in range(options.seeds):
                world = make_world(kind, executions, seed)
                grade = {(q, d): g for q, d, g, _ in world.catalogue.iter_rows()}
                vectors = world.queries, world.documents
                pairs = load_pairs(world.log, builtin_features=())
                run = measure(pairs, vectors, grade, world.ndcg, options.rank)
                held_out = set(world.queries[0])
                runs.append({**run, "true map": world.ndcg(world.true_map, held_out)})
            results.append({"world": kind, "executions": executions, "runs": runs})
            show(results[-1])
    return results


def letor(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure weights of the 21 systems of MQ2007-agg."""
    judged = load_parts(options.data, TRAIN)
    catalogue = catalogue_of(judged)
    ranks = catalogue.drop("query", "feature_id", "grade").to_numpy()
    d = np.nan_to_num(60 / (60 + ranks)).astype(np.float32)
    words = catalogue["query"].unique(maintain_order=True).to_list()
    vectors = (words, np.ones((len(words), d.shape[1]), np.float32)), (catalogue["feature_id"], d)
    keys = zip(catalogue["query"], catalogue["feature_id"], catalogue["grade"], strict=True)
    grade = {(query, document): g for query, document, g in keys}

    def ndcg(matrix: Any, some: set[str]) -> float:
        scores = pl.Series(d @ matrix.sum(axis=0))
        frame = catalogue.select("query", "grade").with_columns(score=scores)
        found = []
        for (query,), part in frame.group_by("query"):
            gains = 2.0 ** part["grade"].to_numpy() - 1
            if query not in some or not gains.any():
                continue
            discount = 1 / np.log2(np.arange(2, 12))[: len(gains)]
            order = np.argsort(-part["score"].to_numpy(), kind="stable")[:10]
            found.append(gains[order] @ discount / (np.sort(gains)[::-1][:10] @ discount))
        return float(np.mean(found))

    runs = []
    for seed in range(options.seeds):
        pairs = log_of(judged, weak_rankers(judged, seed), options.sessions, seed)
        runs.append(measure(pairs, vectors, grade, ndcg, options.rank))
    results = {"world": "MQ2007-agg", "executions": options.sessions, "runs": runs}
    show(results)
    return [results]


def show(result: dict[str, Any]) -> None:
    """Print one world: means over seeds, each seed's gain."""
    runs = result["runs"]
    print(f"\n{result['world']}, {result['executions']:,} executions, {len(runs)} seeds")
    for name in ("as it is", "adapted", "skipped above", "true map"):
        if name in runs[0]:
            print(f"  NDCG@10 {name:15s}{np.mean([run[name] for run in runs]):.4f}")
    learnt = [run for run in runs if not run["identity"]]
    print(f"  {len(runs) - len(learnt)} of {len(runs)} fell back to the identity")
    for run in runs:
        low, high = run["interval"]
        state = "identity" if run["identity"] else f"true {run['true gain']:+.3f}"
        print(
            f"  {run['triplets']:>7,} triplets, gain {run['gain']:+.3f} "
            f"({low:+.3f} to {high:+.3f}), {state}, {run['cpu']:.1f} s",
            flush=True,
        )


def main() -> int:
    """Run the benchmark; return 1 if an adapter that passed is worse than the embeddings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--executions", type=int, nargs="+", default=[10_000, 40_000])
    parser.add_argument("--sessions", type=int, default=20_000, help="of MQ2007-agg")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = [*letor(options), *simulated(options)]
    if options.out:
        options.out.write_text(json.dumps({"versions": versions(), "results": results}))
    runs = [run for result in results for run in result["runs"]]
    worse = sum(run["adapted"] < run["as it is"] - 1e-6 for run in runs)
    held = [run["held"] for run in runs if run["held"] is not None]
    print(f"\nworse than the embeddings: {worse} of {len(runs)}")
    print(f"intervals that hold the true gain: {sum(held)} of {len(held)}")
    return bool(worse)


if __name__ == "__main__":
    raise SystemExit(main())
