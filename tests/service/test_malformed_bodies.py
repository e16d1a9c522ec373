"""Whatever stands in a body, the service answers it with its envelope and keeps nothing of it."""

import json
import os
import random
import socket
import string
import time
from pathlib import Path

import pytest

from rankloom.service.api.examples import EXAMPLES
from rankloom.service.api.listing import InteractionFilters
from rankloom.service.api.schemas import (
    EnableFusion,
    FusionRollout,
    InteractionBatch,
    NewInteraction,
    RerankBatch,
    RerankRequest,
)

INTERACTIONS = "/v1/retrievers/interactions"
FUSION = "/v1/retrievers/fuzzed/learned-fusion"
BODIES = {
    INTERACTIONS: EXAMPLES[NewInteraction],
    f"{INTERACTIONS}/batch": EXAMPLES[InteractionBatch],
    f"{INTERACTIONS}/list": EXAMPLES[InteractionFilters],
    f"{FUSION}/enable": EXAMPLES[EnableFusion],
    f"{FUSION}/rollout": EXAMPLES[FusionRollout],
    "/v1/rerank": EXAMPLES[RerankRequest],
    "/v1/rerank/batch": EXAMPLES[RerankBatch],
}
STRANGE = (
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "-0.0",
    "2147483648",
    "9223372036854775808",
    "-9223372036854775809",
    "1" + "0" * 400,
    "1" + "0" * 5_000,
    "0." + "3" * 5_000,
    '""',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"' + "x" * 1_025 + '"',
    '"' + "\N{GRINNING FACE}" * 300 + '"',
    '"2026-13-45T99:99:99Z"',
    '"9999-12-31T23:59:59.999999-23:59"',
    '"0001-01-01T00:00:00+23:59"',
    "[]",
    "{}",
    "[[[[]]]]",
    '{"":{"":{"":null}}}',
    '{"a":1,"a":2}',
    '["click","click",null,7]',
    '{"field":"1=1; --","operator":"eq","value":"x"}',
    '{"AND":[{"OR":[{"NOT":[{}]}]}]}',
    "[" * 60 + "]" * 60,
    "[" * 3_000 + "]" * 3_000,
    '{"a":' * 70 + "1" + "}" * 70,
)
HOLE = "\N{BLACK SQUARE}"
GROWTH = 8_000_000
"""Bytes that allocator and caches may take beyond the size after the first fifth."""


def places(value, path=()):
    """Yield the path of every value within a JSON value."""
    yield path
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places(value[key], (*path, key))


def with_hole(value, path):
    """Return a copy of a JSON value with a mark at one place."""
    if not path:
        return HOLE
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_hole(value[path[0]], path[1:])
    return copy


def strange_value(good, generator):
    text = json.dumps(with_hole(good, generator.choice(list(places(good)))), ensure_ascii=False)
    return text.replace(f'"{HOLE}"', generator.choice(STRANGE)).encode()


def flipped(good, generator):
    raw = bytearray(json.dumps(good).encode())
    for _ in range(generator.randint(1, 4)):
        raw[generator.randrange(len(raw))] = generator.randrange(256)
    return bytes(raw)


def cut(good, generator):
    raw = json.dumps(good).encode()
    return raw[: generator.randrange(len(raw))]


def spliced(good, generator):
    raw = json.dumps(good).encode()
    at = generator.randrange(len(raw))
    return raw[:at] + generator.choice(STRANGE).encode() + raw[at:]


def noise(_, generator):
    return generator.randbytes(generator.randrange(300))


def scribble(_, generator):
    return "".join(
        generator.choices('[]{},:"0123456789.eE+-\\u ntf', k=generator.randrange(200))
    ).encode()


def renamed(good, generator):
    copy = dict(good)
    name = "".join(generator.choices(string.printable, k=generator.randrange(20)))
    copy[name] = copy.pop(generator.choice(list(copy)))
    return json.dumps(copy).encode()


def of_another_route(_, generator):
    return json.dumps(generator.choice(list(BODIES.values()))).encode()


MUTATIONS = (
    strange_value,
    strange_value,
    strange_value,
    flipped,
    cut,
    spliced,
    noise,
    scribble,
    renamed,
    of_another_route,
)


def malformed(number, seed):
    """Yield routes and bodies, most of which break a rule."""
    generator = random.Random(seed)
    for _ in range(number):
        path, good = generator.choice(list(BODIES.items()))
        yield path, generator.choice(MUTATIONS)(good, generator)


class Line:
    """One kept-alive connection, as cheap as possible."""

    def __init__(self, address, token):
        host, port = address.removeprefix("http://").rsplit(":", 1)
        self.address, self.token = (host, int(port)), token
        self.opened, self.answered = 0, 0.0
        self.socket = self.file = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        self.socket = socket.create_connection(self.address, timeout=120)
        self.file = self.socket.makefile("rb")
        self.opened += 1

    def close(self):
        if self.socket is not None:
            self.file.close()
            self.socket.close()
        self.socket = None

    def post(self, path, body):
        """Return status and body of the answer."""
        if time.monotonic() > self.answered + 1.0:
            self.close()  # the service hangs up on who says nothing for some seconds
        if self.socket is None:
            self.open()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        answer = self.file.read(int(headers[b"content-length"]))
        self.answered = time.monotonic()
        if headers.get(b"connection") == b"close":
            self.close()
        return status, answer


@pytest.fixture
def server(tmp_path, tokens_for, started, started_address):
    """A service of its own process; yields process, address and an admin's token."""
    tokens = tokens_for(tmp_path / "tokens", "shop")
    with started(tmp_path) as process:
        yield process, started_address(process), tokens.of["admin"]
        process.terminate()
        assert process.wait(120) == 0


def resident_bytes(process):
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def check_answer(path, body, status, answer):
    shown = (path, body[:300], status, answer[:300])
    assert 200 <= status < 500, shown
    found = json.loads(answer)
    if status >= 400:
        assert found["success"] is False, shown
        assert found["status"] == status, shown
        assert found["error"]["message"], shown
    if status == 422:
        assert all(each["field"] and each["reason"] for each in found["error"]["details"]["errors"])
        assert b"Traceback" not in answer


def bombard(server, number, seed):
    """Send so many bodies; return how many were refused, and resident bytes on the way."""
    process, address, token = server
    refused, sizes = 0, []
    with Line(address, token) as line:
        assert line.post(f"{FUSION}/enable", json.dumps(EXAMPLES[EnableFusion]).encode())[0] == 200
        for at, (path, body) in enumerate(malformed(number, seed)):
            status, answer = line.post(path, body)
            check_answer(path, body, status, answer)
            refused += status >= 400
            if at % max(number // 20, 1) == 0:
                sizes.append(resident_bytes(process))
        sizes.append(resident_bytes(process))
        assert line.post(f"{INTERACTIONS}/list", b"{}")[0] == 200
    return refused, sizes


@pytest.mark.slow
def test_two_thousand_malformed_bodies_are_refused_in_the_envelope(server):
    refused, _ = bombard(server, 2_000, seed=1)
    assert refused > 1_000


@pytest.mark.slow
def test_a_hundred_thousand_malformed_bodies_are_refused_without_growth(server):
    refused, sizes = bombard(server, 100_000, seed=2)
    assert refused > 60_000
    warm = sizes[len(sizes) // 5]
    assert max(sizes) - warm < GROWTH, sizes
