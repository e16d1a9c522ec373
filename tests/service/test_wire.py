"""What only a raw connection can do: half requests, no HTTP, slow senders and readers, crowds."""

import asyncio
import contextlib
import gc
import json
import re
import resource
import select
import socket
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from rankloom.service import ServiceSettings, create_app

INTERACTIONS = "/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
JSON = {"content-type": "application/json"}
PATIENCE = 60.0
"""Seconds after which what has to come does not come."""
GONE = (BrokenPipeError, ConnectionResetError)
"""What a sender meets that goes on after the service has answered and hung up."""


class Wire:
    """A raw connection to a service."""

    def __init__(self, client):
        self.socket = socket.create_connection((client.host, client.port), timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def dribble(self, byte):
        """Send a byte now and then until there is an answer, or an end."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(*GONE):
            while not select.select([self.socket], [], [], 0.05)[0]:
                assert time.monotonic() < deadline, "neither an answer nor an end"
                self.send(byte)

    def read(self):
        """Return everything until the service closes."""
        parts = []
        try:
            while part := self.socket.recv(65_536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def status(self):
        """Return the status of the next answer, 0 where the connection ends without one."""
        try:
            text = self.socket.recv(65_536)
        except ConnectionResetError:
            return 0
        return int(text.split()[1]) if text else 0


def head(client, *, role="admin", method="POST", path=INTERACTIONS, **headers):
    """Return a request's head as bytes."""
    given = {
        "host": "service",
        "authorization": f"Bearer {client.tokens.of[role]}",
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def stored(client):
    return client.post({}, f"{INTERACTIONS}/list").json()["items"]


@pytest.mark.parametrize("length", ["1000001", "9" * 18, "9" * 30])
def test_a_huge_content_length_is_refused_before_the_body_is_sent(client, length):
    with Wire(client) as wire:
        wire.send(head(client, content_length=length, expect="100-continue"))
        assert wire.status() in {400, 413}


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "1 2", "", "+5"])
def test_a_content_length_that_is_no_number_is_refused(client, length):
    with Wire(client) as wire:
        with contextlib.suppress(*GONE):
            wire.send(head(client, content_length=length), b"{}")
        assert wire.status() == 400


@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\ncontent-length: 2\r\n",
    ],
)
def test_a_body_whose_end_two_readers_see_at_two_places_is_refused(client, lines):
    with Wire(client) as wire:
        text = head(client).removesuffix(b"\r\n") + lines + b"\r\n"
        wire.send(text + b"{}GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answers = wire.read()
        assert answers.split()[1] == b"400"
        assert b"200 OK" not in answers


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/retrievers/interactions/", "//healthz", "/v1/../healthz"]
)
def test_an_unknown_path_is_404(client, path):
    with Wire(client) as wire:
        wire.send(head(client, method="GET", path=path))
        assert wire.status() == 404


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\x00b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_closed(client, text):
    with Wire(client) as wire:
        wire.send(text)
        wire.socket.shutdown(socket.SHUT_WR)
        answer = wire.read()
        assert answer == b"" or answer.split()[1] in {b"400", b"404"}
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("size", [70_000, 5_000_000])
def test_long_headers_are_refused_however_they_come(client, size):
    with Wire(client) as wire:
        try:
            wire.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ", b"x" * size, b"\r\n\r\n")
            assert wire.status() in {400, 431, 0}
        except GONE:
            pass


def test_many_headers_are_refused(client):
    many = b"".join(b"x-%d: y\r\n" % i for i in range(10_000))
    with Wire(client) as wire:
        with contextlib.suppress(*GONE):
            wire.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + many + b"\r\n")
        assert wire.status() in {400, 431}


def test_a_header_behind_the_body_is_no_header(client):
    """Trailers have passed no proxy's eyes; a token in one counts for nothing."""
    body = b"2\r\n{}\r\n0\r\nauthorization: Bearer %b\r\n\r\n" % client.tokens.of["admin"].encode()
    text = (
        b"POST %b/list HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n" % INTERACTIONS.encode()
    )
    with Wire(client) as wire:
        wire.send(text + body)
        assert wire.status() == 401


