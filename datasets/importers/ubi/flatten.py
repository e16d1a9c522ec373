"""One document of UBI to one flat row: a query with its hits, or an event on an object.

Schemas 1.0.0 to 1.3.0 and what indices of that time hold: fields may be nested, dotted, or text
that holds JSON; ordinals may be numbers, text, or objects with an index.
"""

from __future__ import annotations

import ast
import datetime as dt
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import polars as pl

from ...record import fault as reasons
from ...record.fault import Fault, FaultError, shorten
from ...record.interaction import MAX_ID_CHARACTERS, MAX_INT32, MAX_TEXT_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIT_LISTS: Final = (
    "query_response_hit_ids",
    "query_response_object_ids",
    "query_response_objects_ids",
)
"""Names of the hit list: of schema and index, of older indices, of the older documentation."""

NESTED_HIT_LISTS: Final = ("hit_ids", "object_ids", "objects_ids", "objects", *HIT_LISTS)
"""Its names within ``query_response``."""

OFFSETS: Final = ("from", "offset", "start")
"""Attributes of a query that hold how many results come before the first hit of the list."""

ORDINAL: Final = "event_attributes.position.ordinal"

NOT_HIT_LIST: Final = "expected a list of ids"
TWO_HIT_LISTS: Final = "two hit lists that differ, under different names"
BELOW_ZERO: Final = "negative"
PLAIN_TEXT: Final = "expected text"
NO_JSON: Final = "cannot be written as JSON"
NO_EPOCH: Final = (
    "no time: expected ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970 "
    "of the years 2000 to 2099"
)

_OBJECTS: Final = ("query_attributes", "query_response", "event_attributes")
_OF_OBJECT: Final = ("object", "position")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d*)?")
_DASHBOARDS: Final = re.compile(r"[A-Z][a-z]{2} \d{1,2}, \d{4} @ \d\d:\d\d:\d\d\.\d{1,6}")
"""A time as OpenSearch Dashboards and Kibana write it to CSV: Jan 31, 2026 @ 12:00:00.000."""

_SECONDS_2000: Final = 946_684_800
_SECONDS_2100: Final = 4_102_444_800


class QueryRow(NamedTuple):
    """A query; `hits` is None where the document holds no hit list."""

    row: int
    query_id: str
    user_id: str | None
    client_id: str | None
    session_id: str | None
    application: str | None
    text: str | None
    time: str | None
    query_snapshot: str | None
    metadata: str | None
    offset: int
    hits: list[str] | None


class EventRow(NamedTuple):
    """An event; `ordinal` counts from what the sender counts from.

    An ordinal that is no whole number from 0 on is None; its text and the reason are next to it.
    """

    row: int
    action: str
    query_id: str | None
    user_id: str | None
    client_id: str | None
    session_id: str | None
    application: str | None
    text: str | None
    time: str | None
    query_snapshot: str | None
    metadata: str | None
    object_id: str
    internal_id: str | None
    unusable_ordinal: str | None
    ordinal_fault: str | None
    ordinal: int | None


QUERY_SCHEMA: Final[dict[str, Any]] = {
    "row": pl.Int64,
    **dict.fromkeys(QueryRow._fields[1:-2], pl.String),
    "offset": pl.Int64,
    "hits": pl.List(pl.String),
}
EVENT_SCHEMA: Final[dict[str, Any]] = {
    "row": pl.Int64,
    **dict.fromkeys(EventRow._fields[1:-1], pl.String),
    "ordinal": pl.Int64,
}


def query_row(row: int, document: Mapping[str, Any]) -> QueryRow | Fault:
    """Return a query as a row, or what is wrong with it."""
    try:
        document = nested(document)
        attributes = _object(document, "query_attributes")
        offsets = _offsets(attributes)
        return QueryRow(
            row=row,
            query_id=_required(document, "query_id"),
            user_id=_id(document, "user_id") or _id(attributes, "user_id"),
            client_id=_id(document, "client_id"),
            session_id=_id(document, "session_id") or _id(attributes, "session_id"),
            application=_id(document, "application"),
            text=_user_query(document),
            time=_time(document),
            query_snapshot=_snapshot(document, attributes, without=offsets),
            metadata=_json("query_attributes", attributes | _origin(document)),
            offset=next(iter(offsets.values()), 0),
            hits=_hits(document),
        )
    except FaultError as error:
        return error.fault


