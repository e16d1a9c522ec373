"""A JSON value with a digest around it: damage is found before anything is read.

The text is ``{"format":"...","blake2b":"<64 hexadecimal digits>","content":<JSON>}`` and a line
end, the digest over the bytes of the content as they stand. It detects damage, not tampering.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, Final

from ..errors import IntegrityError

_DIGEST_BYTES: Final = 32
_DIGITS: Final = 2 * _DIGEST_BYTES
_END: Final = b"}\n"


def content_of(value: Any) -> bytes:
    """Return a JSON value as bytes, the same ones for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def digest_of(content: bytes) -> str:
    """Return the digest of some content, 64 hexadecimal digits."""
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def framed(format_name: str, content: bytes) -> str:
    """Return content with its digest."""
    return (_start(format_name, digest_of(content)) + content + _END).decode("ascii")


def unframed(format_name: str, data: bytes, name: str) -> bytes:
    """Return the content of what `framed` gave.

    Raises
    ------
    IntegrityError
        If it is of another format, damaged or cut off.
    """
    start = len(_start(format_name, "0" * _DIGITS))
    prefix = _start(format_name, "").partition(b'"blake2b"')[0]
    if not data.startswith(prefix):
        found = data[: len(prefix)]
        msg = f"{name}: expected a file that begins with {prefix!r}, found {found!r}"
        raise IntegrityError(msg)
    content = data[start : -len(_END)]
    if data != _start(format_name, digest_of(content)) + content + _END:
        msg = (
            f"{name}: the content does not match its digest: it is damaged, cut off, or was "
            "edited. Take another copy, or write it anew"
        )
        raise IntegrityError(msg)
    return content


def _start(format_name: str, digest: str) -> bytes:
    return f'{{"format":"{format_name}","blake2b":"{digest}","content":'.encode()
