"""Bodies that are too large, too deep or malformed, other methods and odd ids: refused, cheaply."""

import json

import pytest

INTERACTIONS = "/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
JSON = {"content-type": "application/json"}
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("path", "limit"), [("", MEGABYTE), ("/batch", 8 * MEGABYTE), ("/list", MEGABYTE)]
)
def test_a_body_above_its_limit_is_413(client, path, limit):
    body = json.dumps({"metadata": "x" * limit}).encode()
    answer = client.send("POST", INTERACTIONS + path, content=body, headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "PayloadTooLarge"


def test_a_body_above_its_limit_in_chunks_of_unknown_number_is_413(client):
    def endless():
        for _ in range(3 * MEGABYTE // 1000):
            yield b" " * 1000

    answer = client.send("POST", INTERACTIONS, content=endless(), headers=JSON)
    assert answer.status_code == 413


def test_a_body_at_its_limit_is_read(client):
    empty = json.dumps(CLICK).encode()
    body = empty + b" " * (MEGABYTE - len(empty))
    assert client.send("POST", INTERACTIONS, content=body, headers=JSON).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/html", "", "application/xml", "application/json; charset=latin-1", "json"]
)
def test_a_body_that_is_not_said_to_be_json_is_415(client, kind):
    body = json.dumps(CLICK).encode()
    answer = client.send("POST", INTERACTIONS, content=body, headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("kind", ["application/json;charset=UTF-8", "Application/JSON"])
def test_json_is_known_however_it_is_written(client, kind):
    body = json.dumps(CLICK).encode()
    answer = client.send("POST", INTERACTIONS, content=body, headers={"content-type": kind})
    assert answer.status_code == 200


def test_a_body_in_another_compression_than_gzip_is_415(client):
    assert client.post(CLICK, headers={"content-encoding": "br"}).status_code == 415
    assert client.post(CLICK, headers={"content-encoding": "gzip"}).status_code == 422


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\x00",
    b"\xff\xfe{}",
    b'{"feature_id": "\xff\xfe"}',
    b'{"feature_id": "\\ud800", "interaction_type": ["click"], "position": 0}',
    b'{"feature_id": "d", "interaction_type": ["click"], "position": NaN}',
    b'{"feature_id": "d", "interaction_type": ["click"], "position": 1e400}',
    b'{"feature_id": "d", "interaction_type": ["click"], "position": ' + b"9" * 10_000 + b"}",
    b'{"feature_id": "d", "interaction_type": ["click"], "position": 0, "position"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"metadata": ' + b'{"a":' * 70 + b"1" + b"}" * 71,
    b"{}" * 2,
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("path", ["", "/batch", "/list"])
def test_malformed_json_is_422(client, path, body):
    if path == "/list" and not body:
        pytest.skip("a search without a body finds everything")
    answer = client.send("POST", INTERACTIONS + path, content=body, headers=JSON)
    assert answer.status_code == 422
    errors = answer.json()["error"]["details"]["errors"]
    assert all(each["reason"] for each in errors)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, "1e308", str(2**63), str(2**64)])
def test_a_huge_number_in_metadata_is_kept_or_refused_but_never_an_error(client, number):
    body = json.dumps({**CLICK, "metadata": {"n": 0}}).replace('"n": 0', f'"n": {number}').encode()
    answer = client.send("POST", INTERACTIONS, content=body, headers=JSON)
    assert answer.status_code in {200, 422}
    if answer.status_code == 200:
        kept = answer.json()["interaction_id"]
        assert client.get(f"{INTERACTIONS}/{kept}").json() == answer.json()


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", INTERACTIONS, "DELETE, GET, POST"),
        ("POST", f"{INTERACTIONS}/i", "DELETE, GET"),
        ("DELETE", "/healthz", "GET"),
        ("OPTIONS", "/v1/rerank", "POST"),
    ],
)
def test_another_method_is_405_with_those_there_are(client, method, path, allow):
    answer = client.send(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow


def test_head_is_get_without_the_body(client):
    answer = client.send("HEAD", "/healthz")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("given", ["trace-1.A_b", "x" * 64])
def test_a_harmless_request_id_comes_back(client, given):
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", b"\xff", '{"a":1}'])
def test_any_other_request_id_is_replaced(client, given):
    answer = client.get("/healthz", headers={"x-request-id": given})
    assert len(answer.headers["x-request-id"]) == 16


def test_a_line_break_in_an_id_makes_no_header(client):
    name = "a\r\nx-evil: 1"
    answer = client.post({**CLICK, "interaction_id": name, "user_id": "u\r\nset-cookie: a=b"})
    assert "x-evil" not in answer.headers
    assert "set-cookie" not in answer.headers
    refused = client.delete(f"{INTERACTIONS}/a%0d%0ax-evil:%201")
    assert refused.status_code == 422
    assert "x-evil" not in refused.headers
