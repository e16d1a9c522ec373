"""What `fuse` costs at query time, and `fuse_columns` over many queries, compared with others.

At query time: five channels of 100 documents each, against a plain loop over dictionaries that
does the same sums without checks and without the scores to log, and the fusions of Qdrant's own
client (ranked lists of models in, the same out). Over many queries: against ranx, min-max and
weighted sum, where it is installed. Contenders take turns; the figure is the ratio of the medians.
Before anything is timed, the loop and ranx must give the same scores as rankloom.

usage: fuse_latency.py [--channels N] [--documents N] [--queries N] [--rounds N] [--out JSON]
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import rankloom
from rankloom.bandit import fuse, fuse_columns

if TYPE_CHECKING:
    from collections.abc import Callable

Lists = dict[str, list[tuple[str, float]]]


def make_lists(generator: np.random.Generator, channels: int, documents: int) -> Lists:
    """Make what the channels found for one query, best first, from four times as many documents."""
    lists = {}
    for channel in range(channels):
        found = generator.choice(4 * documents, documents, replace=False)
        scores = np.sort(generator.gamma(2.0, size=documents))[::-1]
        names = [f"document-{each:06d}" for each in found.tolist()]
        lists[f"mixpeek://channel-{channel}"] = list(zip(names, scores.tolist(), strict=True))
    return lists


def plain_loop(lists: Lists, weights: dict[str, float], k: int) -> list[tuple[str, float]]:
    """Fuse by min-max as one would write it."""
    total: dict[str, float] = {}
    for uri, pairs in lists.items():
        values = [score for _, score in pairs]
        low, high = min(values), max(values)
        for document, score in pairs:
            x = (score - low) / (high - low)
            total[document] = total.get(document, 0.0) + weights[uri] * x
    return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def seconds(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run the contenders in turn and return what each round took."""
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            took[name].append(time.perf_counter() - start)
    return took


def one_query(channels: int, documents: int, rounds: int) -> dict[str, dict[str, float]]:
    """Time one query at a time; milliseconds."""
    from qdrant_client.hybrid import fusion as qdrant
    from qdrant_client.models import ScoredPoint

    lists = make_lists(np.random.default_rng(0), channels, documents)
    weights = {uri: (i + 1) / channels for i, uri in enumerate(lists)}
    fused, loop = fuse(lists, weights), plain_loop(lists, weights, 10)
    assert fused.documents == tuple(document for document, _ in loop)
    np.testing.assert_allclose(fused.scores, [score for _, score in loop])

    def points() -> list[list[ScoredPoint]]:
        return [[ScoredPoint.model_construct(id=d, score=s) for d, s in p] for p in lists.values()]

    fresh = [points() for _ in range(2 * rounds)]  # the client's functions write into their input
    contenders: dict[str, Callable[[], object]] = {
        f"rankloom {method}": lambda method=method: fuse(lists, weights, method=method)
        for method in ("min_max", "z_score", "distribution", "rrf")
    }
    contenders["rankloom min_max, with metadata()"] = lambda: fuse(lists, weights).metadata()
    contenders["plain loop min_max"] = lambda: plain_loop(lists, weights, 10)
    contenders["qdrant-client distribution"] = lambda: qdrant.distribution_based_score_fusion(
        fresh.pop(), limit=10
    )
    contenders["qdrant-client rrf"] = lambda: qdrant.reciprocal_rank_fusion(fresh.pop(), limit=10)
    took = seconds(contenders, rounds)
    return {
        name: {"p50 ms": 1e3 * float(np.median(t)), "p99 ms": 1e3 * float(np.quantile(t, 0.99))}
        for name, t in took.items()
    }


def many_queries(
    channels: int, documents: int, queries: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Time all queries together; microseconds a query."""
    generator = np.random.default_rng(1)
    all_lists = [make_lists(generator, channels, documents) for _ in range(queries)]
    weights = np.arange(1, channels + 1) / channels
    uris = list(all_lists[0])
    names, document = np.unique(
        [d for lists in all_lists for pairs in lists.values() for d, _ in pairs],
        return_inverse=True,
    )
    score = np.array([s for lists in all_lists for pairs in lists.values() for _, s in pairs])
    query = np.repeat(np.arange(queries), channels * documents)
    channel = np.tile(np.repeat(np.arange(channels), documents), queries)
    named = dict(zip(uris, weights.tolist(), strict=True))
    contenders: dict[str, Callable[[], object]] = {
        "rankloom fuse_columns": lambda: fuse_columns(query, channel, document, score, weights),
        "rankloom fuse, one by one": lambda: [fuse(lists, named) for lists in all_lists],
        "plain loop, one by one": lambda: [plain_loop(lists, named, 10) for lists in all_lists],
    }
    try:
        import ranx
    except ImportError:
        print("ranx is not installed and left out")
    else:
        runs = [
            ranx.Run({f"q{q}": dict(lists[uri]) for q, lists in enumerate(all_lists)})
            for uri in uris
        ]

        def with_ranx() -> ranx.Run:
            params = {"weights": tuple(weights.tolist())}
            return ranx.fuse(runs=runs, norm="min-max", method="wsum", params=params)

        theirs, ours = with_ranx()["q0"], fuse(all_lists[0], named)
        np.testing.assert_allclose(ours.scores, [theirs[d] for d in ours.documents])
        contenders["ranx min-max, wsum"] = with_ranx
    assert len(names) <= 4 * documents
    took = seconds(contenders, rounds)
    return {
        name: {"p50 us a query": 1e6 * float(np.median(t)) / queries} for name, t in took.items()
    }


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=5)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    size = (options.channels, options.documents)
    results = {
        "one query": one_query(*size, options.rounds),
        "many queries": many_queries(*size, options.queries, max(options.rounds // 100, 3)),
        "versions": {
            "rankloom": rankloom.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    print(f"{options.channels} channels, {options.documents} documents each")
    for name, rows in list(results.items())[:2]:
        print(f"\n{name}")
        for contender, figures in rows.items():
            shown = "  ".join(f"{figure} {value:9.3f}" for figure, value in figures.items())
            print(f"  {contender:36s} {shown}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
