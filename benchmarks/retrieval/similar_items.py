"""Recommendations from similar items: quality beside implicit and popularity, and cost at scale.

Simulated: 2,000 users with tastes for 2 of 20 clusters, 1,000 documents of one cluster and a
quality each. A user engages with an examined document with probability .02 + .7 taste x quality.
Queries list 40 documents, half of them of one cluster; three production rankers order these by
quality and noise and show ten; position k is examined with probability 1/k. Of the log, the last
fifth is later. Every model gets the clicks as they are and the matrix of `engagement_matrix`, whose
examination is estimated from the log. Judged by recall@20 and NDCG@20 of documents new to the user,
by two truths: "true", engagement drawn for every user and document as if each were examined; and
"later", clicks in the later part of the log, which its positions bias.

MovieLens: the 100,000 ratings that the package recbole ships (`pip install --no-deps recbole`);
ratings of 4 and 5 are engagement, the last fifth of each user's is later.

Every model has a small grid of parameters, from which NDCG@20 on the last fifth of the training
part chooses; then it is fitted on the whole training part.

Scale: 1 M users x 100,000 documents x 20 M entries. Fits alternate with implicit's in one process
(CPU time); peak memory is that of a fresh process each.

    python benchmarks/retrieval/similar_items.py --simulated --seeds 0 1 2 3 4
    python benchmarks/retrieval/similar_items.py --movielens
    python benchmarks/retrieval/similar_items.py --scale
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import sparse
from scipy.stats import t as student

from rankloom.datasets import load_pairs, split_by_time
from rankloom.retrieval import SimilarItems, SimilarUsers, engagement_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Recommend = Callable[[NDArray[np.int64], int], NDArray[np.integer]]

K = 20
USERS, DOCUMENTS, CLUSTERS, QUERIES, LISTED, SHOWN = 2_000, 1_000, 20, 300, 40, 10
EXECUTIONS_PER_USER = 30
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RIVALS = ("implicit cosine", "implicit BM25", "implicit ALS")


@dataclass
class Split:
    """Training matrices by name, the matrices to choose parameters on, and what is judged."""

    train: dict[str, sparse.csr_matrix]
    inner: dict[str, sparse.csr_matrix]
    validation: sparse.csr_matrix
    truths: dict[str, sparse.csr_matrix]


# ---------------------------------------------------------------------------------- contenders


def popularity(X: sparse.csr_matrix) -> Recommend:
    """Recommend what most engagement goes to."""
    total = np.asarray(X.sum(axis=0)).ravel()
    order = np.argsort(-total, kind="stable")

    def recommend(users: NDArray[np.int64], k: int) -> NDArray[np.integer]:
        found = np.full((len(users), k), -1)
        for row, user in enumerate(users):
            seen = X.indices[X.indptr[user] : X.indptr[user + 1]]
            new = order[: k + len(seen)]
            new = new[~np.isin(new, seen)][:k]
            found[row, : len(new)] = new
        return found

    return recommend


def similar(kind: type, X: sparse.csr_matrix, **parameters: Any) -> Recommend:
    """Fit one of rankloom's models."""
    model = kind(**parameters, memory_limit=16e9).fit(X)

    def recommend(users: NDArray[np.int64], k: int) -> NDArray[np.integer]:
        ranked = model.recommend_all(users.tolist(), k)
        row = np.searchsorted(users, ranked["user_id"].to_numpy())
        place = np.arange(len(row)) - np.searchsorted(row, row)
        found = np.full((len(users), k), -1)
        found[row, place] = ranked["feature_id"].to_numpy()
        return found

    return recommend


