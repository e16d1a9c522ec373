"""The published rules, from learn.microsoft.com/azure/search, and what its own client sends.

hybrid-search-ranking: every list gives 1 / (60 + rank), rank = 1, 2, ...; the text search is a list
and so is every field of every vector query. vector-search-how-to-query: `weight`, above 0, by
default 1, multiplies what its vector query gives.
"""

from __future__ import annotations

import json

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import to_azure
from rankloom.errors import InvalidInputError

TEXT = {"text": {"search": "text"}}


def standing_for(lists):
    """Return a text search for `text` and vector queries for the others."""
    vectors = {uri: {"kind": "vector", "vector": [1.0], "fields": uri} for uri in lists}
    return vectors | TEXT


def served(body, lists):
    """Answer the body as the documentation says."""
    searches = [(query["fields"], query["weight"], query["k"]) for query in body["vectorQueries"]]
    if "search" in body:
        searches.append((body["search"], 1.0, 1_000))
    total = {}
    for uri, weight, most in searches:
        assert weight > 0
        for rank, (document, _) in enumerate(
            sorted(lists[uri], key=lambda pair: -pair[1])[:most], start=1
        ):
            total[document] = total.get(document, 0) + weight / (60 + rank)
    ranked = sorted(total, key=lambda document: (-total[document], document))
    return tuple(ranked[: body["top"]])


def test_the_search_ranks_as_fuse_does(lists, weights):
    body = to_azure(weights, standing_for(lists), learnt_with="rrf", size=7)
    assert served(body, lists) == fuse(lists, weights, method="rrf", k=7).documents


def test_vectors_alone_are_fused_too(lists, weights):
    vectors = {uri: pairs for uri, pairs in lists.items() if uri != "text"}
    kept = {uri: weights[uri] for uri in vectors}
    asked = {uri: query for uri, query in standing_for(lists).items() if uri in vectors}
    body = to_azure(kept, asked, learnt_with="rrf", size=7)
    assert "search" not in body
    assert served(body, vectors) == fuse(vectors, kept, method="rrf", k=7).documents


def test_its_own_client_sends_the_same(weights):
    """What the client sends through a transport of this test, which sends nothing."""
    from azure.core.credentials import AzureKeyCredential
    from azure.core.pipeline.transport import HttpTransport
    from azure.search.documents import SearchClient
    from azure.search.documents.models import VectorizedQuery

    sent = []

    class SentError(Exception):
        pass

    class Transport(HttpTransport):
        def open(self):
            pass

        def close(self):
            pass

        def __exit__(self, *args):
            pass

        def send(self, request, **_):
            sent.append(json.loads(request.body))
            raise SentError

    body = to_azure(weights, standing_for(weights), learnt_with="rrf", candidates=30)
    vectors = [
        VectorizedQuery(
            vector=query["vector"],
            k_nearest_neighbors=query["k"],
            fields=query["fields"],
            weight=query["weight"],
        )
        for query in body["vectorQueries"]
    ]
    client = SearchClient(
        "https://example.search.windows.net",
        "products",
        AzureKeyCredential("none"),
        transport=Transport(),
    )
    with client, pytest.raises(SentError):
        list(client.search(body["search"], vector_queries=vectors, top=body["top"]))
    assert {name: sent[0][name] for name in body} == body


@pytest.mark.parametrize(
    ("weights", "asked", "message"),
    [
        ({"text": 1, "a": 0}, {"a": {"kind": "vector"}} | TEXT, "above 0; leave out 'a'"),
        ({"text": 1, "a": 1}, {"a": {"search": "x"}} | TEXT, "one text search, got 'a', 'text'"),
        ({"text": 1, "a": 1}, {"a": {"k": 3}} | TEXT, r"queries\['a'\]: expected a text search"),
        (
            {"text": 1, "a": 1},
            {"a": {"kind": "vector", "fields": "b,c"}} | TEXT,
            "the fields 'b,c'.*make each a channel",
        ),
    ],
)
def test_what_it_cannot_express_is_refused(weights, asked, message):
    with pytest.raises(InvalidInputError, match=message):
        to_azure(weights, asked, learnt_with="rrf")


def test_options_arrive():
    asked = {"a": {"kind": "vector", "fields": "a", "k": 33}, "b": {"kind": "text", "fields": "b"}}
    body = to_azure({"a": 1, "b": 1}, asked, size=20, candidates=50)
    assert [query["k"] for query in body["vectorQueries"]] == [33, 50]
    assert body["top"] == 20
    with pytest.raises(InvalidInputError, match="size: .* at most 1000, got 1001"):
        to_azure({"a": 1, "b": 1}, asked, size=1_001, candidates=2_000)
