"""One request while it is in work, and how its answer is put into words and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .endpoint import Answer, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .wire import Wire

UNMATCHED: Final = "unmatched"
KEY: Final = "rankloom.exchange"
"""Key of a request's `Exchange` in its ASGI scope."""

# What one of these says twice, a proxy and the service may read differently.
_SINGLE: Final = frozenset(
    {"authorization", "content-length", "content-type", "idempotency-key", "x-namespace"}
)
_COMMON: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Exchange:
    """What the guard and a route share about one request."""

    request_id: str
    headers: Mapping[str, str]
    route: str = UNMATCHED
    method: str = "OTHER"
    answer: Any = None
    body_pending: bool = False
    wire: Wire | None = None


def headers_of(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return a request's headers by their lower-case name; the last of several counts.

    Raises
    ------
    Refusal
        With status 400 if a header that decides something stands there twice.
    """
    found: dict[str, str] = {}
    for raw, value in pairs:
        name = raw.decode("latin-1")
        if name in found and name in _SINGLE:
            raise Refusal(400, "BadRequest", f"expected one {name} header, got several")
        found[name] = value.decode("latin-1")
    return found


def envelope(refusal: Refusal) -> Answer:
    """Return a refusal as an answer."""
    error: dict[str, Any] = {"message": refusal.message, "type": refusal.type}
    error["details"] = refusal.details
    body = {"success": False, "status": refusal.status, "error": error}
    return Answer(refusal.status, body, refusal.headers)


def encoded(value: Any) -> tuple[int, bytes, Mapping[str, str]]:
    """Return status, body and own headers of whatever a handler returned."""
    if not isinstance(value, Answer):
        return 200, _encode(value), {}
    body = value.body
    return value.status, body if isinstance(body, bytes) else _encode(body), value.headers


async def send_answer(
    send: Callable[[Any], Awaitable[None]],
    parts: tuple[int, bytes, Mapping[str, str]],
    exchange: Exchange,
    *,
    close: bool,
) -> None:
    """Send one whole answer."""
    status, body, own = parts
    headers = [
        (b"content-type", own.get("content-type", "application/json").encode("latin-1")),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", exchange.request_id.encode("ascii")),
        *_COMMON,
    ]
    headers += [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in own.items()
        if name not in {"content-type", "connection"}
    ]
    close |= own.get("connection") == "close"
    if close:
        headers.append((b"connection", b"close"))
    if exchange.wire is not None and exchange.wire.answer(status, headers, body, close=close):
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