def implicit_model(name: str, X: sparse.csr_matrix, **parameters: Any) -> Recommend:
    """Fit one of implicit's models."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    if name == "als":
        model = AlternatingLeastSquares(
            **parameters, iterations=15, num_threads=1, random_state=0, use_gpu=False
        )
    else:
        model = (CosineRecommender if name == "cosine" else BM25Recommender)(
            **parameters, num_threads=1
        )
        X = X.astype(np.float64)
    model.fit(X, show_progress=False)
    return lambda users, k: model.recommend(users, X[users], N=k)[0]


def grid(**values: list[Any]) -> list[dict[str, Any]]:
    """Return every combination of parameters."""
    return [dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())]


CONTENDERS: dict[str, tuple[Callable[..., Recommend], list[dict[str, Any]]]] = {
    "popularity": (popularity, [{}]),
    "implicit cosine": (
        lambda X, **p: implicit_model("cosine", X, **p),
        grid(K=[20, 100, 300]),
    ),
    "implicit BM25": (
        lambda X, **p: implicit_model("bm25", X, **p),
        grid(K=[20, 100, 300], B=[0.2, 0.75]),
    ),
    "implicit ALS": (
        lambda X, **p: implicit_model("als", X, **p),
        grid(factors=[16, 32, 64], regularization=[0.1, 10.0], alpha=[1.0, 10.0]),
    ),
    "SimilarItems cosine": (
        lambda X, **p: similar(SimilarItems, X, method="cosine", **p),
        grid(n_neighbours=[20, 100, 300]),
    ),
    "SimilarItems BM25": (
        lambda X, **p: similar(SimilarItems, X, method="bm25", **p),
        grid(n_neighbours=[20, 100, 300], b=[0.2, 0.75]),
    ),
    "SimilarItems EASE": (
        lambda X, **p: similar(SimilarItems, X, method="ease", **p),
        grid(n_neighbours=[300], regularization=[0.3, 1.0, 3.0, 10.0, 30.0]),
    ),
    "SimilarItems low rank": (
        lambda X, **p: similar(SimilarItems, X, method="low_rank", n_neighbours=1_000, **p),
        grid(rank=[12, 16, 24, 32, 48]),
    ),
    "SimilarUsers BM25": (
        lambda X, **p: similar(SimilarUsers, X, method="bm25", **p),
        grid(n_neighbours=[50, 200, 500]),
    ),
}


# ------------------------------------------------------------------------------------- judging


def judged(X: sparse.csr_matrix, truth: sparse.csr_matrix) -> tuple[Any, sparse.csr_matrix]:
    """Return users with both a history and something new that they engage with, and the latter."""
    new = sparse.csr_matrix(truth - truth.multiply(X > 0))
    new.eliminate_zeros()
    users = np.flatnonzero((np.diff(X.indptr) > 0) & (np.diff(new.indptr) > 0))
    return users, new


def metrics(
    recommend: Recommend, X: sparse.csr_matrix, truth: sparse.csr_matrix
) -> NDArray[np.float64]:
    """Return recall@20 (hits / min(20, new ones)) and NDCG@20 of every judged user."""
    users, new = judged(X, truth)
    found = np.asarray(recommend(users, K))
    discount = 1 / np.log2(np.arange(2, K + 2))
    row = np.repeat(users, found.shape[1])
    hit = (np.asarray(new[row, found.ravel()]).reshape(found.shape) > 0) & (found >= 0)
    best = np.minimum(K, np.diff(new.indptr)[users])
    ideal = np.cumsum(discount)[best - 1]
    return np.stack([hit.sum(axis=1) / best, hit @ discount[: hit.shape[1]] / ideal])


def contend(split: Split) -> dict[str, dict[str, Any]]:
    """Choose parameters, fit and judge every contender on every matrix."""
    found = {}
    for name, (fit, choices) in CONTENDERS.items():
        for matrix, train in split.train.items():
            inner = split.inner[matrix]
            scores = [
                metrics(fit(inner, **choice), inner, split.validation)[1].mean()
                if len(choices) > 1
                else 0.0
                for choice in choices
            ]
            choice = choices[int(np.argmax(scores))]
            recommend = fit(train, **choice)
            values = {truth: metrics(recommend, train, T) for truth, T in split.truths.items()}
            found[f"{name}, {matrix}"] = {"parameters": choice, "values": values}
            shown = {
                truth: np.round(each.mean(axis=1), 4).tolist() for truth, each in values.items()
            }
            print(f"  {name}, {matrix}: {shown} {choice}", flush=True)
    return found


# ----------------------------------------------------------------------------------- simulation


def simulated_world(seed: int) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """Return the log of a search, and every user's probability of engaging with each document."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(CLUSTERS, size=DOCUMENTS)
    quality = rng.beta(2, 3, DOCUMENTS)
    taste = np.zeros((USERS, CLUSTERS))
    for user in range(USERS):
        taste[user, rng.choice(CLUSTERS, 2, replace=False)] = rng.uniform(0.5, 1, 2)
    engages = 0.02 + 0.7 * taste[:, cluster] * quality
    by_cluster = [np.flatnonzero(cluster == c) for c in range(CLUSTERS)]
    topic = rng.integers(CLUSTERS, size=QUERIES)
    lists = [
        np.unique([*rng.choice(by_cluster[c], LISTED // 2), *rng.choice(DOCUMENTS, LISTED // 2)])
        for c in topic
    ]
    orders = [
        [each[np.argsort(-quality[each] - rng.normal(0, 0.3, len(each)))] for _ in range(3)]
        for each in lists
    ]
    rows = []
    for number, user in enumerate(
        rng.permutation(np.repeat(np.arange(USERS), EXECUTIONS_PER_USER))
    ):
        # Users ask mostly for what they like.
        weight = 0.1 + taste[user, topic]
        query = rng.choice(QUERIES, p=weight / weight.sum())
        shown = orders[query][rng.integers(3)][:SHOWN]
        clicked = rng.random(SHOWN) < engages[user, shown] / np.arange(1, SHOWN + 1)
        rows.append((number, user, query, shown, clicked))
    return log_of(rows), engages


def log_of(rows: list[Any]) -> pl.DataFrame:
    """Return executions in the record format."""
    frame = pl.DataFrame(
        {
            "execution_id": [f"e{row[0]:06}" for row in rows],
            "user_id": [f"{row[1]:05}" for row in rows],
            "query_snapshot": [json.dumps({"query": str(row[2])}) for row in rows],
            "occurred_at": [START + dt.timedelta(minutes=row[0]) for row in rows],
            "feature_id": [[f"{each:05}" for each in row[3]] for row in rows],
            "position": [list(range(SHOWN))] * len(rows),
            "interaction_type": [
                [["impression", "click"] if each else ["impression"] for each in row[4]]
                for row in rows
            ],
        }
    )
    return frame.explode("feature_id", "position", "interaction_type")


def simulated(seed: int) -> Split:
    """Return what the contenders get of one simulated world."""
    log, engages = simulated_world(seed)
    pairs = load_pairs(log, builtin_features=(), context=["user_id"])
    train, later = split_by_time(pairs)
    inner, validation = split_by_time(train)
    examined = np.random.default_rng([seed, 1]).random(engages.shape) < engages
    truths = {"true": sparse.csr_matrix(examined.astype(np.float32)), "later": clicks(later)}
    return Split(matrices(train), matrices(inner), clicks(validation), truths)


def matrices(pairs: Any) -> dict[str, sparse.csr_matrix]:
    """Return clicks as they are, and the corrected matrix, in the simulator's numbering."""
    found = engagement_matrix(pairs)
    rows, columns = (ids.cast(pl.Int64).to_numpy() for ids in (found.user_ids, found.document_ids))
    entries = found.engagement.tocoo()
    corrected = sparse.csr_matrix(
        (entries.data, (rows[entries.row], columns[entries.col])), (USERS, DOCUMENTS)
    )
    return {"clicks": clicks(pairs), "corrected": corrected}


def clicks(pairs: Any) -> sparse.csr_matrix:
    """Return clicks by user and document."""
    users = pairs.context["user_id"].cast(pl.Int64).to_numpy()[pairs.execution_index]
    documents = pairs.document_id.cast(pl.Int64).to_numpy()
    counted = pairs.clicked
    ones = np.ones(int(counted.sum()), np.float32)
    return sparse.csr_matrix((ones, (users[counted], documents[counted])), (USERS, DOCUMENTS))


# ------------------------------------------------------------------------------------ MovieLens


def movielens() -> Split:
    """Return the ratings that recbole ships, split by each user's time."""
    package = importlib.util.find_spec("recbole")
    if package is None or package.origin is None:
        msg = "recbole is not installed: pip install --no-deps recbole"
        raise SystemExit(msg)
    path = Path(package.origin).parent / "dataset_example/ml-100k/ml-100k.inter"
    ratings = (
        pl.read_csv(path, separator="\t")
        .rename(lambda name: name.split(":")[0])
        .filter(pl.col("rating") >= 4)
        .sort("user_id", "timestamp", "item_id")
        .with_columns(
            place=(pl.int_range(pl.len()).over("user_id") + 0.5) / pl.len().over("user_id")
        )
    )
    shape = tuple(int(ratings[name].max()) + 1 for name in ("user_id", "item_id"))

    def matrix(low: float, high: float) -> sparse.csr_matrix:
        part = ratings.filter(pl.col("place").is_between(low, high, closed="left"))
        ones = np.ones(len(part), np.float32)
        return sparse.csr_matrix((ones, (part["user_id"], part["item_id"])), shape)

    return Split(
        {"ratings": matrix(0, 0.8)},
        {"ratings": matrix(0, 0.64)},
        matrix(0.64, 0.8),
        {"later": matrix(0.8, 1.01)},
    )


# ---------------------------------------------------------------------------------------- scale


def scale_matrix(users: int, documents: int, entries: int) -> sparse.csr_matrix:
    """Return engagement whose users and documents are unequally active."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(0, 1, users)
    user = np.repeat(
        np.arange(users, dtype=np.int32), rng.multinomial(entries, activity / activity.sum())
    )
    popularity_of = 1 / (np.arange(documents) + 50.0) ** 0.8
    document = rng.choice(documents, len(user), p=popularity_of / popularity_of.sum())
    values = rng.random(len(user), dtype=np.float32) + 0.5
    X = sparse.csr_matrix((values, (user, document.astype(np.int32))), (users, documents))
    X.sum_duplicates()
    return X


def fit_at_scale(name: str, X: sparse.csr_matrix) -> None:
    """Fit one contender with 20 neighbours on all cores."""
    kind, method = name.split()
    if kind == "rankloom":
        SimilarItems(method, n_neighbours=20).fit(X)
        return
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    model = BM25Recommender(K=20) if method == "bm25" else CosineRecommender(K=20)
    model.fit(X.astype(np.float64), show_progress=False)


SCALE = ("rankloom cosine", "implicit cosine", "rankloom bm25", "implicit bm25")


def scale(size: list[int], rounds: int) -> dict[str, Any]:
    """Return CPU and wall times of alternating fits, and the peak memory of fresh processes."""
    X = scale_matrix(*size)
    print(f"{X.shape[0]:,} users x {X.shape[1]:,} documents, {X.nnz:,} entries")
    SimilarItems(n_neighbours=20).fit(X[:2_000])  # compiles
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in SCALE}
    for _ in range(rounds):
        for name in SCALE:
            start = time.process_time(), time.perf_counter()
            fit_at_scale(name, X)
            times[name].append((time.process_time() - start[0], time.perf_counter() - start[1]))
    del X
    memory = {name: peak_memory(name, size) for name in ("input", *SCALE)}
    for name in SCALE:
        cpu, wall = np.median(times[name], axis=0)
        print(f"{name:16} {cpu:7.1f} s CPU {wall:7.1f} s wall {memory[name]:6.2f} GB peak")
    print(f"{'the input alone':16} {memory['input']:38.2f} GB peak")
    return {"times": times, "memory": memory}


def peak_memory(name: str, size: list[int]) -> float:
    """Return the peak memory of a process that loads the matrix and fits one contender, in GB."""
    path = Path("/tmp") / f"similar_items_{os.getpid()}.npz"  # noqa: S108 - a large scratch file
    if name == "input":
        sparse.save_npz(path, scale_matrix(*size), compressed=False)
    command = [sys.executable, __file__, "--job", name, str(path)]
    try:
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    finally:
        if name == SCALE[-1]:
            path.unlink()


def job(name: str, path: str) -> None:
    """Fit one contender on a stored matrix and print the peak memory in GB."""
    X = sparse.load_npz(path)
    if name != "input":
        fit_at_scale(name, X)
    # Not ru_maxrss: a process inherits that of its parent.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9)


# -------------------------------------------------------------------------------------- results


def tables(runs: list[dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield recall and NDCG over all runs, and the difference to the best of implicit's three.

    The limits are 95 % by Student's t over runs or, of one run, over users.
    """
    for truth in next(iter(runs[0].values()))["values"]:
        values = {name: [run[name]["values"][truth] for run in runs] for name in runs[0]}
        rivals = {
            name: np.mean([each[1].mean() for each in found])
            for name, found in values.items()
            if name.split(",")[0] in RIVALS
        }
        best = max(rivals, key=rivals.__getitem__)
        yield f"{truth}: best of implicit by NDCG@{K}: {best}"
        for name, found in values.items():
            line = f"  {name:32}"
            for metric in (0, 1):
                gain = difference([a[metric] for a in found], [b[metric] for b in values[best]])
                mean = np.mean([each[metric].mean() for each in found])
                line += f"  {mean:.4f} ({gain[0]:+.4f} ± {gain[1]:.4f})"
            yield line


def difference(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> tuple[float, float]:
    """Return the mean paired difference with the half width of its interval."""
    values = (
        np.array([x.mean() - y.mean() for x, y in zip(a, b, strict=True)])
        if len(a) > 1
        else a[0] - b[0]
    )
    n = len(values)
    return float(values.mean()), float(student.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5)


def plain(runs: list[dict[str, dict[str, Any]]]) -> list[Any]:
    """Return means for JSON."""
    return [
        {
            name: {
                "parameters": found["parameters"],
                **{truth: each.mean(axis=1).tolist() for truth, each in found["values"].items()},
            }
            for name, found in run.items()
        }
        for run in runs
    ]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--movielens", action="store_true")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--size", type=int, nargs=3, default=[1_000_000, 100_000, 20_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run what was asked for."""
    warnings.filterwarnings("ignore", module="implicit")
    options = arguments()
    if options.job:
        job(*options.job)
        return
    results: dict[str, Any] = {}
    for name, chosen in (("simulated", options.simulated), ("movielens", options.movielens)):
        if not chosen:
            continue
        splits = map(simulated, options.seeds) if name == "simulated" else [movielens()]
        runs = [contend(split) for split in splits]
        print(f"\n{name}: recall@{K} and NDCG@{K} (difference to the best of implicit)")
        print("\n".join(tables(runs)))
        results[name] = plain(runs)
    if options.scale:
        results["scale"] = scale(options.size, options.rounds)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
