"""The stated rate of false discoveries holds over many worlds, and planted faults are found.

`benchmarks/insights/planted_truth.py` has the same for 50 worlds, with the curve estimated.
"""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from rankloom.insights import document_insights, query_insights, read_searches
from tests.insights.planted_world import EXAMINATION, simulate_world

RATE = 0.05


def findings(world):
    """Return for each kind what was found and what is true."""
    searches = read_searches(world.log, features=world.features, examination=EXAMINATION)
    queries, documents = query_insights(searches), document_insights(searches)
    rewrites = queries.rewrites.filter(pl.col("kind") == "rewrite")
    rewrites = set(rewrites.select("from_query", "to_query").iter_rows())
    wanted, low = (
        set(table.select("query", "document").iter_rows())
        for table in (documents.wanted, documents.disappointing)
    )
    found = {kind: set(queries.found(kind)["query"]) for kind in ("below", "above")}
    found |= {kind: set(documents.found(kind)["document"]) for kind in ("skips", "returns")}
    truth = {
        "below": {query for query, ratio in world.ratio.items() if ratio < 1 / 1.1},
        "above": {query for query, ratio in world.ratio.items() if ratio > 1.1},
        "skips": world.skipped,
        "returns": world.returned,
        "zero_results": world.zero_results,
        "rewrites": world.rewrites,
        "wanted": {pair for pair, ratio in world.above.items() if ratio > 1.2},
        "disappointing": {pair for pair, ratio in world.below.items() if ratio < 1 / 1.2},
    }
    found["zero_results"] = set(queries.found("zero_results")["query"])
    found |= {"rewrites": rewrites, "wanted": wanted, "disappointing": low}
    return {kind: (found[kind], truth[kind]) for kind in truth}


@pytest.mark.slow
@pytest.mark.parametrize("planted", [True, False])
def test_false_discoveries_stay_within_the_stated_rate(planted):
    shares, hits = defaultdict(list), defaultdict(int)
    for seed in range(20):
        world = simulate_world(8_000, seed=100 + seed, planted=planted, short=True)
        for kind, (found, true) in findings(world).items():
            shares[kind].append(len(found - true) / max(len(found), 1))
            hits[kind] += len(found & true)
    for kind, each in shares.items():
        error = np.std(each, ddof=1) / np.sqrt(len(each))
        assert np.mean(each) <= RATE + 2 * error, kind
        assert not planted or hits[kind] >= 20, kind
