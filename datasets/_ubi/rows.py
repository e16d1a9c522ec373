"""One document of UBI to one flat row: a query with its hits, or an event on an object."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import polars as pl

from .. import _reasons as reasons
from .._json_line import Fault, text_of
from ..interaction import MAX_ID_CHARACTERS, MAX_INT32, MAX_TEXT_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

HIT_LISTS: Final = (
    "query_response_hit_ids",
    "query_response_object_ids",
    "query_response_objects_ids",
)
"""Names of the hit list: of schema and index, of older indices, of the older documentation."""

NESTED_HIT_LISTS: Final = ("hit_ids", "object_ids", "objects_ids", "objects", *HIT_LISTS)
"""Its names within ``query_response``."""

NOT_HIT_LIST: Final = "expected a list of ids"
TWO_HIT_LISTS: Final = "two hit lists that differ, under different names"
BELOW_ZERO: Final = "negative"
PLAIN_TEXT: Final = "expected text"
NO_JSON: Final = "cannot be written as JSON"

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND_DIGITS: Final = 11
_OF_OBJECT: Final = ("object", "position")


class QueryRow(NamedTuple):
    """A query; `hits` is None where the document holds no hit list."""

    row: int
    query_id: str
    user_id: str | None
    client_id: str | None
    session_id: str | None
    time: str | None
    query_snapshot: str | None
    metadata: str | None
    hits: list[str] | None


class EventRow(NamedTuple):
    """An event; `ordinal` counts from whatever the sender counts from."""

    row: int
    action: str
    query_id: str | None
    user_id: str | None
    client_id: str | None
    session_id: str | None
    time: str | None
    query_snapshot: str | None
    metadata: str | None
    object_id: str
    internal_id: str | None
    ordinal: int | None


QUERY_SCHEMA: Final[dict[str, Any]] = {
    "row": pl.Int64,
    **dict.fromkeys(QueryRow._fields[1:-1], pl.String),
    "hits": pl.List(pl.String),
}
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "row": pl.Int64,
    **dict.fromkeys(EventRow._fields[1:-1], pl.String),
    "ordinal": pl.Int64,
}


class RowFaultError(Exception):
    """A document breaks a rule."""

    def __init__(self, reason: str, field: str, value: Any) -> None:
        self.fault = Fault(field, None if value is None else text_of(value), reason)


def query_row(row: int, document: Mapping[str, Any]) -> QueryRow | Fault:
    """Return a query as a row, or what is wrong with it."""
    try:
        attributes = _object(document, "query_attributes")
        return QueryRow(
            row=row,
            query_id=_required(document, "query_id"),
            user_id=_id(document, "user_id") or _id(attributes, "user_id"),
            client_id=_id(document, "client_id"),
            session_id=_id(document, "session_id") or _id(attributes, "session_id"),
            time=_time(document),
            query_snapshot=_snapshot(document, attributes),
            metadata=_json("query_attributes", attributes | _told(document)),
            hits=_hits(document),
        )
    except RowFaultError as error:
        return error.fault


def event_row(row: int, document: Mapping[str, Any]) -> EventRow | Fault:
    """Return an event as a row, or what is wrong with it."""
    try:
        attributes = _object(document, "event_attributes")
        told = _object(attributes, "object")
        details = {k: v for k, v in attributes.items() if k not in _OF_OBJECT and v is not None}
        return EventRow(
            row=row,
            action=_required(document, "action_name"),
            query_id=_id(document, "query_id"),
            user_id=_id(document, "user_id") or _id(attributes, "user_id"),
            client_id=_id(document, "client_id"),
            session_id=_id(document, "session_id") or _id(attributes, "session_id"),
            time=_time(document),
            query_snapshot=_snapshot(document, {}),
            metadata=_json("event_attributes", details | _told(document)),
            object_id=_id(told, "object_id") or _required(told, "internal_id", "object_id"),
            internal_id=_id(told, "internal_id"),
            ordinal=_ordinal(_object(attributes, "position").get("ordinal")),
        )
    except RowFaultError as error:
        return error.fault


def _id(document: Mapping[str, Any], name: str, field: str | None = None) -> str | None:
    value = document.get(name)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS:
        return value
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowFaultError(reasons.NOT_TEXT, field or name, value)
    text = str(value)
    if len(text) > MAX_ID_CHARACTERS:
        raise RowFaultError(reasons.TOO_LONG_ID, field or name, value)
    return text


def _required(document: Mapping[str, Any], name: str, field: str | None = None) -> str:
    value = _id(document, name, field)
    if value is None:
        raise RowFaultError(reasons.MISSING, field or name, None)
    return value


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object, which tables may hold as JSON text; an absent one is empty."""
    value = document.get(name)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            raise RowFaultError(reasons.NOT_OBJECT, name, value) from None
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RowFaultError(reasons.NOT_OBJECT, name, value)
    return value


