"""What `query_insights` and `document_insights` find in simulated worlds with planted faults.

Every world is a log of searches in which queries and documents with known faults are planted
(`tests/insights/planted_world.py`). For every kind of finding: how many were found, how many of
them are false, the mean share of false ones over the worlds (which is to stay within the stated
rate), and the share of the planted ones that were found. Besides, the same from raw rates: every
display taken for examined, steps from query to query counted without a test. Ends with 1 if a
corrected kind exceeds the stated rate by more than two standard errors.

    .venv/bin/python benchmarks/insights/planted_truth.py --out planted.json
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import rankloom
from rankloom.insights import document_insights, query_insights, read_searches
from rankloom.insights.outcomes.clusters_of_searches import clusters_of
from rankloom.insights.statistics.dispersion import Persons
from rankloom.insights.statistics.false_discoveries import discoveries
from rankloom.insights.statistics.group_rates import Question, group_ratios

sys.path.append(str(Path(__file__).resolve().parents[2]))
from tests.insights.planted_world import SHOWN, World, simulate_world

RATE = 0.05
QUERY_DIFFERENCE, DOCUMENT_DIFFERENCE = 0.1, 0.2
Found = tuple[int, int, int, int]  # found, false, planted, planted found


def outcome(found: set[Any], true: set[Any], planted: set[Any]) -> Found:
    """Count discoveries: of those that are true, `planted` are to be found."""
    return len(found), len(found - true), len(planted), len(found & planted)


def both_ways(pairs: set[frozenset[str]]) -> set[tuple[str, str]]:
    """Return unordered pairs in both orders."""
    return {(a, b) for pair in pairs for a in pair for b in pair if a != b}


def pairs_of(table: pl.DataFrame) -> set[tuple[str, str]]:
    """Return the pairs of queries of a table."""
    return set(table.select("from_query", "to_query").iter_rows())


def of_queries(world: World, searches: Any, raw: Any) -> dict[str, Found]:
    """Judge the findings about queries."""
    insights, plain = query_insights(searches), query_insights(raw)
    off = 1 + QUERY_DIFFERENCE
    results = {}
    planted = {"below": world.failing, "above": world.rich}
    for kind in ("below", "above"):
        for name, of, truth in (
            (f"queries {kind} their promise", insights, world.ratio),
            (f"queries {kind} the overall rate, raw", plain, world.plain_ratio),
        ):
            true = {q for q, r in truth.items() if (r < 1 / off if kind == "below" else r > off)}
            found = set(of.found(kind)["query"])
            results[name] = outcome(found, true, planted[kind] & true)
    corrected = query_insights(searches_without_features(world, searches))
    for kind in ("below", "above"):
        truth = world.plain_ratio
        true = {q for q, r in truth.items() if (r < 1 / off if kind == "below" else r > off)}
        found = set(corrected.found(kind)["query"])
        results[f"queries {kind} the overall rate"] = outcome(found, true, planted[kind] & true)
    found = set(insights.found("zero_results")["query"])
    results["queries without results"] = outcome(found, world.zero_results, world.zero_results)
    steps = world.rewrites | both_ways(world.synonyms)
    results["steps"] = outcome(pairs_of(insights.chains.filter("found")), steps, steps)
    results["steps, raw (3 persons)"] = outcome(pairs_of(insights.chains), steps, steps)
    kinds = {name: insights.rewrites.filter(pl.col("kind") == name) for name in KINDS}
    rewrites = pairs_of(kinds["rewrite"])
    results["rewrites"] = outcome(rewrites, world.rewrites, world.rewrites)
    served = pairs_of(insights.chains.filter(pl.col("rescued") >= 3))
    results["rewrites, raw (3 served)"] = outcome(served, world.rewrites, world.rewrites)
    synonyms = {frozenset(pair) for pair in pairs_of(kinds["synonym"])}
    results["synonyms"] = outcome(synonyms, world.synonyms, world.synonyms)
    return results


KINDS = ("rewrite", "synonym")


def searches_without_features(world: World, searches: Any) -> Any:
    """Return the searches with the same curve and no features."""
    return read_searches(world.log, examination=searches.bias)


def of_documents(world: World, searches: Any, raw: Any) -> dict[str, Found]:
    """Judge the findings about documents, corrected and raw."""
    results = {}
    off = 1 + DOCUMENT_DIFFERENCE
    for suffix, source in (("", searches), (", raw", raw)):
        insights = document_insights(source)
        true = {pair for pair, ratio in world.above.items() if ratio > off}
        found = set(insights.wanted.select("query", "document").iter_rows())
        results[f"documents wanted and low{suffix}"] = outcome(found, true, world.wanted & true)
        true = {pair for pair, ratio in world.below.items() if ratio < 1 / off}
        found = set(insights.disappointing.select("query", "document").iter_rows())
        results[f"documents high and disappointing{suffix}"] = outcome(
            found, true, world.disappointing & true
        )
        for kind, planted in (
            ("skips", world.skipped),
            ("returns", world.returned),
            ("negative_feedback", world.negative),
        ):
            found = set(insights.found(kind)["document"])
            results[f"documents with {kind.replace('_', ' ')}{suffix}"] = outcome(
                found, planted, planted
            )
        results |= low_documents(world, source, suffix)
    return results


def low_documents(world: World, searches: Any, suffix: str) -> dict[str, Found]:
    """Judge a list of bad documents: with an engagement below that of all."""
    displays = searches.displays
    examination = displays.examination.astype(np.float64)
    person = clusters_of(searches).codes[displays.search]
    persons = Persons.of(displays.document.codes, person, len(displays.document.texts))
    engaged = displays.engaged.astype(np.float64)
    expected = examination * engaged.sum() / examination.sum()
    rates = group_ratios(persons, engaged, expected, Question(DOCUMENT_DIFFERENCE, 0.9))
    names = displays.document.texts
    true = {name for name, ratio in world.relevance.items() if ratio < 1 / 1.2}
    tested = set(names.filter(pl.Series(discoveries(rates.below, RATE))))
    found = {f"documents that people do not want{suffix}": outcome(tested, true, true)}
    if suffix:
        # What a dashboard lists: shown often, clicked half as often as documents are on average.
        shown = np.bincount(displays.document.codes, minlength=len(names))
        clicks = np.bincount(displays.document.codes, weights=engaged, minlength=len(names))
        low = (shown >= 100) & (clicks < 0.5 * engaged.mean() * shown)
        listed = set(names.filter(pl.Series(low)))
        found["documents of half the click rate, raw"] = outcome(listed, true, true)
    return found


def judge(seed: int, n_searches: int, *, planted: bool) -> dict[str, Found]:
    """Judge all findings in one world."""
    world = simulate_world(n_searches, seed=seed, planted=planted, short=True)
    searches = read_searches(world.log, features=world.features)
    raw = read_searches(world.log, examination=np.ones(SHOWN))
    return {**of_queries(world, searches, raw), **of_documents(world, searches, raw)}


def table(results: dict[str, list[Found]]) -> list[dict[str, Any]]:
    """Print one line for each kind of finding, and return them."""
    print(f"{'':43} found  false  share of false ones  planted found")
    rows = []
    for name, each in results.items():
        found, false, planted, hit = np.array(each, float).T
        share = false / np.maximum(found, 1)
        error = share.std(ddof=1) / np.sqrt(len(share)) if len(share) > 1 else 0.0
        row = {
            "kind": name,
            "found": found.mean(),
            "false": false.mean(),
            "false_share": share.mean(),
            "standard_error": error,
            "power": hit.sum() / planted.sum() if planted.sum() else None,
        }
        power = "" if row["power"] is None else f"{row['power']:.0%}"
        print(
            f"{name:43} {row['found']:5.1f}  {row['false']:5.2f}     "
            f"{row['false_share']:.3f} +- {error:.3f}      {power:>5}"
        )
        rows.append(row)
    return rows


def main() -> None:
    """Print the tables and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--searches", type=int, default=12_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    versions = {
        "rankloom": rankloom.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(f"{versions}, {given.seeds} seeds, {given.searches:,} searches each, rate {RATE}")
    record: dict[str, Any] = {"versions": versions, "seeds": given.seeds, "rate": RATE}
    failed = []
    for planted, title in ((True, "With planted faults"), (False, "Without any")):
        start, results = time.process_time(), defaultdict(list)
        for seed in range(given.seeds):
            for name, found in judge(seed, given.searches, planted=planted).items():
                results[name].append(found)
        print(f"\n{title} ({time.process_time() - start:.0f} s of CPU)")
        rows = table(results)
        record[title] = rows
        failed += [
            row["kind"]
            for row in rows
            if "raw" not in row["kind"] and row["false_share"] > RATE + 2 * row["standard_error"]
        ]
    if given.out:
        given.out.write_text(json.dumps(record, indent=2))
    if failed:
        print(f"\nMore false ones than stated: {', '.join(failed)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
