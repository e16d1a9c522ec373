"""One record from JSON or a dict in microseconds, by the rules that also hold for whole files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...errors import InvalidInputError
from . import fault as reasons
from .encode import encode_record
from .fault import Fault, FaultError
from .ids import id_text
from .interaction import (
    ID_COLUMNS,
    MAX_INT32,
    MAX_TEXT_CHARACTERS,
    MAX_TYPES,
    Interaction,
    InteractionType,
)
from .json_depth import is_too_deep
from .json_line import line_fault
from .signals import checked_types
from .times import moment_of
from .type_names import known_name, names_of, unknown_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .mapping import TimeUnit

_BUILT_IN: Final = frozenset(str(name) for name in InteractionType)
_TYPED: Final = (*ID_COLUMNS, "document_id", "position", "document_score", "result_set_size")
_FIELDS: Final = {name: name for name in _TYPED}


def parse_interaction(
    record: Mapping[str, Any] | bytes | str,
    *,
    types: Iterable[str] = (),
) -> Interaction:
    """Return one validated record.

    Parameters
    ----------
    record : mapping, or JSON as bytes or str
    types : iterable of str
        Interaction types in addition to the built-in ones.

    Raises
    ------
    InvalidInputError
        Names the field, the value and what was expected.

    Examples
    --------
    >>> parse_interaction(b'{"feature_id": 7, "interaction_type": ["click"], "position": 0}')
    Interaction(feature_id='7', interaction_type=['click'], position=0)
    """
    try:
        return interaction_of(checked_fields(record), known_types(types))
    except FaultError as error:
        msg = str(error.fault if error.fault.field else f"interaction: {error.fault}")
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
    fault = line_fault(line, _FIELDS)
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


def interaction_of(
    fields: dict[str, Any], known: frozenset[str], time_unit: TimeUnit | None = None
) -> Interaction:
    """Return the record of fields that keep every rule, or raise `FaultError`."""
    types = types_of(fields.get("interaction_type"), known)
    ids = {name: id_text(name, fields.get(name)) for name in ID_COLUMNS}
    return Interaction(
        feature_id=feature_id_of(fields),
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
        occurred_at=moment_of("occurred_at", fields.get("occurred_at"), time_unit),
        timestamp=moment_of("timestamp", fields.get("timestamp"), time_unit),
    )


def feature_id_of(fields: Mapping[str, Any]) -> str:
    """Return the id of the document, by its name or its alias, or raise `FaultError`."""
    own = id_text("feature_id", fields.get("feature_id"))
    alias = id_text("document_id", fields.get("document_id"))
    if own and alias and own != alias:
        raise FaultError(reasons.ALIAS_CONFLICT, "document_id", f"{own} and {alias}")
    given = fields.get("document_id" if fields.get("feature_id") is None else "feature_id")
    if given == "":
        raise FaultError(reasons.EMPTY, "feature_id", given)
    found = own or alias
    if found is None:
        raise FaultError(reasons.MISSING, "feature_id", given)
    return found


def types_of(value: Any, known: frozenset[str]) -> list[str]:
    """Return the known types that a list or a text names, or raise `FaultError`."""
    names = names_of(value, known)
    if not names:
        raise FaultError(reasons.TYPES_MISSING, "interaction_type", value)
    for name in names:
        if name is None or name == "":
            raise FaultError(reasons.TYPES_NULL, "interaction_type", value)
    return [_known_type(str(name), known) for name in names]


def _known_type(name: str, known: frozenset[str]) -> str:
    found = known_name(name, known)
    if found is None:
        raise FaultError(unknown_reason(name, known), "interaction_type", name)
    return found


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
