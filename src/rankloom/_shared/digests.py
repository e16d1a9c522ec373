"""Digests of stored data: at the end of bytes, around a JSON text, or of a whole file.

A digest finds damage, not tampering: read stored data only from writers that you trust.
"""

from __future__ import annotations

import json
import zlib
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any, Final

from ..errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGEST_BYTES: Final = 32
_CHECKSUM_BYTES: Final = 4
_END: Final = b"}\n"


def damaged(name: str, remedy: str, *, digest: str = "digest") -> IntegrityError:
    """Return the error for data that do not match their digest.

    `name`: what the data are, or where they lie. `remedy`: what to do about it. `digest`: what the
    digest is called.
    """
    msg = f"{name} does not match its {digest}: it is damaged, cut off or was edited; {remedy}"
    return IntegrityError(msg)


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits."""
    return sha256(data).hexdigest()


def blake2b_hex(data: bytes) -> str:
    """Return the blake2b-256 of some bytes, 64 hexadecimal digits."""
    return _blake2b(data).hex()


def with_digest(body: bytes) -> bytes:
    """Return bytes with their blake2b-256 at the end."""
    return body + _blake2b(body)


def without_digest(data: bytes, name: str, remedy: str) -> memoryview:
    """Return a view of the bytes that `with_digest` got.

    Raises IntegrityError as `damaged` says it; so do the functions below.

    >>> bytes(without_digest(with_digest(b"evidence"), "state", "take another copy"))
    b'evidence'
    """
    body = memoryview(data)[:-_DIGEST_BYTES]
    if _blake2b(body) != data[-_DIGEST_BYTES:]:
        raise damaged(name, remedy)
    return body


def with_checksum(body: bytes) -> bytes:
    """Return bytes with their CRC-32 at the end: cheap enough for every row of a store."""
    return body + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little")


def without_checksum(data: bytes, name: str, remedy: str) -> bytes:
    """Return the bytes that `with_checksum` got."""
    body = data[:-_CHECKSUM_BYTES]
    if zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") != data[-_CHECKSUM_BYTES:]:
        raise damaged(name, remedy, digest="checksum")
    return body


def without_checksums(rows: Iterable[bytes], name: str, remedy: str) -> list[bytes]:
    """Return the bytes of many rows that `with_checksum` got, with no call for each."""
    given = list(rows)
    bodies = [row[:-_CHECKSUM_BYTES] for row in given]
    found = [zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") for body in bodies]
    if found != [row[-_CHECKSUM_BYTES:] for row in given]:
        raise damaged(name, remedy, digest="checksum")
    return bodies


def canonical_json(value: Any) -> bytes:
    """Return a JSON value as bytes, the same ones for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def json_with_digest(format_name: str, content: bytes) -> str:
    r"""Return a JSON object that holds some content and its blake2b-256, and a line end.

    `format_name`: names the format and its version. `content`: a JSON value as `canonical_json`
    writes it; the digest is of these bytes.

    >>> text = json_with_digest("example-1", canonical_json({"b": 1, "a": 2}))
    >>> text.replace(blake2b_hex(b'{"a":2,"b":1}'), "...")
    '{"format":"example-1","blake2b":"...","content":{"a":2,"b":1}}\n'
    """
    return _json_bytes(format_name, content).decode("ascii")


def content_of_json(format_name: str, data: bytes, name: str, remedy: str) -> bytes:
    """Return the content of what `json_with_digest` gave."""
    start = len(_start(format_name, "0" * 2 * _DIGEST_BYTES))
    prefix = _start(format_name, "").partition(b'"blake2b"')[0]
    if not data.startswith(prefix):
        found = data[: len(prefix)]
        msg = f"{name}: expected a file that begins with {prefix!r}, found {found!r}; {remedy}"
        raise IntegrityError(msg)
    content = data[start : -len(_END)]
    if _json_bytes(format_name, content) != data:
        raise damaged(name, remedy)
    return content


def _json_bytes(format_name: str, content: bytes) -> bytes:
    return _start(format_name, blake2b_hex(content)) + content + _END


def _start(format_name: str, digest: str) -> bytes:
    return f'{{"format":"{format_name}","blake2b":"{digest}","content":'.encode()


def _blake2b(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()
