"""The published rules, from mongodb.com/docs/manual/reference/operator/aggregation, and the wire.

scoreFusion: names of pipelines are not empty, do not begin with $ and hold no dot;
`combination.weights` and `combination.expression` exclude each other; in the expression $$name is
the normalised score, 0 where the pipeline missed the document. lite_parsed_hybrid_search_desugarer:
the score of a pipeline is multiplied by its weight first and scaled by $minMaxScaler then, and all
are averaged. rankFusion: sum of weight / (60 + rank).
"""

from __future__ import annotations

import socketserver
import struct
import threading

import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import to_mongodb
from rankloom.errors import InvalidInputError


def standing_for(lists):
    return {uri: {"$search": {"term": uri}} for uri in lists}


def found_by(pipeline, lists):
    """Return what an input pipeline finds, best first, as documents and scores."""
    search, *rest = pipeline
    found = sorted(lists[search["$search"]["term"]], key=lambda pair: -pair[1])
    for stage in rest:
        found = found[: stage["$limit"]]
    return dict(found)


def scaled(scores):
    low, high = min(scores.values()), max(scores.values())
    width = high - low
    return {one: (score - low) / width if width else 0.0 for one, score in scores.items()}


def evaluated(expression, variables):
    """Return the value of an expression of $sum, $multiply, $$names and numbers."""
    if isinstance(expression, str):
        return variables[expression.removeprefix("$$")]
    if not isinstance(expression, dict):
        return expression
    ((name, operands),) = expression.items()
    values = [evaluated(each, variables) for each in operands]
    return sum(values) if name == "$sum" else values[0] * values[1]


def served(body, lists):
    """Answer the body as the documentation says."""
    stage, limit = body["pipeline"]
    ((name, spec),) = stage.items()
    pipelines, combination = spec["input"]["pipelines"], spec["combination"]
    for key in pipelines:
        assert key
        assert not key.startswith("$")
        assert "." not in key
    found = {key: found_by(pipeline, lists) for key, pipeline in pipelines.items()}
    weights = combination.get("weights", {})
    assert set(weights) <= set(pipelines)
    total = {}
    if name == "$rankFusion":
        for key, scores in found.items():
            for rank, document in enumerate(scores, start=1):
                part = weights.get(key, 1) / (60 + rank)
                total[document] = total.get(document, 0) + part
    else:
        assert spec["input"]["normalization"] == "minMaxScaler"
        weighed = {
            key: {one: score * weights.get(key, 1) for one, score in scores.items()}
            for key, scores in found.items()
        }
        normal = {key: scaled(scores) for key, scores in weighed.items()}
        for document in {one for scores in normal.values() for one in scores}:
            values = {key: scores.get(document, 0.0) for key, scores in normal.items()}
            if combination["method"] == "avg":
                total[document] = sum(values.values()) / len(values)
            else:
                assert not weights
                total[document] = evaluated(combination["expression"], values)
    ranked = sorted(total, key=lambda document: (-total[document], document))
    return tuple(ranked[: limit["$limit"]])


@pytest.mark.parametrize("method", ["min_max", "rrf"])
def test_the_aggregation_ranks_as_fuse_does(method, lists, weights):
    body = to_mongodb(weights, standing_for(lists), method=method, learnt_with=method, size=7)
    assert served(body, lists) == fuse(lists, weights, method=method, k=7).documents


def test_weights_of_score_fusion_would_have_no_effect_there(lists, weights):
    """Why `min_max` is an expression: what is multiplied before it is scaled is scaled back."""
    body = to_mongodb(weights, standing_for(lists), size=7)
    spec = body["pipeline"][0]["$scoreFusion"]
    spec["combination"] = {"method": "avg", "weights": weights}
    same = fuse(lists, dict.fromkeys(weights, 1.0), k=7).documents
    assert served(body, lists) == same
    assert same != fuse(lists, weights, k=7).documents


def test_names_that_cannot_be_variables_are_numbered(lists, weights):
    renamed = {f"mixpeek://{uri}.x": pairs for uri, pairs in lists.items()}
    body = to_mongodb(
        {f"mixpeek://{uri}.x": weight for uri, weight in weights.items()},
        standing_for(renamed),
        size=7,
    )
    names = list(body["pipeline"][0]["$scoreFusion"]["input"]["pipelines"])
    assert names == ["channel_0", "channel_1", "channel_2"]
    assert served(body, renamed) == fuse(lists, weights, k=7).documents


def test_limits_of_the_caller_stay():
    asked = {"a": [{"$search": {}}, {"$limit": 30}], "b": {"$vectorSearch": {"limit": 5}}}
    body = to_mongodb({"a": 1, "b": 1}, asked, candidates=50)
    pipelines = body["pipeline"][0]["$scoreFusion"]["input"]["pipelines"]
    assert pipelines["a"] == asked["a"]
    assert pipelines["b"] == [asked["b"], {"$limit": 50}]


def test_a_channel_without_stages_is_refused():
    with pytest.raises(InvalidInputError, match=r"pipelines\['a'\]: got no stage"):
        to_mongodb({"a": 1}, {"a": []})


HELLO = {
    "ok": 1.0,
    "isWritablePrimary": True,
    "maxWireVersion": 27,
    "minWireVersion": 0,
    "maxBsonObjectSize": 16 * 2**20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
}
NOTHING = {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.products", "firstBatch": []}}


class Server(socketserver.ThreadingTCPServer):
    """Speaks MongoDB's wire protocol, finds nothing, and notes every command."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.received = []


class Answers(socketserver.StreamRequestHandler):
    def handle(self):
        import bson

        while header := self.rfile.read(16):
            length, request, _, code = struct.unpack("<iiii", header)
            payload = self.rfile.read(length - 16)
            if code == 2004:  # OP_QUERY, the first hello of a connection
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(HELLO)
                answer = 1
            else:
                command = bson.decode(payload[5:])
                self.server.received.append(command)
                found = NOTHING if "aggregate" in command else HELLO
                reply = struct.pack("<iB", 0, 0) + bson.encode(found)
                answer = 2013
            self.wfile.write(struct.pack("<iiii", 16 + len(reply), 0, request, answer) + reply)


@pytest.fixture
def server():
    with Server() as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


@pytest.mark.parametrize("method", ["min_max", "rrf"])
def test_pymongo_sends_it_as_it_is(method, lists, weights, server):
    from pymongo import MongoClient  # takes a second

    body = to_mongodb(weights, standing_for(lists), method=method, learnt_with=method)
    host, port = server.server_address
    options = {"directConnection": True, "serverMonitoringMode": "poll", "timeoutMS": 20_000}
    with MongoClient(host, port, **options) as client:
        assert client["shop"]["products"].aggregate(**body).to_list() == []
    sent = [command for command in server.received if "aggregate" in command]
    assert [command["pipeline"] for command in sent] == [body["pipeline"]]
