"""Why the engine refuses a line of JSON: size, encoding, nesting, syntax, or a type."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from . import _reasons as reasons
from ._depth import is_too_deep
from .interaction import ID_COLUMNS, MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Fault(NamedTuple):
    """What is wrong with a row: field (empty for the whole line), value and reason."""

    field: str
    value: str | None
    reason: str


# The JSON types that the engine takes; what the values mean is for the engine to check.
_ID: Final = str | int | float | None
_NUMBER: Final = int | float | None
_TYPES: Final[Mapping[str, Any]] = {
    **dict.fromkeys((*ID_COLUMNS, "document_id"), _ID),
    **dict.fromkeys(("position", "document_score", "result_set_size"), _NUMBER),
    "interaction_type": list[msgspec.Raw] | None,
}
_decode_loosely: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_PATH: Final = re.compile(r"`\$\.(\w+)")
_PLACE: Final = re.compile(r" \((?:byte|char) \d+\)")
_NOT_FINITE: Final = re.compile(rb'"(\w+)"\s*:\s*([-+]?(?:NaN|nan|Infinity|inf))\b')
_TYPE_REASONS: Final[Mapping[str, str]] = {
    "interaction_type": reasons.TYPES_NOT_LIST,
    "position": reasons.NOT_WHOLE,
    "result_set_size": reasons.NOT_WHOLE,
    "document_score": reasons.NOT_NUMBER,
}


@cache
def _decoder(columns: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    fields = [(name, _TYPES[name], None) for name in columns if name in _TYPES]
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields))


def line_fault(line: bytes, columns: Iterable[str]) -> Fault | None:
    """Return what is wrong with a line of JSON, apart from what its values mean.

    Only the named columns are looked at; the others may hold anything.
    """
    if len(line) > MAX_LINE_BYTES:
        return Fault("", text_of(line), reasons.TOO_LONG_LINE)
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return Fault("", text_of(line), reasons.NOT_UTF8)
    if is_too_deep(line):
        return Fault("", text_of(line), reasons.TOO_DEEP)
    try:
        _decoder(tuple(columns)).decode(line)
    except msgspec.ValidationError as error:
        return _type_fault(line, str(error))
    except (ValueError, RecursionError) as error:
        return _syntax_fault(line, str(error))
    return None


def text_of(value: bytes | Any) -> str:
    """Return a value as short text for the quarantine."""
    raw = (
        bytes(value)[:800]
        if isinstance(value, bytes | msgspec.Raw)
        else str(value).encode("utf-8", "replace")
    )
    text = raw.decode("utf-8", "replace").strip()
    return text if len(text) <= 200 else text[:197] + "..."


def _type_fault(line: bytes, message: str) -> Fault:
    found = _PATH.search(message)
    if found is None:
        return Fault("", text_of(line), reasons.NOT_JSON_OBJECT)
    name = found[1]
    if "out of range" in message:
        return Fault(name, None, reasons.NOT_FINITE)
    try:
        value = text_of(_decode_loosely(line).get(name, ""))
    except (ValueError, RecursionError):
        value = None
    return Fault(name, value, _TYPE_REASONS.get(name, reasons.NOT_TEXT))


def _syntax_fault(line: bytes, message: str) -> Fault:
    found = _NOT_FINITE.search(line)
    if found is not None:
        return Fault(found[1].decode(), found[2].decode(), reasons.NOT_FINITE)
    if "truncated" in message:
        return Fault("", text_of(line), f"{reasons.NOT_JSON}: the line is cut short")
    detail = _PLACE.sub("", message).removeprefix("JSON is malformed: ")
    return Fault("", text_of(line), f"{reasons.NOT_JSON}: {detail}")
