"""JSON that is not one object a line: an array, objects over several lines, several in a line."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Final

from ...errors import UnreadableSourceError
from .text_blocks import BLOCK_BYTES, BOM, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .text_blocks import Bytes

_HEAD_BYTES: Final = 1 << 20
_BETWEEN: Final = re.compile(r"[\s,]*")
_ARRAY: Final = re.compile(r"\[\s*[{\]]")
_NAN: Final = re.compile(rb"([:\[,]\s*)NaN(?=\s*[,}\]])")
_scan: Final = json.JSONDecoder().raw_decode


def is_json_stream(file: Bytes) -> bool:
    """Return whether a file starts with an array, or with an object that is no line of its own."""
    head = file.read(_HEAD_BYTES).removeprefix(BOM).decode("utf-8", "replace").lstrip()
    if not head.startswith("{"):
        return _ARRAY.match(head) is not None
    try:
        _, end = _scan(head)
    except (ValueError, RecursionError):
        return False
    return "\n" in head[:end] or head[end:].lstrip(" \t\r").startswith("{")


def json_values(file: Bytes, limit: int, name: str) -> Iterator[Lines]:
    """Yield the values of a stream as lines, numbered from 1, in blocks of about 16 MB.

    Where a value cannot be parsed, the rest of its line is yielded, to be refused.

    Parameters
    ----------
    file : Bytes
    limit : int
        Longest value that is read.
    name : str
        Of the source, for messages.

    Raises
    ------
    UnreadableSourceError
        If an array is cut off.
    """
    number, values, size = 1, [], 0
    for value in _values(file, limit, name):
        values.append(value.replace("\r", " ").replace("\n", " "))
        size += len(value)
        if size > BLOCK_BYTES:
            yield _lines(values, number)
            number, values, size = number + len(values), [], 0
    if values:
        yield _lines(values, number)


def _lines(values: list[str], number: int) -> Lines:
    return Lines("\n".join(values).encode("utf-8", "surrogateescape"), number)


def _values(file: Bytes, limit: int, name: str) -> Iterator[str]:
    """Yield the texts of the values, one by one; only the part not yet parsed is held."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    text, in_array, chunk = "", False, b" "
    while chunk:
        chunk = file.read(BLOCK_BYTES)
        text += decoder.decode(chunk, not chunk)
        at = 0
        while (at := _after(_BETWEEN, text, at)) < len(text):
            if text[at] == ("]" if in_array else "["):
                in_array, at = not in_array, at + 1
                continue
            end = _end_of_value(text, at)
            if end is None and (not chunk or len(text) - at > limit):
                end = text.find("\n", at) % (len(text) + 1)
            if end is None:
                break
            yield text[at:end]
            at = end
        text = text[at:]
    if in_array:
        msg = f"{name}: the JSON array is cut off"
        raise UnreadableSourceError(msg)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _end_of_value(text: str, at: int) -> int | None:
    try:
        return _scan(text, at)[1]
    except (ValueError, RecursionError):
        return None


def repaired(line: bytes) -> list[bytes]:
    """Return the objects of a line that is no single one, with null for NaN; none if it fails.

    Examples
    --------
    >>> repaired(b'{"a": 1} {"a": NaN}'), repaired(b'[{"a": 1}]'), repaired(b'{"a": ')
    ([b'{"a": 1}', b'{"a": null}'], [b'{"a": 1}'], [])
    """
    text = line.decode("utf-8", "surrogateescape").strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    found, at = [], 0
    while (at := _after(_BETWEEN, text, at)) < len(text):
        end = _end_of_value(text, at) if text[at] == "{" else None
        if end is None:
            return []
        found.append(_NAN.sub(rb"\1null", text[at:end].encode("utf-8", "surrogateescape")))
        at = end
    return found if found != [line] else []
