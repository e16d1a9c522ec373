"""A client that costs as little as Python can: raw sockets, keep-alive, requests made before."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANNELS = [f"mixpeek://channel-{i}" for i in range(5)]
DOCUMENTS = 10
_LENGTH = b"content-length: "
_READ = 1 << 18


class Target(NamedTuple):
    """A server: its port, and the token that it wants."""

    port: int
    token: str = ""


class Finished(NamedTuple):
    """What a load has come to."""

    requests: int
    rows: int
    seconds: float


def make_row(
    retriever: str, execution: str, number: int, *, session: bool, user: str | None = None
) -> dict[str, Any]:
    """Return an interaction as large as that of the interface's own example.

    `user`: every execution has a user of its own if None.
    """
    row = {
        "feature_id": f"prod_{number % DOCUMENTS}",
        "interaction_type": ["click", "long_view"] if number % 5 == 0 else ["impression"],
        "position": number % DOCUMENTS,
        "metadata": {"device": "mobile", "duration_ms": 5000, "page_number": 1},
        "user_id": f"customer_user_{execution if user is None else user}",
        "execution_id": f"exec_{execution}",
        "retriever_id": retriever,
        "query_snapshot": {"text": "wireless headphones"},
        "document_score": 0.95,
        "result_set_size": 10,
        "feature_uri": CHANNELS[number % len(CHANNELS)],
    }
    if session:
        row["session_id"] = f"sess_{execution}"
    return row


def make_rows(retriever: str, name: str, count: int, *, session: bool) -> list[dict[str, Any]]:
    """Return interactions of executions of its own, ten documents each."""
    made = [(f"{name}-{n // DOCUMENTS}", n) for n in range(count)]
    return [make_row(retriever, execution, n, session=session) for execution, n in made]


def post(path: str, body: Any, target: Target) -> bytes:
    """Return a whole request."""
    raw = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\n"
        f"authorization: Bearer {target.token}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(raw)}\r\n\r\n"
    ).encode() + raw


def get(path: str, target: Target) -> bytes:
    """Return a whole request."""
    return (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\n"
        f"authorization: Bearer {target.token}\r\n\r\n"
    ).encode()


class Connection:
    """One keep-alive connection, with the part of a response that it has read."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = bytearray()

    def take(self) -> bytes | None:
        """Read once; return the answer's body if it is whole now."""
        data = self.socket.recv(_READ)
        if not data:
            msg = "the server closed the connection"
            raise RuntimeError(msg)
        read = self._read
        read += data
        end = read.find(b"\r\n\r\n")
        if end < 0:
            return None
        start = read.index(_LENGTH) + len(_LENGTH)
        size = int(read[start : read.index(b"\r", start)])
        if len(read) < end + 4 + size:
            return None
        if not read.startswith(b"HTTP/1.1 200"):
            msg = f"refused: {bytes(read[:500])!r}"
            raise RuntimeError(msg)
        body = bytes(read[end + 4 :])
        read.clear()
        return body

    def call(self, request: bytes) -> bytes:
        """Send a request and wait for its answer."""
        self.socket.sendall(request)
        while (body := self.take()) is None:
            pass
        return body


def press(
    port: int, requests: Sequence[bytes], rows: int, connections: int, seconds: float
) -> Finished:
    """Send requests as fast as answers come, one at a time on each connection.

    Parameters
    ----------
    port : int
    requests : sequence of bytes
        Each is sent once; the load ends with them, at the latest.
    rows : int
        Rows of each request.
    connections : int
    seconds : float
        After which nothing more is sent.
    """
    waiting = iter(requests)
    opened = {c.socket.fileno(): c for c in (Connection(port) for _ in range(connections))}
    poll = select.epoll()
    for number in opened:
        poll.register(number, select.EPOLLIN)
    start = time.perf_counter()
    deadline, done, open_requests = start + seconds, 0, 0
    for connection in opened.values():
        connection.socket.sendall(next(waiting))
        open_requests += 1
    while open_requests:
        for number, _ in poll.poll():
            connection = opened[number]
            if connection.take() is None:
                continue
            done += 1
            following = next(waiting, None) if time.perf_counter() < deadline else None
            if following is None:
                open_requests -= 1
            else:
                connection.socket.sendall(following)
    took = time.perf_counter() - start
    poll.close()
    for connection in opened.values():
        connection.socket.close()
    return Finished(done, done * rows, took)


def time_calls(
    targets: Mapping[str, tuple[int, Sequence[bytes]]], each: int
) -> dict[str, list[int]]:
    """Call servers in turn and return the nanoseconds of every call."""
    opened = {label: Connection(port) for label, (port, _) in targets.items()}
    took: dict[str, list[int]] = {label: [] for label in targets}
    for number in range(each):
        for label, (_, requests) in targets.items():
            request = requests[number % len(requests)]
            start = time.perf_counter_ns()
            opened[label].call(request)
            took[label].append(time.perf_counter_ns() - start)
    for connection in opened.values():
        connection.socket.close()
    return took


def send_steadily(port: int, requests: Sequence[bytes], rate: float, stop: Any) -> int:
    """Send so many requests a second, in turn, until stopped; return how many."""
    connection, sent = Connection(port), 0
    begun = time.perf_counter()
    while not stop.is_set():
        pause = begun + sent / rate - time.perf_counter()
        if pause > 0:
            time.sleep(min(pause, 0.1))
            continue
        connection.call(requests[sent % len(requests)])
        sent += 1
    connection.socket.close()
    return sent


def shuffled(names: Sequence[str], number: int) -> list[str]:
    """Return names in an order of this round's own."""
    return random.Random(number).sample(list(names), len(names))
