"""The published rules, from docs.weaviate.io and github.com/weaviate/weaviate, and its own client.

hybrid_fusion.go: relativeScoreFusion adds up alpha x (score - lowest) / (highest - lowest) of the
vector search and (1 - alpha) x that of the keyword search; rankedFusion weight / (60 + place),
place = 0, 1, ...
"""

from __future__ import annotations

import warnings

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import CarryOverWarning, to_weaviate
from rankloom.errors import InvalidInputError

KEYWORD = {"query": "text", "properties": ["title"]}
VECTOR = {"vector": [0.25, 0.75], "targetVectors": ["image"]}
OTHER = {"vector": [1.0], "targetVectors": ["tags"]}


def served(body, lists):
    """Answer a hybrid search as the documentation says."""
    hybrid = body["hybrid"]
    weights = {"image": hybrid["alpha"], hybrid["query"]: 1 - hybrid["alpha"]}
    total = {}
    for uri, weight in weights.items():
        found = sorted(lists[uri], key=lambda pair: -pair[1])[:100]
        for place, (document, score) in enumerate(found):
            if hybrid["fusionType"] == "relativeScoreFusion":
                x = (score - found[-1][1]) / (found[0][1] - found[-1][1])
            else:
                assert hybrid["fusionType"] == "rankedFusion"
                x = 1 / (60 + place)
            total[document] = total.get(document, 0) + weight * x
    ranked = sorted(total, key=lambda document: (-total[document], document))
    return tuple(ranked[: body["limit"]])


@pytest.mark.parametrize(("method", "rank_constant"), [("min_max", 60), ("rrf", 59)])
def test_the_search_ranks_as_fuse_does(method, rank_constant, lists, weights):
    two = {uri: lists[uri] for uri in ("text", "image")}
    weights = {uri: weights[uri] for uri in two}
    asked = {"text": KEYWORD, "image": VECTOR}
    body = to_weaviate(weights, asked, method=method, learnt_with=method, size=7)
    fused = fuse(two, weights, method=method, k=7, rank_constant=rank_constant)
    assert served(body, two) == fused.documents


@pytest.fixture
def client():
    """Return what makes the client's messages, which it sends over gRPC."""
    with warnings.catch_warnings():
        # A package that it depends on warns of its own next version.
        warnings.simplefilter("ignore")
        from weaviate.collections.grpc.query import _QueryGRPC
        from weaviate.util import _ServerVersion
    return _QueryGRPC(
        _ServerVersion(1, 33, 0),
        "Product",
        tenant=None,
        consistency_level=None,
        validate_arguments=True,
        uses_125_api=True,
        uses_127_api=True,
    )


@pytest.mark.parametrize("method", ["min_max", "rrf"])
def test_its_own_client_takes_the_values_of_a_hybrid_search(method, client):
    from weaviate.classes.query import HybridFusion

    asked = {"text": KEYWORD, "image": VECTOR}
    body = to_weaviate({"text": 3, "image": 1}, asked, method=method, learnt_with=method)
    hybrid = body["hybrid"]
    kinds = {
        "relativeScoreFusion": HybridFusion.RELATIVE_SCORE,
        "rankedFusion": HybridFusion.RANKED,
    }
    sent = client.hybrid(
        query=hybrid["query"],
        alpha=hybrid["alpha"],
        vector=hybrid["vector"],
        properties=hybrid["properties"],
        fusion_type=kinds[hybrid["fusionType"]],
        target_vector=hybrid["targetVectors"][0],
        limit=body["limit"],
    )
    message = sent.hybrid_search
    assert (message.query, message.alpha, sent.limit) == ("text", 0.25, 10)
    assert list(message.properties) == ["title"]
    assert message.fusion_type == {"min_max": 2, "rrf": 1}[method]
    assert list(message.targets.target_vectors) == ["image"]


def test_its_own_client_takes_the_weights_of_target_vectors(client):
    from weaviate.classes.query import TargetVectors

    with pytest.warns(CarryOverWarning, match="computes the score of what .* missed") as caught:
        body = to_weaviate({"image": 3, "tags": 1}, {"image": VECTOR, "tags": OTHER})
    assert [warning.filename for warning in caught] == [__file__]
    near = body["nearVector"]
    assert near["targets"]["combinationMethod"] == "relativeScore"
    sent = client.near_vector(
        near_vector=near["vectorPerTarget"],
        target_vector=TargetVectors.relative_score(near["targets"]["weights"]),
        limit=body["limit"],
    )
    targets = sent.near_vector.targets
    assert list(targets.target_vectors) == near["targets"]["targetVectors"] == ["image", "tags"]
    assert {each.target: each.weight for each in targets.weights_for_targets} == {
        "image": 0.75,
        "tags": 0.25,
    }
    named = targets.DESCRIPTOR.fields_by_name["combination"].enum_type.values_by_name
    number = named["COMBINATION_METHOD_TYPE_RELATIVE_SCORE"].number
    assert targets.combination == number


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        (
            {"text": KEYWORD, "image": VECTOR, "tags": OTHER},
            {},
            "2 and 1 of them; leave out channels, .* several targets, or .*bandit.fuse",
        ),
        ({"text": KEYWORD, "title": KEYWORD}, {}, "there are 0 and 2 of them"),
        ({"text": KEYWORD}, {}, "there are 0 and 1 of them"),
        ({"text": KEYWORD, "image": {"concepts": ["x"]}}, {}, r"searches\['image'\]: expected a"),
        ({"text": KEYWORD, "image": VECTOR | {"query": "x"}}, {}, "both have 'query'"),
        ({"image": VECTOR, "tags": OTHER}, {"method": "rrf"}, "fuse target vectors by 'rrf'"),
        ({"image": VECTOR, "tags": VECTOR}, {}, "several have one target vector: 'image'"),
        ({"image": VECTOR, "tags": {"vector": [1.0]}}, {}, r"searches\['tags'\]: expected a 'vec"),
        ({"text": KEYWORD, "image": VECTOR}, {"size": 10_001}, "at most 10000, got 10001"),
    ],
)
def test_what_it_cannot_express_is_refused_with_the_way_out(asked, options, message):
    same = dict.fromkeys(asked, 1)
    with pytest.raises(InvalidInputError, match=message):
        to_weaviate(same, asked, **options)
