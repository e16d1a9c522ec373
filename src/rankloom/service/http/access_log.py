"""One JSON line for each request: its route's template, never its path, query, body or token."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from typing import Final

import msgspec

logger = logging.getLogger("rankloom.service")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_encode = msgspec.json.Encoder().encode
_run = secrets.token_hex(4)
_numbers = itertools.count()


def request_id(given: bytes | None) -> str:
    r"""Return the sender's id of a request if it is harmless, else a new one.

    Examples
    --------
    >>> request_id(b"trace-1")
    'trace-1'
    >>> len(request_id(b"two\r\nlines"))
    16
    """
    if given is not None:
        text = given.decode("latin-1")
        if _REQUEST_ID.fullmatch(text):
            return text
    # Unique is enough, and random bytes of the system are slow.
    return f"{_run}{next(_numbers) & 0xFFFFFFFF:08x}"


def write(method: str, route: str, status: int, size: int, seconds: float, request: str) -> None:
    """Log one answered request."""
    if not logger.isEnabledFor(logging.INFO):
        return
    line = {
        "method": method,
        "route": route,
        "status": status,
        "bytes": size,
        "milliseconds": round(seconds * 1000.0, 2),
        "request_id": request,
    }
    # `logger.info` would look up where it was called from, at the price of all the rest.
    message = _encode(line).decode()
    logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, message, (), None))
