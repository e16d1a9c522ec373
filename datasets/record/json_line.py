"""Why a line of JSON cannot be read: its size, encoding, nesting, syntax, or a value's type."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from . import fault as reasons
from .fault import Fault, shorten
from .interaction import ID_COLUMNS, MAX_LINE_BYTES
from .json_depth import is_too_deep

if TYPE_CHECKING:
    from collections.abc import Mapping


# The JSON types that are taken; what the values mean is checked later.
_ID: Final = str | int | float | None
_NUMBER: Final = int | float | None
_TYPES: Final[Mapping[str, Any]] = {
    **dict.fromkeys((*ID_COLUMNS, "document_id"), _ID),
    **dict.fromkeys(("position", "document_score", "result_set_size"), _NUMBER),
}
_decode_loosely: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PATH: Final = re.compile(r"`\$\.([^`]*)`$")
_PLACE: Final = re.compile(r" \((?:byte|char) \d+\)")
_NOT_FINITE: Final = re.compile(rb'"(\w+)"\s*:\s*([-+]?(?:NaN|nan|Infinity|inf))\b')
_TYPE_REASONS: Final[Mapping[str, str]] = {
    "position": reasons.NOT_WHOLE,
    "result_set_size": reasons.NOT_WHOLE,
    "document_score": reasons.NOT_NUMBER,
}


@cache
def _decoder(columns: tuple[tuple[str, str], ...]) -> msgspec.json.Decoder[Any]:
    typed = [(key, _TYPES[field]) for key, field in columns if field in _TYPES]
    fields = [(f"field_{i}", dtype, None) for i, (_, dtype) in enumerate(typed)]
    names = {f"field_{i}": key for i, (key, _) in enumerate(typed)}
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields, rename=names))


def line_fault(line: bytes, columns: Mapping[str, str]) -> Fault | None:
    """Return what is wrong with a line of JSON, apart from what its values mean.

    Parameters
    ----------
    line : bytes
    columns : dict of str to str
        Key -> field that it holds, which decides on its type; other keys may hold anything.
    """
    if len(line) > MAX_LINE_BYTES:
        return Fault("", shorten(line), reasons.TOO_LONG_LINE)
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("", shorten(line), reasons.NOT_UTF8)
    if is_too_deep(line):
        return Fault("", shorten(line), reasons.TOO_DEEP)
    try:
        _decoder(tuple(columns.items())).decode(line)
    except msgspec.ValidationError as error:
        return _type_fault(line, str(error), columns)
    except (ValueError, RecursionError) as error:
        return _syntax_fault(line, str(error))
    return None


def _type_fault(line: bytes, message: str, columns: Mapping[str, str]) -> Fault:
    found = _PATH.search(message)
    if found is None:
        return Fault("", shorten(line), reasons.NOT_JSON_OBJECT)
    key = found[1]
    name = columns.get(key, key)
    if "out of range" in message:
        return Fault(name, None, reasons.NOT_FINITE)
    try:
        value = shorten(_decode_loosely(line).get(key, ""))
    except (ValueError, RecursionError):
        value = None
    return Fault(name, value, _TYPE_REASONS.get(name, reasons.NOT_TEXT))


def _syntax_fault(line: bytes, message: str) -> Fault:
    found = _NOT_FINITE.search(line)
    if found is not None:
        return Fault(found[1].decode(), found[2].decode(), reasons.NOT_FINITE)
    if "truncated" in message:
        return Fault("", shorten(line), f"{reasons.NOT_JSON}: the line is cut short")
    detail = _PLACE.sub("", message).removeprefix("JSON is malformed: ")
    return Fault("", shorten(line), f"{reasons.NOT_JSON}: {detail}")
