"""uvicorn's HTTP protocol with bounds: on headers, on their time, on connections, on pipelining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .endpoint import Refusal
from .exchange import envelope
from .wire import EXTENSION, Wire

if TYPE_CHECKING:
    import asyncio

    from .settings import ServiceSettings

MAX_HEAD_BYTES: Final = 64_000
MAX_REQUEST_BYTES: Final = 64_000_000
"""Above every body's limit, allowing for chunks of a few bytes."""
MAX_PIPELINED: Final = 16
LAST_LOOK_SECONDS: Final = 0.05
"""Time for which an idle connection that is to be closed is read once more."""

_TOO_MANY: Final = Refusal(503, "ServiceUnavailable", "too many connections; try again later")
_TOO_LARGE: Final = Refusal(431, "HeadersTooLarge", f"expected at most {MAX_HEAD_BYTES:,} bytes")
_TOO_EAGER: Final = Refusal(
    400, "BadRequest", f"expected at most {MAX_PIPELINED} requests before their answers"
)
_MALFORMED: Final = Refusal(400, "BadRequest", "expected a request as HTTP/1.1 defines it")
_PHRASES: Final = {
    400: b"400 Bad Request",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable",
}


def bounded_protocol(settings: ServiceSettings) -> type[HttpToolsProtocol]:
    """Return the protocol class for a service's settings: uvicorn makes its instances itself."""
    return type("Bounded", (BoundedProtocol,), {"settings": settings})


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    settings: ServiceSettings
    _refusal: Refusal = _MALFORMED
    _watch: asyncio.TimerHandle | None = None
    _unsent: asyncio.TimerHandle | None = None
    _in_head = True  # a connection without a byte has the time limit of a head
    _in_body = False
    _raw_bytes = _chunk_bytes = _first_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            self._refuse(_TOO_MANY)
            return
        self._watch = self.loop.call_later(self.settings.header_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self._unwatch()
        self._forget_unsent()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and watch whatever is not whole yet."""
        if self.transport.is_closing():
            return
        # Counted before parsing: the parser collects a header of any length before it reports it.
        self._chunk_bytes = len(data)
        self._raw_bytes += self._chunk_bytes
        self._parse(data)
        if self.transport.is_closing() or not (self._in_head or self._in_body):
            self._unwatch()
        elif self._raw_bytes > (MAX_HEAD_BYTES if self._in_head else MAX_REQUEST_BYTES):
            self._refuse(_TOO_LARGE)
        elif self._watch is None:
            seconds = self.settings.header_seconds
            self._watch = self.loop.call_later(seconds, self._head_is_late)

    def _parse(self, data: bytes) -> None:
        """Feed the parser; an offer to upgrade is ignored, as RFC 9110, section 7.8 allows."""
        self._unset_keepalive_if_required()
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                except httptools.HttpParserUpgrade as offer:
                    data = self._head_without_upgrade() + data[offer.args[0] :]
                else:
                    return
        except (httptools.HttpParserError, ValueError) as error:
            self.send_400_response(str(error))

    def _head_without_upgrade(self) -> bytes:
        """Return the head just read without its offer to upgrade, for a new parser.

        The old parser takes the offer for the end of HTTP: it skips the body, and would read what
        arrives of it later as further requests.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise ValueError(_MALFORMED.message)
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % each for each in self.headers if each[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Begin a request's head."""
        super().on_message_begin()
        self._in_head, self._in_body = True, False
        self._raw_bytes, self._first_bytes = 0, self._chunk_bytes
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(_TOO_EAGER)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that follows the body is dropped, for no proxy has looked at it."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head, if it is no longer than it may be."""
        # Only a head that may be too long is counted: most come whole, in one small chunk.
        most = self._first_bytes + self._raw_bytes
        if most > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            self._stop(_TOO_LARGE)
        if self.parser.should_upgrade():
            return
        self._in_head, self._in_body = False, True
        super().on_headers_complete()
        extensions: dict[str, Any] = {EXTENSION: Wire(self.cycle)}
        self.scope["extensions"] = extensions

    def on_message_complete(self) -> None:
        """End the request."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; a connection that ends with it must not wait for its reader for good."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_unless_sent()

    def pause_writing(self) -> None:
        """Wait for a sender that does not read its answers, but not without limit."""
        super().pause_writing()
        self._abort_unless_sent()

    def resume_writing(self) -> None:
        """Go on; all but a little has been read."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._forget_unsent()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection soon, unless a request lies there already.

        If the process was suspended, the time is over before what arrived meanwhile is read;
        reading it cancels this timer as it does the first.
        """
        self.timeout_keep_alive_task = self.loop.call_later(LAST_LOOK_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        """Close an idle connection, whether or not its last answer was read."""
        super().timeout_keep_alive_handler()
        self._abort_unless_sent()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, in the words of every other refusal."""
        del msg
        self._refuse(self._refusal)

    def _head_bytes(self) -> int:
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _stop(self, refusal: Refusal) -> None:
        """Make the parser give up; it calls `send_400_response` then."""
        self._refusal = refusal
        raise ValueError(refusal.message)

    def _refuse(self, refusal: Refusal) -> None:
        body = msgspec.json.encode(envelope(refusal).body)
        head = (
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"retry-after: 1\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % (_PHRASES[refusal.status], len(body)) + body)
        self.transport.close()
        self._abort_unless_sent()

    def _head_is_late(self) -> None:
        """Close the connection if the head is late; give a body the time it may take."""
        if self._in_head:
            self.transport.close()
        else:
            # The route answers 408 at its own deadline; this one ends what is not read any more.
            seconds = self.settings.body_seconds + self.settings.request_seconds
            self._watch = self.loop.call_later(seconds, self._body_is_late)

    def _body_is_late(self) -> None:
        self.transport.close()

    def _abort_unless_sent(self) -> None:
        if self._unsent is None:
            self._unsent = self.loop.call_later(self.settings.body_seconds, self.transport.abort)

    def _forget_unsent(self) -> None:
        if self._unsent is not None:
            self._unsent.cancel()
            self._unsent = None

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
