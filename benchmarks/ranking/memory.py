"""What a query's own clicks are worth: memory of queries over the ranker that saw the same log.

Protocol: logs of `repeated_queries`, 10, 50 or 200 impressions of every logged query ("mixed": each
query one of the three), judged by the true grades of all candidates, NDCG@10. Click models: PBM
(examination 1/rank, attraction .1/.4/.8), trust, cascade (the DBN of the simulator), PBM with true
examination 1/sqrt(rank) where 1/rank is given to all methods, noisy clicks .3/.45/.6, and clicks
that depend on the position alone.

Rivals: production's order, the ranker (auto) fitted on the same log, which falls back to production
where it finds no gain, raw click rates with the same prior and a strength of 10, and popularity
(clicks). "shipped" is the memory restricted to the bands that pass a replay: ranker and memory
learn from the earlier half of the log and are compared on the later half. A ranker that learnt from
the log (and does not fall back) knows its clicks: the strength is then estimated with a ranker of
the earlier half, as `gated_memory` does. "best k" is the strength of the highest NDCG in hindsight,
"left" its NDCG less that of the strength estimated, and "halves" the same where the best k is that
of one random half of the queries, and the NDCG that of the other: what a k of hindsight is worth
for queries it was not chosen on.

usage: memory.py [--data DIR] [--sets NAME ...] [--worlds NAME ...] [--sizes N ...] [--seeds N ...]
       [--gate] [--rankers DIR] [--out FILE]
exit code: 0 if every target in `judge` is met, else 1
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from letor_protocol import DEFAULT_DATA, versions
from repeated_queries import SETS, SIZES, WORLDS, Searches, simulate

from rankloom.datasets import split_by_time
from rankloom.ltr import QueryMemory, Ranker
from rankloom.ltr.memory.evidence import ids_of
from rankloom.ltr.memory.served import ServedMemory
from rankloom.ltr.memory.strength import STRENGTHS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TARGETS = {10: 0.03, 50: 0.09, 200: 0.14}
MAX_LOSS = 0.002
RAW_STRENGTH = 10.0
COLUMNS = ("production", "ranker", "memory", "shipped", "raw rates", "popularity")


def run(searches: Searches, *, gate: bool, kept: Path | None = None) -> dict[str, Any]:
    """Return NDCG of every method and what the memory estimated; `kept`: folder of the ranker."""
    started = time.perf_counter()
    ranker = fitted(searches, kept)
    fit_seconds = time.perf_counter() - started
    scores = ranker.predict(searches.judged)
    started = time.perf_counter()
    unseen = None if falls_back(ranker) else held_out(searches, kept)
    memory = QueryMemory().fit(searches.pairs, prior=ranker, held_out=unseen)
    memory_seconds = time.perf_counter() - started
    orders = {
        "production": searches.judged.document_score,
        "ranker": scores,
        "memory": served(memory, searches, scores),
        **raw_orders(searches, memory, scores),
    }
    if gate:
        orders["shipped"] = served(restricted(memory, searches), searches, scores)
    values = {name: searches.ndcg(order) for name, order in orders.items()}
    hindsight = [searches.ndcg(with_strength(memory, searches, scores, k)) for k in STRENGTHS]
    logged = searches.logged
    in_hindsight = np.array([np.nanmean(value[logged]) for value in hindsight])
    estimated = searches.ndcg(with_strength(memory, searches, scores, memory.strength_.common))
    result: dict[str, Any] = {name: mean(value[logged]) for name, value in values.items()}
    unlogged = values["memory"][~logged] - values["ranker"][~logged]
    bands = {
        str(size): mean((values["memory"] - values["ranker"])[searches.impressions == size])
        for size in SIZES
        if (searches.impressions == size).any()
    }
    return {
        **result,
        "best k": float(STRENGTHS[in_hindsight.argmax()]),
        "best": float(in_hindsight.max()),
        "estimated": mean(estimated[logged]),
        "halves": by_other_half(np.array(hindsight)[:, logged] - estimated[logged]),
        "k": memory.strength_.common,
        "z": memory.strength_.z,
        "served": list(memory.served_bands_),
        "never logged, largest change": float(np.nanmax(np.abs(unlogged))),
        "bands": bands,
        "falls back": falls_back(ranker),
        "seconds": [fit_seconds, memory_seconds],
    }


def fitted(searches: Searches, kept: Path | None = None) -> Ranker:
    """Return the ranker that saw the log, from `kept` where an earlier run has saved it there."""
    if kept and kept.exists():
        return Ranker.load(kept)
    ranker = Ranker("auto", n_jobs=1, progress=False).fit(searches.pairs)
    if kept:
        ranker.save(kept)
    return ranker


def falls_back(ranker: Ranker) -> bool:
    """Return whether the ranker ranks as production did, which has seen no click."""
    return bool(ranker.choice_ is not None and ranker.choice_.fall_back)


def held_out(searches: Searches, kept: Path | None) -> Floats:
    """Return `held_out_scores` by a ranker that is kept, too."""
    _, later = split_by_time(searches.pairs, test_fraction=0.5)
    earlier = searches.pairs.time < later.time.min()
    past = fitted(
        replace(searches, pairs=searches.pairs.take(earlier)),
        kept and kept.with_name(f"{kept.name} earlier"),
    )
    found = np.full(len(searches.pairs), np.nan)
    found[~earlier[searches.pairs.execution_index]] = past.predict(later)
    return found


def by_other_half(gain: Floats) -> float:
    """Return the gain of the best strength of half of the queries on the others, 20 splits.

    `gain`, shape (strengths, q): over the strength estimated, by query.
    """
    generator, found = np.random.default_rng(0), []
    for _ in range(20):
        half = generator.permutation(gain.shape[1]) % 2 == 0
        for chosen_on, judged_on in ((half, ~half), (~half, half)):
            best = np.nanmean(gain[:, chosen_on], axis=1).argmax()
            found.append(np.nanmean(gain[best, judged_on]))
    return float(np.mean(found))


def served(memory: QueryMemory, searches: Searches, scores: NDArray[np.float32]) -> Floats:
    """Return the scores of all candidates by memory, query by query, as a service gets them."""
    judged = searches.judged
    ids, queries = judged.documents.to_list(), judged.queries.to_list()
    bounds = zip(judged.offsets, judged.offsets[1:], strict=False)
    return np.concatenate(
        [
            memory.rescore(query, ids[start:end], scores[start:end])
            for query, (start, end) in zip(queries, bounds, strict=True)
        ]
    )


def with_strength(
    memory: QueryMemory, searches: Searches, scores: NDArray[np.float32], k: float
) -> Floats:
    """Return the scores of all candidates with another strength, every band served."""
    strength = memory.strength_
    bands = tuple(replace(band, strength=k) for band in strength.bands)
    estimates = replace(memory.estimates, strength=replace(strength, bands=bands))
    query, document = ids_of(searches.judged)
    other = ServedMemory(memory.served.table, estimates)
    of_row = query[searches.judged.query_code][searches.judged.execution_index]
    return other.relevance_of_pairs(of_row, document, scores)[1]


def restricted(memory: QueryMemory, searches: Searches) -> QueryMemory:
    """Return the memory restricted to bands that pass the replay of the later half."""
    earlier, later = split_by_time(searches.pairs, test_fraction=0.5)
    ranker = fitted(replace(searches, pairs=earlier))
    report = QueryMemory().fit(earlier, prior=ranker).evaluate(later, ranker)
    return QueryMemory.load_bytes(memory.to_bytes()).restrict(report)


def raw_orders(
    searches: Searches, memory: QueryMemory, scores: NDArray[np.float32]
) -> dict[str, Floats]:
    """Return the orders by click rates that know no positions, and by clicks."""
    pairs, judged = searches.pairs, searches.judged
    index = {name: i for i, name in enumerate(judged.documents.to_list())}
    row = np.array([index[name] for name in pairs.document_id.to_list()])
    clicks = np.bincount(row, pairs.y > 0, len(judged))
    shown = np.bincount(row, minlength=len(judged))
    prior = memory.estimates.calibration(scores)
    prior *= (clicks.sum() / shown.sum()) / prior[shown > 0].mean()
    rates = (clicks + RAW_STRENGTH * prior) / (shown + RAW_STRENGTH)
    rates[~np.repeat(searches.logged, judged.group)] = 0
    return {"raw rates": rates, "popularity": clicks.astype(np.float64)}


def mean(values: Floats) -> float:
    """Return the mean over queries with a relevant document."""
    return float(np.nanmean(values))


def judge(runs: list[dict[str, Any]]) -> list[str]:
    """Return the targets that are missed, by the means over seeds."""
    missed = []
    for key in dict.fromkeys((run["set"], run["world"], run["size"]) for run in runs):
        own = [run for run in runs if (run["set"], run["world"], run["size"]) == key]
        gain = float(np.mean([run["memory"] - run["ranker"] for run in own]))
        name = f"{key[0]}, {key[1]}, {key[2] or 'mixed'} impressions"
        if key[1] == "pbm" and key[2] in TARGETS and gain < TARGETS[key[2]]:
            missed.append(f"{name}: {gain:+.4f} over the ranker, {TARGETS[key[2]]:+.2f} wanted")
        if gain < -MAX_LOSS:
            missed.append(f"{name}: {gain:+.4f}, below the ranker")
        changed = max(run["never logged, largest change"] for run in own)
        if changed > 0:
            missed.append(f"{name}: a query that was never logged changes by {changed}")
        ratio = np.exp(np.median([np.log(run["k"] / run["best k"]) for run in own]))
        if key[1] != "random" and not 0.5 <= ratio <= 2:
            missed.append(f"{name}: k is {ratio:.2f} times the best in hindsight (median)")
    return missed


def line(runs: list[dict[str, Any]]) -> str:
    """Return one line of the table: means over seeds, standard error of the gain."""
    gains = np.array([run["memory"] - run["ranker"] for run in runs])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    cells = [
        f"{np.mean([run[name] for run in runs]):.4f}" if name in runs[0] else "-"
        for name in COLUMNS
    ]
    bands = runs[0]["bands"]
    by_band = " ".join(f"{np.mean([run['bands'][b] for run in runs]):+.3f}" for b in bands)
    head = f"{runs[0]['set']:9} {runs[0]['world']:11} {runs[0]['size'] or 'mixed':>5}"
    k, best = (np.exp(np.mean([np.log(run[name]) for run in runs])) for name in ("k", "best k"))
    left = np.mean([run["best"] - run["estimated"] for run in runs])
    halves = np.mean([run["halves"] for run in runs])
    return (
        f"{head}  {'  '.join(f'{cell:>10}' for cell in cells)}  {gains.mean():+.4f} ({error:.4f})  "
        f"{gains.min():+.4f}  {k:7.1f} {best:7.1f}  {left:+.4f} {halves:+.4f}  {by_band}"
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--worlds", nargs="+", default=WORLDS, choices=WORLDS)
    parser.add_argument("--sizes", nargs="+", type=int, default=(*SIZES, 0), help="0: mixed")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(10, 15))
    parser.add_argument("--gate", action="store_true", help="also what a replay lets pass")
    parser.add_argument("--rankers", type=Path, help="folder that keeps rankers between runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # notes of single fits
    print(json.dumps(versions()))
    print(
        f"{'':28}{''.join(f'{name:>12}' for name in COLUMNS)}  gain (s.e.)       worst      k  "
        "best k  left    halves   gain by impressions"
    )
    runs: list[dict[str, Any]] = []
    for size in options.sizes:
        for name in options.sets:
            for world in options.worlds:
                own = []
                for seed in options.seeds:
                    searches = simulate(options.data, name, world, size, seed)
                    key = f"{name} {world} {size} {seed}"
                    kept = options.rankers / key if options.rankers else None
                    found = run(searches, gate=options.gate, kept=kept)
                    own.append({"set": name, "world": world, "size": size, "seed": seed, **found})
                print(line(own), flush=True)
                runs += own
                if options.out:
                    options.out.write_text(json.dumps({"versions": versions(), "runs": runs}))
    missed = judge(runs)
    print("\n".join(f"missed: {each}" for each in missed) or "all targets met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
