"""The published rules, from milvus.io and github.com/milvus-io/milvus, and its own client.

weighted-ranker.md: weights lie in [0, 1], one for each search in their order; scores are normalised
by an arctangent. rerank_builder.go: `k` of rrf lies in (0, 16384).
"""

from __future__ import annotations

import copy
import json
import math

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import CarryOverWarning, to_milvus
from rankloom.errors import InvalidInputError


def standing_for(lists):
    return {uri: {"data": [[1.0]], "annsField": uri} for uri in lists}


def served(body, lists):
    """Answer the body for fields of the metric IP as the documentation says."""
    rerank = body["rerank"]
    weights = rerank["params"].get("weights", [1.0] * len(body["search"]))
    assert len(weights) == len(body["search"])
    assert all(0 <= weight <= 1 for weight in weights)
    total = {}
    for search, weight in zip(body["search"], weights, strict=True):
        found = sorted(lists[search["annsField"]], key=lambda pair: -pair[1])[: search["limit"]]
        for rank, (document, score) in enumerate(found, start=1):
            if rerank["strategy"] == "rrf":
                x = 1 / (rerank["params"]["k"] + rank)
            else:
                assert rerank["params"]["norm_score"] is True
                x = 0.5 + math.atan(score) / math.pi
            total[document] = total.get(document, 0) + weight * x
    ranked = sorted(total, key=lambda document: (-total[document], document))
    return tuple(ranked[: body["limit"]])


def test_weights_multiply_the_scores_as_milvus_normalises_them(lists, weights):
    body = to_milvus(weights, standing_for(lists), learnt_with="arctan", size=7)
    total = {}
    for uri, pairs in lists.items():
        for document, score in pairs:
            part = weights[uri] * (0.5 + math.atan(score) / math.pi)
            total[document] = total.get(document, 0) + part
    ranked = sorted(total, key=lambda document: (-total[document], document))
    assert served(body, lists) == tuple(ranked[:7])


def test_equal_weights_by_ranks_are_fused_as_fuse_does(lists):
    same = dict.fromkeys(lists, 0.2)
    body = to_milvus(same, standing_for(lists), method="rrf", size=7, rank_constant=20)
    fused = fuse(lists, dict.fromkeys(lists, 1), method="rrf", k=7, rank_constant=20)
    assert served(body, lists) == fused.documents


def test_its_own_client_sends_the_same(weights):
    from pymilvus import AnnSearchRequest, RRFRanker, WeightedRanker
    from pymilvus.client.prepare import Prepare

    body = to_milvus(weights, standing_for(weights), learnt_with="arctan", candidates=30)
    assert body["rerank"] == WeightedRanker(*body["rerank"]["params"]["weights"]).dict()
    same = to_milvus({"a": 1, "b": 1}, standing_for("ab"), method="rrf", rank_constant=20)
    assert same["rerank"] == RRFRanker(20).dict()
    found = [
        AnnSearchRequest(each["data"], each["annsField"], {}, each["limit"])
        for each in body["search"]
    ]
    assert [request.anns_field for request in found] == ["image", "tags", "text"]
    sent = Prepare.hybrid_search_request_with_ranker(
        "products", [], WeightedRanker(*body["rerank"]["params"]["weights"]), body["limit"]
    )
    pairs = {pair.key: pair.value for pair in sent.rank_params}
    assert pairs["strategy"] == body["rerank"]["strategy"]
    assert json.loads(pairs["params"]) == body["rerank"]["params"]
    assert int(pairs["limit"]) == body["limit"]


def test_weights_of_other_ways_of_fusing_do_not_carry_over_and_it_says_so(lists, weights):
    for method in ("min_max", "z_score", "distribution", "rrf"):
        with pytest.warns(CarryOverWarning, match=f"learnt with '{method}'.*arctan") as caught:
            to_milvus(weights, standing_for(lists), learnt_with=method)
        assert [warning.filename for warning in caught] == [__file__]
        to_milvus(dict.fromkeys(lists, 1), standing_for(lists), learnt_with=method)


def test_the_body_is_plain_json_in_an_order_of_its_own(lists, weights):
    asked = standing_for(lists)
    before = copy.deepcopy(asked)
    body = to_milvus(weights, asked, learnt_with="arctan")
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert asked == before
    reordered = (dict(reversed(each.items())) for each in (weights, asked))
    assert to_milvus(*reordered, learnt_with="arctan") == body


def test_limits_of_the_caller_stay():
    asked = standing_for("ab")
    asked["a"]["limit"] = 33
    body = to_milvus({"a": 1, "b": 1}, asked, candidates=50)
    assert [each["limit"] for each in body["search"]] == [33, 50]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rrf"}, "RRFRanker takes none.*method='arctan'.*bandit.fuse"),
        ({"method": "min_max"}, "Milvus cannot fuse by 'min_max'.*'arctan'.*bandit.fuse"),
        ({"method": "arctangent"}, "expected one of arctan, rrf.*Did you mean 'arctan'"),
        ({"learnt_with": "max"}, "learnt_with: got 'max'"),
        ({"rank_constant": 16_384}, "rank_constant: Milvus takes at most 16383, got 16384"),
        ({"candidates": 16_385}, "candidates: Milvus takes at most 16384, got 16385"),
        ({"candidates": 9}, "candidates: got 9, expected at least the size of 10"),
    ],
)
def test_what_it_cannot_express_is_refused(options, message, lists, weights):
    with pytest.raises(InvalidInputError, match=message):
        to_milvus(weights, standing_for(lists), **options)
