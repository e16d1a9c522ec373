"""Answers go out in one piece, in order, and whole before a connection is closed."""

import asyncio
import socket

import pytest
import uvloop

from rankloom.service.connections import whole_answers


class Protocol(asyncio.Protocol):
    """What is said to a server's protocol, in order."""

    def __init__(self, *, parts, close):
        self.parts, self.close, self.said = parts, close, []

    def connection_made(self, transport):
        self.said.append("made")
        self.transport = transport
        self.peer = transport.get_extra_info("socket").family

    def data_received(self, data):
        self.said.append(data)
        for part in self.parts:
            self.transport.write(part)
        if self.close:
            self.transport.close()

    def eof_received(self):
        self.said.append("eof")

    def connection_lost(self, exc):
        self.said.append(exc)


async def _answered(parts, close):
    """Return the pieces that arrive, and the events that the protocol received."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    make = whole_answers(Protocol)
    connection = make(parts=parts, close=close)
    await loop.connect_accepted_socket(lambda: connection, far)
    inner = connection._protocol
    with near:
        await loop.sock_sendall(near, b"ask")
        pieces = [await loop.sock_recv(near, 1_000_000)]
        while len(b"".join(pieces)) < len(b"".join(parts)):
            pieces.append(await loop.sock_recv(near, 1_000_000))
        if close:
            assert await loop.sock_recv(near, 10) == b""
        else:
            near.shutdown(socket.SHUT_WR)
        while inner.said[-1] is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert inner.peer == socket.AF_UNIX
    return pieces, inner.said


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("close", [False, True])
def test_what_is_written_at_once_arrives_in_one_piece(run, close):
    pieces, said = run(_answered([b"head", b"", b"body", b"end"], close))
    assert pieces == [b"headbodyend"]
    assert said == ["made", b"ask", *([] if close else ["eof"]), None]


def test_a_long_answer_is_whole_before_the_connection_is_closed():
    parts = [bytes([number]) * 100_000 for number in range(50)]
    pieces, _ = asyncio.run(_answered(parts, close=True))
    assert b"".join(pieces) == b"".join(parts)