def test_a_short_head_with_a_long_body_in_one_piece_is_taken(client):
    body = json.dumps({**CLICK, "metadata": {"text": "x" * 100_000}}).encode()
    with Wire(client) as wire:
        wire.send(head(client, content_length=len(body)) + body)
        assert wire.status() == 200


def as_messages(app, method, path, body, headers):
    """Return status, headers and body of a request of a server with what ASGI demands only."""
    sent = []
    parts = [(body[:5], True), (body[5:], False)]

    async def receive():
        part, more = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": more}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b""}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in headers.items()]
    asyncio.run(app(scope, receive, send))
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    text = b"" if method == "HEAD" else b"".join(message["body"] for message in rest)
    return start["status"], found, text


def test_an_answer_is_the_same_in_another_server_that_names_only_what_it_must(serve_with, tmp_path):
    client = serve_with()
    settings = ServiceSettings(
        log=f"sqlite:///{tmp_path}/other.db",
        state=f"sqlite:///{tmp_path}/other-fusion.db",
        token_file=tmp_path / "tokens",
    )
    app = create_app(settings)
    token = {**client.tokens.headers("admin"), **JSON, "x-request-id": "same"}
    try:
        for method, path, body, headers in (
            ("GET", "/healthz", b"", {}),
            ("HEAD", "/healthz", b"", {}),
            ("GET", "/nowhere", b"", {}),
            ("PUT", INTERACTIONS, b"", {}),
            ("POST", INTERACTIONS, b"{}", {}),
            ("POST", INTERACTIONS, b'{"feature_id": [', token),
            ("POST", f"{INTERACTIONS}/list", b"{}", token),
            ("DELETE", f"{INTERACTIONS}/none", b"", token),
        ):
            given = {"content-length": str(len(body)), "x-request-id": "same", **headers}
            whole = client.http.request(method, path, content=body, headers=given)
            found = {k: v for k, v in whole.headers.items() if k not in {"date", "connection"}}
            other = as_messages(app, method, path, body, given)
            assert other == (whole.status_code, found, whole.content)
    finally:
        app.close()


def test_headers_after_a_body_take_no_memory(serve_with):
    """Anybody may send them, without a token: 400,000 kept ones would be some 60 MB."""
    client = serve_with()
    headers = b"a:b\r\n" * 10_000
    text = b"POST %b HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with Wire(client) as wire:
        tracemalloc.start()
        try:
            with contextlib.suppress(*GONE):
                wire.send(text % INTERACTIONS.encode(), *[headers] * 40, b"\r\n")
                assert wire.status() in {400, 401}
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


def test_a_service_within_a_process_leaves_its_garbage_collector_alone(serve_with):
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    serve_with()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, frozen)


