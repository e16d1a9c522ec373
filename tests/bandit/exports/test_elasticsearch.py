"""The published rules, from elastic.co/docs/reference/elasticsearch/rest-apis/retrievers.

linear-retriever: an entry of `retrievers` has `retriever`, `weight` (float, at least 0) and
`normalizer` (none, minmax, l2_norm); score = sum of weight x (score - min) / (max - min).
rrf-retriever: two or more entries with `retriever` and `weight` (float, at least 0);
`rank_constant` is an integer, at least 1; score = sum of weight / (rank_constant + rank).
Both: `rank_window_size` is an integer, at least 1 and at least `size`.
"""

from __future__ import annotations

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import to_elasticsearch
from rankloom.errors import InvalidInputError


def standing_for(lists):
    """Return retrievers by which the engine below finds the lists."""
    return {uri: {"standard": {"query": {"term": {"uri": uri}}}} for uri in lists}


def served(body, lists):
    """Answer the body as the documentation says, and break every rule that it breaks."""
    assert set(body) == {"size", "retriever"}
    ((kind, fusion),) = body["retriever"].items()
    own = {"linear": set(), "rrf": {"rank_constant"}}[kind]
    assert set(fusion) == {"retrievers", "rank_window_size"} | own
    assert type(fusion["rank_window_size"]) is int
    assert fusion["rank_window_size"] >= max(body["size"], 1)
    total = {}
    for entry in fusion["retrievers"]:
        assert set(entry) == {"retriever", "weight"} | (
            {"normalizer"} if kind == "linear" else set()
        )
        assert type(entry["weight"]) is float
        assert entry["weight"] >= 0
        found = lists[entry["retriever"]["standard"]["query"]["term"]["uri"]]
        found = sorted(found, key=lambda pair: -pair[1])[: fusion["rank_window_size"]]
        for rank, (document, score) in enumerate(found, start=1):
            if kind == "linear":
                assert entry["normalizer"] == "minmax"
                x = (score - found[-1][1]) / (found[0][1] - found[-1][1])
            else:
                assert type(fusion["rank_constant"]) is int
                assert len(fusion["retrievers"]) >= 2
                x = 1 / (fusion["rank_constant"] + rank)
            total[document] = total.get(document, 0) + entry["weight"] * x
    return tuple(sorted(total, key=lambda document: (-total[document], document))[: body["size"]])


@pytest.mark.parametrize("method", ["min_max", "rrf"])
def test_the_search_ranks_as_fuse_does(method, lists, weights):
    body = to_elasticsearch(weights, standing_for(lists), method=method, learnt_with=method, size=7)
    assert served(body, lists) == fuse(lists, weights, method=method, k=7).documents


def test_options_arrive():
    asked = standing_for(["a", "b"])
    same = {"a": 1, "b": 1}
    body = to_elasticsearch(same, asked, method="rrf", size=3, candidates=50, rank_constant=20)
    assert body["size"] == 3
    assert body["retriever"]["rrf"]["rank_window_size"] == 50
    assert body["retriever"]["rrf"]["rank_constant"] == 20
    linear = to_elasticsearch(same, asked, candidates=70)["retriever"]["linear"]
    assert linear["rank_window_size"] == 70


def test_one_retriever_is_enough_for_linear_and_too_few_for_rrf():
    asked = standing_for(["a"])
    assert len(to_elasticsearch({"a": 1}, asked)["retriever"]["linear"]["retrievers"]) == 1
    with pytest.raises(InvalidInputError, match="rrf needs at least 2, got 1"):
        to_elasticsearch({"a": 1}, asked, method="rrf")
