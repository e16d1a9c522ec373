"""One record from JSON or a dict, by the same rules as the engine's, in microseconds."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import InvalidInputError
from . import _reasons as reasons
from ._depth import is_too_deep
from ._json_line import Fault, line_fault, text_of
from ._records import encode_record
from .interaction import (
    ID_COLUMNS,
    MAX_ID_CHARACTERS,
    MAX_INT32,
    MAX_TEXT_CHARACTERS,
    MAX_TYPES,
    Interaction,
    InteractionType,
)
from .signals import checked_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BUILT_IN: Final = frozenset(str(name) for name in InteractionType)
_COLUMNS: Final = (
    *ID_COLUMNS,
    "document_id",
    "interaction_type",
    "position",
    "document_score",
    "result_set_size",
)
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
)


class FaultError(Exception):
    """A rule that a record breaks: its field, value and reason."""

    def __init__(self, reason: str, field: str, value: Any) -> None:
        self.fault = Fault(field, None if value is None else text_of(value), reason)


def parse(record: Mapping[str, Any] | bytes | str, types: Iterable[str]) -> Interaction:
    """Return a record that keeps every rule, or raise `InvalidInputError`."""
    try:
        return interaction_of(checked_fields(record), known_types(types))
    except FaultError as error:
        field, value, reason = error.fault
        shown = "" if value is None else f" (got {value!r})"
        msg = f"{field or 'interaction'}: {reason}{shown}"
        raise InvalidInputError(msg) from None


def known_types(types: Iterable[str]) -> frozenset[str]:
    """Return the built-in types and these."""
    known = _BUILT_IN.union(checked_types(types))
    if len(known) > MAX_TYPES:
        msg = f"types: {len(known)} types with the built-in ones, at most {MAX_TYPES} are possible"
        raise InvalidInputError(msg)
    return known


def checked_fields(record: Any) -> dict[str, Any]:
    """Return the fields of a record that can be read as one, or raise `FaultError`."""
    if isinstance(record, str):
        record = record.encode("utf-8", "surrogatepass")
    line = record if isinstance(record, bytes) else encode_record(record)
    if isinstance(line, Fault):
        raise FaultError(line.reason, line.field, line.value)
    fault = line_fault(line, _COLUMNS)
    if fault is not None:
        raise FaultError(fault.reason, fault.field, fault.value)
    try:
        fields = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        # Within metadata, where the check above does not look: 1e400, or 5,000 digits.
        raise FaultError(reasons.NUMBER_RANGE, "", record) from None
    if not isinstance(fields, dict):
        raise FaultError(reasons.NOT_JSON_OBJECT, "", record)
    return fields


def interaction_of(fields: dict[str, Any], known: frozenset[str]) -> Interaction:
    """Return the record of fields that keep every rule, or raise `FaultError`."""
    types = _types(fields.get("interaction_type"), known)
    ids = {name: _id(name, fields.get(name)) for name in ID_COLUMNS}
    return Interaction(
        feature_id=_feature_id(ids["feature_id"], fields),
        user_id=ids["user_id"],
        session_id=ids["session_id"],
        execution_id=ids["execution_id"],
        retriever_id=ids["retriever_id"],
        feature_uri=ids["feature_uri"],
        interaction_id=ids["interaction_id"],
        interaction_type=types,
        position=_position(fields.get("position")),
        metadata=_metadata(fields.get("metadata")),
        query_snapshot=_snapshot(fields.get("query_snapshot")),
        document_score=_score(fields.get("document_score")),
        result_set_size=_size(fields.get("result_set_size"), types),
        occurred_at=moment_of("occurred_at", fields.get("occurred_at")),
        timestamp=moment_of("timestamp", fields.get("timestamp")),
    )


def _feature_id(own: str | None, fields: dict[str, Any]) -> str:
    alias = _id("document_id", fields.get("document_id"))
    if own and alias and own != alias:
        raise FaultError(reasons.ALIAS_CONFLICT, "document_id", f"{own} and {alias}")
    given = fields.get("document_id" if fields.get("feature_id") is None else "feature_id")
    if given is None or given == "":
        reason = reasons.MISSING if given is None else reasons.EMPTY
        raise FaultError(reason, "feature_id", given)
    return own or alias or ""


def _id(name: str, value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise FaultError(reasons.NOT_TEXT, name, value)
    if value is None or value == "":
        return None
    if len(str(value)) > MAX_ID_CHARACTERS:
        raise FaultError(reasons.TOO_LONG_ID, name, value)
    return str(value)


def _types(value: Any, known: frozenset[str]) -> list[str]:
    if not value:
        raise FaultError(reasons.TYPES_MISSING, "interaction_type", value)
    for name in value:
        if name is None or name == "":
            raise FaultError(reasons.TYPES_NULL, "interaction_type", value)
        if not isinstance(name, str) or name not in known:
            raise FaultError(reasons.TYPES_UNKNOWN, "interaction_type", name)
    return list(value)


def _whole(name: str, value: Any) -> int | None:
    if isinstance(value, float) and not value.is_integer():
        raise FaultError(reasons.NOT_WHOLE, name, value)
    if value is not None and value > MAX_INT32:
        raise FaultError(reasons.ABOVE_INT32, name, value)
    return None if value is None else int(value)


def _position(value: Any) -> int:
    position = _whole("position", value)
    if position is None:
        raise FaultError(reasons.MISSING, "position", None)
    if position < 0:
        raise FaultError(reasons.NEGATIVE, "position", value)
    return position


def _size(value: Any, types: list[str]) -> int | None:
    size = _whole("result_set_size", value)
    lowest = 0 if InteractionType.ZERO_RESULTS in types else 1
    if size is not None and size < lowest:
        raise FaultError(reasons.BELOW_ONE, "result_set_size", value)
    return size


def _score(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise FaultError(reasons.NOT_FINITE, "document_score", value) from None


def _metadata(value: Any) -> dict[str, Any] | None:
    if value is None or value == "":
        return None
    _check_length("metadata", value)
    if isinstance(value, str):
        value = _object(value)
    if not isinstance(value, dict):
        raise FaultError(reasons.NOT_OBJECT, "metadata", value)
    return value


def _object(text: str) -> Any:
    if is_too_deep(text.encode()):
        raise FaultError(reasons.TOO_DEEP, "metadata", text)
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise FaultError(reasons.NOT_OBJECT, "metadata", text) from None


def _snapshot(value: Any) -> Any:
    _check_length("query_snapshot", value)
    text = value if isinstance(value, str) else ""
    if text.lstrip().startswith(("{", "[")) and is_too_deep(text.encode()):
        raise FaultError(reasons.TOO_DEEP, "query_snapshot", text)
    return None if value == "" else value


def _check_length(name: str, value: Any) -> None:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) > MAX_TEXT_CHARACTERS:
        raise FaultError(reasons.TOO_LONG_TEXT, name, text)


def moment_of(name: str, value: Any) -> dt.datetime | None:
    """Return a time in UTC, None where there is none, or raise `FaultError`."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise FaultError(reasons.NOT_TIME, name, value)
    try:
        moment = dt.datetime.fromisoformat(value.upper())
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return zoned.astimezone(dt.UTC)
    except OverflowError:
        raise FaultError(reasons.TIME_RANGE, name, value) from None
    except ValueError:
        raise FaultError(reasons.NOT_TIME, name, value) from None