def _told(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that no column holds but that tell where an interaction came from."""
    names = ("action_name", "application", "client_id", "message", "message_type")
    return {name: value for name in names if (value := document.get(name)) is not None}


def _snapshot(document: Mapping[str, Any], attributes: Mapping[str, Any]) -> str | None:
    # Attributes stand beside the text, where canonical_query leaves out pages and ids.
    told = {k: v for k, v in attributes.items() if v is not None}
    text = document.get("user_query")
    if text is not None and not isinstance(text, str):
        raise RowFaultError(PLAIN_TEXT, "user_query", text)
    return _json("user_query", told | ({"user_query": text} if text else {}))


def _json(field: str, value: dict[str, Any]) -> str | None:
    if not value:
        return None
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RowFaultError(NO_JSON, field, error) from error
    if len(text) > MAX_TEXT_CHARACTERS:
        raise RowFaultError(reasons.TOO_LONG_TEXT, field, text)
    return text


def _time(document: Mapping[str, Any]) -> str | None:
    """Return the time as ISO 8601; indices also take milliseconds since 1970."""
    value = document.get("timestamp")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value) if len(value) >= _MILLISECOND_DIGITS else value
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return (_EPOCH + dt.timedelta(milliseconds=value)).isoformat()
        except OverflowError:
            raise RowFaultError(reasons.TIME_RANGE, "timestamp", value) from None
    if value is None or value == "":
        raise RowFaultError(reasons.MISSING, "timestamp", None)
    if not isinstance(value, str):
        raise RowFaultError(reasons.NOT_TIME, "timestamp", value)
    return value


def _ordinal(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return None
    field = "event_attributes.position.ordinal"
    if isinstance(value, bool) or not isinstance(value, int):
        raise RowFaultError(reasons.NOT_WHOLE, field, value)
    if value < 0:
        raise RowFaultError(BELOW_ZERO, field, value)
    if value > MAX_INT32:
        raise RowFaultError(reasons.ABOVE_INT32, field, value)
    return value


def _hits(document: Mapping[str, Any]) -> list[str] | None:
    response = _object(document, "query_response")
    found = [(name, document[name]) for name in HIT_LISTS if document.get(name) is not None]
    found += [(name, response[name]) for name in NESTED_HIT_LISTS if response.get(name) is not None]
    lists = [_ids(name, value) for name, value in found]
    if not lists:
        return None
    # An index that was migrated holds both names, and the old one is then often empty.
    filled = [ids for ids in lists if ids]
    if any(ids != filled[0] for ids in filled):
        raise RowFaultError(TWO_HIT_LISTS, found[0][0], [name for name, _ in found])
    return filled[0] if filled else []


def _ids(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise RowFaultError(NOT_HIT_LIST, name, value)
    return [_hit(name, hit) for hit in value]


def _hit(name: str, hit: Any) -> str:
    if isinstance(hit, str) and 0 < len(hit) <= MAX_ID_CHARACTERS:
        return hit
    fields = hit if isinstance(hit, dict) else {"object_id": hit}
    return _id(fields, "object_id", name) or _required(fields, "_id", name)
