"""Qdrant's own client: its models judge the bodies, and its in-memory engine answers them.

The engine is a Python twin of the server that holds one shard. Every document's score in a channel
is the dot product of a one-dimensional vector with 1, so that the lists are what is searched.
"""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import CarryOverWarning, to_qdrant
from rankloom.errors import InvalidInputError


def point_id(document):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, document))


@pytest.fixture
def served(lists):
    """Return a function that answers a body: document ids and scores, best first."""
    from qdrant_client import QdrantClient, models  # takes two seconds

    vector = models.VectorParams(size=1, distance=models.Distance.DOT)
    documents = {document for pairs in lists.values() for document, _ in pairs}
    vectors = {document: {} for document in documents}
    for uri, pairs in lists.items():
        for document, score in pairs:
            vectors[document][uri] = [score]
    client = QdrantClient(":memory:")
    client.create_collection("c", vectors_config=dict.fromkeys(lists, vector))
    client.upsert(
        "c",
        [
            models.PointStruct(id=point_id(document), vector=each, payload={"id": document})
            for document, each in vectors.items()
        ],
    )

    def answer(body):
        request = models.QueryRequest.model_validate(body)
        assert request.model_dump(exclude_unset=True, mode="json") == body
        found = client.query_points(
            "c", prefetch=request.prefetch, query=request.query, limit=request.limit
        )
        return tuple(p.payload["id"] for p in found.points), [p.score for p in found.points]

    yield answer
    client.close()


def standing_for(lists):
    return {uri: {"query": [1.0], "using": uri} for uri in lists}


def assert_same(documents, scores, fused, scale):
    """Raise unless both rank the same documents by the same scores; near ties may change places."""
    expected = dict(zip(fused.documents, fused.scores, strict=True))
    assert sorted(documents) == sorted(expected)
    np.testing.assert_allclose(
        scale * np.array(scores), [expected[document] for document in documents], rtol=1e-5
    )


@pytest.mark.parametrize("method", ["distribution", "rrf"])
def test_on_one_shard_the_engine_ranks_as_fuse_does(method, lists, weights, served):
    body = to_qdrant(
        weights,
        standing_for(lists),
        method=method,
        learnt_with=method,
        size=40,
        rank_constant=20,
        single_shard=True,
    )
    assert set(body["query"]["defaults"].items()) == {(f"$score[{i}]", 0.0) for i in range(3)}
    documents, scores = served(body)
    fused = fuse(lists, weights, method=method, k=40, rank_constant=20)
    assert_same(documents, scores, fused, 21 if method == "rrf" else 1)


@pytest.mark.parametrize("method", ["distribution", "rrf"])
def test_equal_weights_rank_as_fuse_does_on_any_shards(method, lists, served):
    """The fusion is the main query, which Qdrant computes over all shards together."""
    same = dict.fromkeys(lists, 0.2)
    body = to_qdrant(same, standing_for(lists), method=method, size=40)
    assert "prefetch" not in body["prefetch"][0]
    documents, scores = served(body)
    fused = fuse(lists, dict.fromkeys(lists, 1), method=method, k=40)
    assert_same(documents, scores, fused, 61 if method == "rrf" else 1)


def test_qdrants_own_rrf_divides_ranks_by_weights_and_it_says_so(lists, weights, served):
    with pytest.warns(CarryOverWarning, match="divides the rank by the weight"):
        body = to_qdrant(weights, standing_for(lists), learnt_with="rrf", size=40, rank_constant=20)
    assert body["query"]["rrf"]["weights"] == pytest.approx([0.6, 0.9, 1.5])
    score = {}
    for uri, pairs in lists.items():
        for rank, (document, _) in enumerate(sorted(pairs, key=lambda pair: -pair[1]), start=1):
            part = 1 / (20 + rank / (3 * weights[uri]))
            score[document] = score.get(document, 0) + part
    documents, scores = served(body)
    np.testing.assert_allclose(scores, [score[document] for document in documents], rtol=1e-5)
    assert len(documents) == len(score)


def test_limits_of_the_caller_stay(lists):
    asked = standing_for(lists)
    asked["text"] |= {"limit": 33}
    body = to_qdrant(dict.fromkeys(lists, 1), asked, candidates=50)
    assert [each["limit"] for each in body["prefetch"]] == [50, 50, 33]


def test_unequal_distribution_based_weights_need_one_shard(lists, weights):
    with pytest.raises(InvalidInputError, match="dbsf takes none.*single_shard=True.*bandit.fuse"):
        to_qdrant(weights, standing_for(lists), method="distribution", learnt_with="distribution")


def test_weight_0_is_refused_where_the_rank_is_divided_by_it(lists, weights):
    muted = weights | {"tags": 0}
    with pytest.raises(InvalidInputError, match="leave out 'tags'"):
        to_qdrant(muted, standing_for(lists), learnt_with="rrf")
    to_qdrant(muted, standing_for(lists), learnt_with="rrf", single_shard=True)