def event_row(row: int, document: Mapping[str, Any]) -> EventRow | Fault:
    """Return an event as a row, or what is wrong with it."""
    try:
        document = nested(document)
        attributes = _object(document, "event_attributes")
        target = _object(attributes, "object")
        details = {k: v for k, v in attributes.items() if k not in _OF_OBJECT and v is not None}
        ordinal, unusable, fault = _ordinal(attributes.get("position"))
        return EventRow(
            row=row,
            action=_required(document, "action_name"),
            query_id=_id(document, "query_id"),
            user_id=_id(document, "user_id") or _id(attributes, "user_id"),
            client_id=_id(document, "client_id"),
            session_id=_id(document, "session_id") or _id(attributes, "session_id"),
            application=_id(document, "application"),
            text=_user_query(document),
            time=_time(document),
            query_snapshot=_snapshot(document, {}),
            metadata=_json("event_attributes", details | _origin(document)),
            object_id=_id(target, "object_id") or _required(target, "internal_id", "object_id"),
            internal_id=_id(target, "internal_id"),
            unusable_ordinal=unusable,
            ordinal_fault=fault,
            ordinal=ordinal,
        )
    except FaultError as error:
        return error.fault


def nested(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document with dotted names as objects, as OpenSearch and flat tables mean them.

    >>> nested({"query_id": "q", "event_attributes.object.object_id": "b"})
    {'query_id': 'q', 'event_attributes': {'object': {'object_id': 'b'}}}
    """
    dotted = [name for name in document if "." in name and name.partition(".")[0] in _OBJECTS]
    if not dotted:
        return document
    result = {name: value for name, value in document.items() if name not in dotted}
    for name in dotted:
        if (value := document[name]) is None or value == "":
            continue
        *parents, last = name.split(".")
        inner = result
        for parent in parents:
            # Without a copy, a dict of the caller's would change.
            inner[parent] = dict(_object(inner, parent))
            inner = inner[parent]
        inner.setdefault(last, value)
    return result


def _id(document: Mapping[str, Any], name: str, field: str | None = None) -> str | None:
    value = document.get(name)
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS:
        return value
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FaultError(reasons.NOT_TEXT, field or name, value)
    text = str(value)
    if len(text) > MAX_ID_CHARACTERS:
        raise FaultError(reasons.TOO_LONG_ID, field or name, value)
    return text


def _required(document: Mapping[str, Any], name: str, field: str | None = None) -> str:
    value = _id(document, name, field)
    if value is None:
        raise FaultError(reasons.MISSING, field or name, None)
    return value


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object, which tables may hold as text; an absent one is empty."""
    value = document.get(name)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _parsed(value, reasons.NOT_OBJECT, name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise FaultError(reasons.NOT_OBJECT, name, value)
    return value


def _parsed(text: str, reason: str, field: str) -> Any:
    """Return what JSON says, or a Python literal, which is what pandas writes to CSV."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            raise FaultError(reason, field, text) from None


def _origin(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without a column of their own that say where an interaction came from."""
    names = ("action_name", "application", "client_id", "message", "message_type")
    return {name: value for name in names if (value := document.get(name)) is not None}


def _user_query(document: Mapping[str, Any]) -> str | None:
    text = document.get("user_query")
    if text is not None and not isinstance(text, str):
        raise FaultError(PLAIN_TEXT, "user_query", text)
    return text or None


def _snapshot(
    document: Mapping[str, Any], attributes: Mapping[str, Any], without: Iterable[str] = ()
) -> str | None:
    # At the top level, next to the text, canonical_query leaves out pages and ids.
    given = {k: v for k, v in attributes.items() if v is not None and k not in without}
    text = _user_query(document)
    return _json("user_query", given | ({"user_query": text} if text else {}))


def _json(field: str, value: dict[str, Any]) -> str | None:
    if not value:
        return None
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise FaultError(NO_JSON, field, error) from error
    if len(text) > MAX_TEXT_CHARACTERS:
        raise FaultError(reasons.TOO_LONG_TEXT, field, text)
    return text


def _offsets(attributes: Mapping[str, Any]) -> dict[str, int]:
    """Return the attributes that hold how many results come before the first hit."""
    numbers = {name: _whole(attributes.get(name)) for name in OFFSETS}
    return {n: at for n, at in numbers.items() if at is not None and 0 <= at <= MAX_INT32}


def _time(document: Mapping[str, Any]) -> str | None:
    """Return the time as ISO 8601."""
    value = document.get("timestamp")
    if isinstance(value, dt.date):
        return value.isoformat()
    if value is None or value == "":
        raise FaultError(reasons.MISSING, "timestamp", None)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        value = float(text) if "." in text else int(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value).isoformat()
    if not isinstance(value, str):
        raise FaultError(reasons.NOT_TIME, "timestamp", value)
    if _DASHBOARDS.fullmatch(value.strip()):
        with suppress(ValueError):
            moment = dt.datetime.strptime(f"{value.strip()} +0000", "%b %d, %Y @ %H:%M:%S.%f %z")
            return moment.isoformat()
    return value


def _from_epoch(value: float) -> dt.datetime:
    """Return the time of a number whose unit follows from its size.

    From 2000 to 2099 the numbers of any two units are apart by a factor of 200, so that one unit
    alone fits.
    """
    for per_second in (1, 1_000, 1_000_000, 1_000_000_000):
        if _SECONDS_2000 * per_second <= value < _SECONDS_2100 * per_second:
            if isinstance(value, int):
                micro = value * 1_000_000 // per_second
            else:
                micro = round(value * (1_000_000 / per_second))
            return _EPOCH + dt.timedelta(microseconds=micro)
    raise FaultError(NO_EPOCH, "timestamp", value)


def _ordinal(position: Any) -> tuple[int | None, str | None, str | None]:
    """Return an ordinal; if it is unusable None, its text and the reason.

    ``{"ordinal": 3}`` as in schema 1.3.0, ``{"ordinal": {"index": 3}}`` as in 1.0.0 to 1.2.0, or
    ``3`` alone; numbers may be text.
    """
    if isinstance(position, str) and position.lstrip().startswith("{"):
        try:
            position = _parsed(position, reasons.NOT_OBJECT, "position")
        except FaultError as error:
            return None, error.fault.value, error.fault.reason
    value = position.get("ordinal") if isinstance(position, dict) else position
    if isinstance(value, dict):
        value = value.get("index")
    if value is None or value == "":
        return None, None, None
    number = _whole(value)
    if number is None:
        return None, shorten(value), reasons.NOT_WHOLE
    if not 0 <= number <= MAX_INT32:
        return None, shorten(value), BELOW_ZERO if number < 0 else reasons.ABOVE_INT32
    return number, None, None


def _whole(value: Any) -> int | None:
    """Return a whole number, given as such, as a float without a fraction, or as text of these."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _hits(document: Mapping[str, Any]) -> list[str] | None:
    response = _object(document, "query_response")
    named = [(name, document[name]) for name in HIT_LISTS if document.get(name) is not None]
    named += [(name, response[name]) for name in NESTED_HIT_LISTS if response.get(name) is not None]
    lists = [_ids(name, value) for name, value in named]
    if not lists:
        return None
    # An index that was migrated holds both names, and the old one is then often empty.
    filled = [ids for ids in lists if ids]
    if any(ids != filled[0] for ids in filled):
        raise FaultError(TWO_HIT_LISTS, named[0][0], [name for name, _ in named])
    return filled[0] if filled else []


def _ids(name: str, value: Any) -> list[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value, NOT_HIT_LIST, name)
    if not isinstance(value, list):
        raise FaultError(NOT_HIT_LIST, name, value)
    return [_hit(name, hit) for hit in value]


def _hit(name: str, hit: Any) -> str:
    if isinstance(hit, str) and 0 < len(hit) <= MAX_ID_CHARACTERS:
        return hit
    fields = hit if isinstance(hit, dict) else {"object_id": hit}
    return _id(fields, "object_id", name) or _required(fields, "_id", name)
