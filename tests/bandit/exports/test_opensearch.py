"""The published rules, from docs.opensearch.org and github.com/opensearch-project/neural-search.

search-pipelines/normalization-processor and score-ranker-processor: `weights` are as many as the
queries, each in [0, 1], their sum 1 (ScoreCombinationUtil: floats, within 0.01); `z_score` goes
with `arithmetic_mean` only; `rank_constant` is an integer, at least 1.
query-dsl/compound/hybrid: at most 5 queries. hybrid-search/pagination: `pagination_depth`.
search-pipelines/using-search-pipeline: a search may carry its own `search_pipeline`.
MinMaxScoreNormalizationTechnique: a score of 0 becomes 0.001.
"""

from __future__ import annotations

import math

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import CarryOverWarning, to_opensearch
from rankloom.errors import InvalidInputError


def standing_for(lists):
    return {uri: {"term": {"uri": uri}} for uri in lists}


def combination_of(body):
    """Return the technique by which the body normalises and the checked combination."""
    assert set(body) == {"size", "query", "search_pipeline"}
    assert set(body["search_pipeline"]) == {"phase_results_processors"}
    ((name, processor),) = body["search_pipeline"]["phase_results_processors"][0].items()
    combination = processor["combination"]
    hybrid = body["query"]["hybrid"]
    assert 1 <= len(hybrid["queries"]) <= 5
    assert hybrid["pagination_depth"] >= body["size"]
    weights = combination["parameters"]["weights"]
    assert len(weights) == len(hybrid["queries"])
    assert all(type(weight) is float and 0 <= weight <= 1 for weight in weights)
    assert math.fsum(weights) == pytest.approx(1, abs=1e-6)
    if name == "score-ranker-processor":
        assert set(processor) == {"combination"}
        assert combination["technique"] == "rrf"
        assert type(combination["rank_constant"]) is int
        return "rrf", combination
    assert name == "normalization-processor"
    assert combination["technique"] == "arithmetic_mean"
    return processor["normalization"]["technique"], combination


def served(body, lists):
    """Answer the body as the documentation says."""
    technique, combination = combination_of(body)
    weights = combination["parameters"]["weights"]
    total = {}
    for query, weight in zip(body["query"]["hybrid"]["queries"], weights, strict=True):
        found = sorted(lists[query["term"]["uri"]], key=lambda pair: -pair[1])
        for rank, (document, score) in enumerate(found, start=1):
            if technique == "rrf":
                x = 1 / (combination["rank_constant"] + rank)
            else:
                x = (score - found[-1][1]) / (found[0][1] - found[-1][1]) or 0.001
            total[document] = total.get(document, 0) + weight * x
    return tuple(sorted(total, key=lambda document: (-total[document], document))[: body["size"]])


@pytest.mark.parametrize("method", ["min_max", "rrf"])
@pytest.mark.parametrize("scale", [1, 7, 1e308])
def test_the_search_ranks_as_fuse_does(method, scale, lists, weights):
    """Whatever the weights sum to."""
    scaled = {uri: 3 * weight * scale for uri, weight in weights.items()}
    body = to_opensearch(scaled, standing_for(lists), method=method, learnt_with=method, size=7)
    assert served(body, lists) == fuse(lists, weights, method=method, k=7).documents


@pytest.mark.parametrize("method", ["min_max", "z_score", "rrf"])
def test_a_query_fuses_by_the_rules_of_the_processor(method, lists):
    """FusionSpec.java: its `fusion` has the members of a processor, and the window's size."""
    asked, same = standing_for(lists), dict.fromkeys(lists, 1)
    options = {"method": method, "candidates": 50, "rank_constant": 20}
    body = to_opensearch(same, asked, in_query=True, **options)
    by_pipeline = to_opensearch(same, asked, **options)
    ((processor,),) = (
        each.values() for each in by_pipeline["search_pipeline"]["phase_results_processors"]
    )
    fusion = dict(body["query"]["hybrid"]["fusion"])
    assert fusion.pop("window_size") == 50
    assert fusion == processor
    assert set(body["query"]["hybrid"]) == {"queries", "fusion"}
    assert set(body) == {"size", "query"}


def test_z_scores_are_those_of_the_engine_and_it_says_so(lists, weights):
    with pytest.warns(CarryOverWarning, match="ties all documents .* below its mean"):
        body = to_opensearch(weights, standing_for(lists), method="z_score", learnt_with="z_score")
    assert combination_of(body)[0] == "z_score"


def test_options_arrive():
    asked, same = standing_for(["a", "b"]), {"a": 1, "b": 1}
    body = to_opensearch(same, asked, method="rrf", size=3, candidates=50, rank_constant=20)
    assert body["size"] == 3
    assert body["query"]["hybrid"]["pagination_depth"] == 50
    assert combination_of(body)[1]["rank_constant"] == 20


def test_weights_stay_with_their_queries():
    body = to_opensearch({"b": 1, "a": 3}, {"b": {"term": 2}, "a": {"term": 1}})
    assert body["query"]["hybrid"]["queries"] == [{"term": 1}, {"term": 2}]
    assert combination_of(body)[1]["parameters"]["weights"] == [0.75, 0.25]


def test_five_queries_are_the_most():
    five, six = (dict.fromkeys("abcdef"[:n], 1.0) for n in (5, 6))
    combination_of(to_opensearch(five, standing_for(five)))
    with pytest.raises(InvalidInputError, match="got 6, but a hybrid query .* at most 5"):
        to_opensearch(six, standing_for(six))