OFFERS = {
    "h2c": {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMA"},
    "tls": {"connection": "keep-alive, upgrade", "upgrade": "TLS/1.0"},
    "websocket": {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x"},
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_ignored_and_no_body_becomes_a_request(client, offer):
    body = json.dumps(CLICK).encode()
    posted = head(client, content_length=len(body), **offer)
    chunked = head(client, transfer_encoding="chunked", **offer)
    inner = b"GET /healthz HTTP/1.1\r\nhost: inner\r\n\r\n"
    smuggling = head(client, content_length=len(inner), **offer)
    for parts, statuses in (
        ([head(client, method="GET", path="/healthz", **offer)], [200]),
        ([posted + body], [200]),
        ([posted[:90], posted[90:], body[:10], body[10:]], [200]),
        ([chunked, b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"], [200]),
        ([smuggling, inner], [422]),
        ([smuggling + inner + posted + body + inner], [422, 200, 200]),
    ):
        with Wire(client) as wire:
            for part in parts:
                wire.send(part)
                assert client.get("/healthz").status_code == 200  # what was sent has been read
            wire.send(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            found = re.findall(rb"HTTP/1.1 (\d+)", wire.read())
        assert list(map(int, found)) == [*statuses, 404]
    assert len(stored(client)) == 4


def test_requests_sent_ahead_of_their_answers_take_no_memory(serve_with):
    """Behind a request whose body does not come, 60 MB of others arrive."""
    client = serve_with()
    others = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 50_000
    with Wire(client) as wire:
        wire.send(head(client, content_length=2), b"{")
        before = _resident()
        with contextlib.suppress(*GONE):
            wire.send(b"}" + head(client, method="GET", path="/readyz"), *[others] * 30)
        assert client.get("/healthz").status_code == 200
        assert _resident() - before < 40_000_000


def _resident():
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def test_a_few_requests_sent_ahead_are_answered_in_order(client):
    with Wire(client) as wire:
        for path in ("/healthz", "/nowhere", "/healthz"):
            wire.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        text = b""
        while text.count(b"HTTP/1.1 ") < 3:
            text += wire.socket.recv(65_536)
        wire.send(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text += wire.read()
    assert re.findall(rb"HTTP/1.1 (\d+)", text) == [b"200", b"404", b"200", b"404"]


def test_a_connection_cut_in_a_body_stores_nothing(client):
    body = json.dumps(CLICK).encode()
    for sent in (b"", body[:10], body[:-1]):
        with Wire(client) as wire:
            wire.send(head(client, content_length=len(body)), sent)
    # The log commits in order: what a cut body had recorded would be there before this row.
    whole = client.post(CLICK).json()["interaction_id"]
    assert [each["interaction_id"] for each in stored(client)] == [whole]


def test_a_body_that_dribbles_is_408(serve_with):
    client = serve_with(body_seconds=0.5)
    with Wire(client) as wire:
        wire.send(head(client, content_length=100_000))
        wire.dribble(b" ")
        assert wire.status() == 408
    assert client.service.limits.bytes == 0
    assert client.service.limits.requests == 0


def test_connections_beyond_the_bound_are_503_and_others_go_on(serve_with):
    client = serve_with(max_connections=5)
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    idle = [Wire(client) for _ in range(5)]
    for each in idle:
        each.send(request)
        assert each.status() == 200
    with Wire(client) as wire:
        wire.send(request)
        assert b"503" in wire.read().split(b"\r\n")[0]
    idle[0].send(request)
    assert idle[0].status() == 200
    for each in idle:
        each.socket.close()


def test_bodies_beyond_the_memory_for_them_are_503(serve_with, wait_until):
    client = serve_with(max_bytes_in_flight=1_500_000)
    with Wire(client) as slow:
        slow.send(head(client, content_length=1_000_000), b" ")
        wait_until(lambda: client.service.limits.bytes == 1_000_000)
        body = json.dumps(CLICK).encode() + b" " * 600_000
        answer = client.send("POST", INTERACTIONS, content=body, headers=JSON)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert client.post(CLICK).status_code == 200
        assert client.get("/metrics", role="metrics").status_code == 200


def test_requests_beyond_the_bound_are_503_and_health_still_answers(serve_with, wait_until):
    client = serve_with(max_requests=2)
    slow = [Wire(client) for _ in range(2)]
    for each in slow:
        each.send(head(client, content_length=100))
    wait_until(lambda: client.service.limits.requests == 2)
    answer = client.post(CLICK)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert client.get("/healthz").status_code == 200
    for each in slow:
        each.socket.close()
    wait_until(lambda: client.service.limits.requests == 0)
    assert client.post(CLICK).status_code == 200


def test_many_slow_senders_do_not_keep_others_waiting(serve_with):
    client = serve_with(body_seconds=10 * PATIENCE, request_seconds=10 * PATIENCE)
    slow = [Wire(client) for _ in range(100)]
    for each in slow:
        each.send(head(client, content_length=1000), b"{")
    done = threading.Event()
    answers = []

    def ask():
        answers.extend(client.post(CLICK).status_code for _ in range(20))
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    assert done.wait(PATIENCE)
    assert answers == [200] * 20
    for each in slow:
        each.socket.close()
