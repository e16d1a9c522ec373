"""A request's body: of the right kind, unpacked, within its size and its time, not too deep."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from ...datasets.record.interaction import MAX_DEPTH
from ...datasets.record.json_depth import is_too_deep
from .errors import fault
from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import Receive

DRAIN_BYTES: Final = 16_000_000
DRAIN_SECONDS: Final = 1.0
MAX_MEMBERS: Final = 16
"""Most gzip members of one body; senders write one."""

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
LINES: Final = "application/x-ndjson"
PLAIN: Final = "text/plain"
"""What `navigator.sendBeacon` sends without a question to the server before; it holds JSON."""

_ALIASES: Final = {"application/jsonl": LINES, "application/json-lines": LINES}


class BodyKind(NamedTuple):
    """What the headers say of a body."""

    media: str = JSON
    is_gzip: bool = False


class Disconnected(Exception):  # noqa: N818 - no error is reported
    """The sender closed the connection before its request was complete."""


def kind_of(headers: Mapping[str, str], accepted: Collection[str]) -> BodyKind:
    """Return what a body is, or refuse what is not in UTF-8, or of none of the types accepted."""
    media, *parameters = (p.strip().lower() for p in headers.get("content-type", "").split(";"))
    charsets = {p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")}
    media = _ALIASES.get(media, media)
    if media not in accepted or not charsets <= {"utf-8", "utf8"}:
        expected = " or ".join(accepted)
        raise Refusal(415, "UnsupportedMediaType", f"expected content-type: {expected}, in UTF-8")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise Refusal(415, "UnsupportedMediaType", "expected content-encoding: gzip, or none")
    return BodyKind(media, encoding == "gzip")


def unpacked(raw: bytes, limit: int) -> bytes:
    r"""Return what a gzip body holds; no more than the limit is ever unpacked.

    Raises
    ------
    Refusal
        With status 413 beyond the limit, 422 if it is damaged.

    Examples
    --------
    >>> import gzip
    >>> unpacked(gzip.compress(b"[1,") + gzip.compress(b"2]"), 5)
    b'[1,2]'
    """
    parts: list[bytes] = []
    left = limit
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(raw, left + 1)
        except zlib.error:
            raise fault(field="body", reason="expected gzip, as content-encoding says") from None
        left -= len(part)
        if left < 0:
            raise _too_large(limit)
        parts.append(part)
        raw = member.unused_data
        if not member.eof:
            raise fault(field="body", reason="expected whole gzip data, got their beginning")
        if not raw:
            return b"".join(parts)
    raise fault(field="body", reason=f"expected at most {MAX_MEMBERS} gzip members")


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
