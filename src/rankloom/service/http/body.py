"""A request's body: of the right kind, within its size and its time, and not too deep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ...datasets.record.interaction import MAX_DEPTH
from ...datasets.record.json_depth import is_too_deep
from .errors import fault
from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive

DRAIN_BYTES: Final = 16_000_000
DRAIN_SECONDS: Final = 1.0
_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8"})


class Disconnected(Exception):  # noqa: N818 - no error is reported
    """The sender closed the connection before its request was complete."""


def check_kind(headers: Mapping[str, str]) -> None:
    """Refuse whatever is not JSON in UTF-8 as it is."""
    kind = headers.get("content-type", "")
    if kind not in _JSON and not _is_json(kind):
        raise Refusal(415, "UnsupportedMediaType", "expected content-type: application/json")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "UnsupportedMediaType", "expected a body without content-encoding")


def _is_json(kind: str) -> bool:
    media, *parameters = (part.strip().lower() for part in kind.split(";"))
    charsets = [part for part in parameters if part.startswith("charset=")]
    return media == "application/json" and all(
        charset.removeprefix("charset=").strip('"') in {"utf-8", "utf8"} for charset in charsets
    )


def size_of(headers: Mapping[str, str], limit: int) -> int:
    """Return how many bytes to set aside for a body; too long a one is refused unread."""
    text = headers.get("content-length")
    if text is None:
        return limit if "transfer-encoding" in headers else 0
    # More digits than this are more bytes than any limit, and int() of thousands is slow.
    if len(text) > 18 or not text.isdecimal() or int(text) > limit:
        raise _too_large(limit)
    return int(text)


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Raises
    ------
    Refusal
        With status 413 beyond the limit.
    Disconnected
        If the connection breaks before its end.
    """
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(receive: Receive) -> bool:
    """Read and forget the rest of a refused body; return whether it ended soon.

    A connection that is closed while bytes arrive is reset, and its answer may get lost with it.
    """
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size <= DRAIN_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return False
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    except TimeoutError:
        pass
    return False


def check_depth(raw: bytes) -> None:
    """Refuse JSON that nests too deep, before anything recursive reads it."""
    if is_too_deep(raw):
        raise fault(field="body", reason=f"expected at most {MAX_DEPTH} levels of nesting")


def late_body(seconds: float) -> Refusal:
    """Return the refusal of a body that takes too long."""
    message = f"expected the whole body within {seconds:g} seconds"
    return Refusal(408, "RequestTimeout", message, headers={"connection": "close"})


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "PayloadTooLarge", f"expected a body of at most {limit:,} bytes")
