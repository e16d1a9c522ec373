"""One live interaction, checked without polars and the readers of files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._shared.ids import NO_ID, stable_id
from ...datasets.record.fault import FaultError
from ...datasets.record.ids import id_text
from ...datasets.record.interaction import MAX_INT32
from ...datasets.record.parse import feature_id_of, types_of
from ...datasets.record.query_keys import canonical_query
from ...datasets.record.times import moment_of as time_of
from ...errors import InvalidInputError, did_you_mean
from ..base.timestamps import microseconds, moment_of
from .logged_scores import scores_of, weights_of

if TYPE_CHECKING:
    from ..base.rewards import RewardTable


Query = str | Mapping[str, Any]
"""A query as callers name it: its snapshot as logged, text or the values of its JSON."""


class LiveEvent(NamedTuple):
    """What the fold needs to know of one interaction; its query where that is needed.

    A position of -1 is missing.
    """

    document: str
    types: tuple[str, ...]
    position: int
    time: int
    backfilled: bool
    execution: str | None
    user: str | None
    session: str | None
    query: str | None
    feature_uri: str | None
    retriever: str | None
    segment: tuple[str, ...] | None
    scores: Mapping[str, Any] | None
    weights: Mapping[str, Any] | None
    is_future: bool = False


def read_event(
    event: Any,
    rewards: RewardTable,
    segment_by: tuple[str, ...],
    now: int,
    *,
    with_query: bool = False,
) -> LiveEvent:
    """Check a dict or an `Interaction` by the rules of the record.

    The query is read where there is no execution, or with `with_query`.

    A time that is later than both `now` and the clock is that of a clock that is wrong, and becomes
    the later of the two.

    Raises
    ------
    InvalidInputError
        Names the field, the value and what was expected.
    """
    fields = event if isinstance(event, Mapping) else _attributes(event)
    try:
        return _read(fields, rewards, segment_by, now, with_query=with_query)
    except FaultError as error:
        raise InvalidInputError(str(error.fault)) from None


def _read(
    fields: Mapping[str, Any],
    rewards: RewardTable,
    segment_by: tuple[str, ...],
    now: int,
    *,
    with_query: bool,
) -> LiveEvent:
    get = fields.get
    document = feature_id_of(fields)
    metadata = _object(get("metadata"))
    happened = _time("occurred_at", get("occurred_at"))
    recorded = _time("timestamp", get("timestamp"))
    time = next((t for t in (happened, recorded) if t is not None), now)
    present = now if time <= now else max(now, moment_of(None))
    execution, snapshot = id_text("execution_id", get("execution_id")), get("query_snapshot")
    needs_query = (with_query or execution is None) and snapshot is not None and snapshot != ""
    return LiveEvent(
        document=document,
        types=tuple(types_of(get("interaction_type"), rewards.known)),
        position=_position(get("position")),
        time=min(time, present),
        backfilled=happened is not None,
        execution=execution,
        user=id_text("user_id", get("user_id")),
        session=id_text("session_id", get("session_id")),
        query=query_text(snapshot) if needs_query else None,
        feature_uri=id_text("feature_uri", get("feature_uri")),
        retriever=id_text("retriever_id", get("retriever_id")),
        segment=_segment(fields, metadata, segment_by),
        scores=scores_of(metadata.get("features")),
        weights=weights_of(metadata),
        is_future=time > present,
    )


def _attributes(event: Any) -> Mapping[str, Any]:
    names = getattr(event, "__struct_fields__", None)
    if names is None:
        msg = f"event: expected a dict or an Interaction, got {type(event).__name__}"
        raise InvalidInputError(msg)
    return {name: getattr(event, name) for name in names}


def check_type(name: Any, rewards: RewardTable) -> None:
    """Raise `InvalidInputError` for a type that is neither built in nor rewarded."""
    if not isinstance(name, str) or name not in rewards.known:
        hint = did_you_mean(str(name), rewards.rewards)
        msg = f"interaction_type: unknown type {name!r}; give it a reward to make it known.{hint}"
        raise InvalidInputError(msg)


def _position(value: Any) -> int:
    if value is None:
        return -1
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool) or not 0 <= value <= MAX_INT32:
        msg = f"position: expected a whole number from 0 on, got {value!r}"
        raise InvalidInputError(msg)
    return int(value)


def _time(name: str, value: Any) -> int | None:
    if not isinstance(value, dt.datetime):
        value = time_of(name, value)
    return None if value is None else microseconds(value, name)


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = repr(value)
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        msg = f"metadata: expected an object, got {value}"
        raise InvalidInputError(msg)
    return value


def query_text(snapshot: Any) -> str:
    """Return the text that equal queries share."""
    return canonical_query(snapshot if isinstance(snapshot, str) else json.dumps(snapshot))


def query_key(query: Query | None) -> int:
    """Return the id of a query as callers name it, `NO_ID` for none.

    Raises InvalidInputError if it is neither text nor a mapping.
    """
    if query is None or query == "":
        return NO_ID
    if not isinstance(query, str | Mapping):
        msg = f"query: expected text or a mapping, as logged in query_snapshot, got {query!r}"
        raise InvalidInputError(msg)
    return _id_of_text(query if isinstance(query, str) else json.dumps(query))


@lru_cache(maxsize=1 << 14)
def _id_of_text(snapshot: str) -> int:
    return stable_id(canonical_query(snapshot))


def _segment(
    fields: Mapping[str, Any], metadata: Mapping[str, Any], segment_by: tuple[str, ...]
) -> tuple[str, ...] | None:
    if not segment_by:
        return None
    values = [fields.get(n) if fields.get(n) is not None else metadata.get(n) for n in segment_by]
    if any(value is None for value in values):
        return None
    return tuple(v if isinstance(v, str) else json.dumps(v) for v in values)
