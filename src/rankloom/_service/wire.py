"""What a request may ask of its connection beyond ASGI: a whole body at once, an answer at once.

ASGI hands both over in messages, each with a coroutine, a dictionary and checks of its own: a tenth
of what a small request costs. Under another server, or in tests without one, messages do the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

EXTENSION: Final = "rankloom.wire"
"""Where a request's `Wire` stands among the extensions of its ASGI scope."""


class Wire:
    """One request of a connection.

    Parameters
    ----------
    cycle : RequestResponseCycle
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """Return the body if all of it has come, else None: `receive` waits for the rest."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        cycle.flow.resume_reading()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(
        self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, close: bool
    ) -> bool:
        """Write a whole answer; False, and nothing done, where its sender must be waited for.

        Headers are written as they stand: nothing that a request said may be in them unchecked.
        """
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if close:
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if cycle.scope["method"] != "HEAD":
            parts.append(body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def wire_of(scope: Mapping[str, Any]) -> Wire | None:
    """Return the wire of a request, None where its server has none."""
    found: Wire | None = scope.get("extensions", {}).get(EXTENSION)
    return found
