"""One live interaction, checked without the engines that read files."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..datasets.query_keys import canonical_query
from ..errors import InvalidInputError, did_you_mean
from ._decay import NO_TIME, microseconds

if TYPE_CHECKING:
    from .rewards import RewardTable

MOST_SCORE: Final = 1e6
"""Largest score or weight: the sums hold squares, and one row must not overflow them for ever."""

SESSION_GAP: Final = 30 * 60 * 1_000_000
"""Microseconds after which the same query of the same session is another execution."""

_MAX_INT32: Final = 2**31 - 1
_ID_CHARACTERS: Final = 1_024


class LiveEvent(NamedTuple):
    """What the fold needs to know of one interaction; its query only for want of an execution."""

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


def read_event(
    event: Any, rewards: RewardTable, segment_by: tuple[str, ...], now: int
) -> LiveEvent:
    """Check a dict or an `Interaction` by the rules of the record.

    Raises
    ------
    InvalidInputError
        Names the field, the value and what was expected.
    """
    fields = event if isinstance(event, Mapping) else _attributes(event)
    get = fields.get
    document = _id("feature_id", get("feature_id")) or _id("document_id", get("document_id"))
    if document is None:
        msg = "feature_id: missing; it names the document of the interaction"
        raise InvalidInputError(msg)
    metadata = _object(get("metadata"))
    happened = _time("occurred_at", get("occurred_at"))
    recorded = _time("timestamp", get("timestamp"))
    execution, snapshot = _id("execution_id", get("execution_id")), get("query_snapshot")
    nameless = execution is None and snapshot is not None and snapshot != ""
    return LiveEvent(
        document=document,
        types=_types(get("interaction_type"), rewards),
        position=_position(get("position")),
        time=next((t for t in (happened, recorded) if t is not None), now),
        backfilled=happened is not None,
        execution=execution,
        user=_id("user_id", get("user_id")),
        session=_id("session_id", get("session_id")),
        query=query_text(snapshot) if nameless else None,
        feature_uri=_id("feature_uri", get("feature_uri")),
        retriever=_id("retriever_id", get("retriever_id")),
        segment=_segment(fields, metadata, segment_by),
        scores=scores_of(metadata.get("features")),
        weights=weights_of(metadata),
    )


def scores_of(features: Any) -> dict[str, Any] | None:
    """Return the score of every channel from ``metadata.features``; None where there are none."""
    if not isinstance(features, Mapping):
        return None
    found = {
        str(uri): value["score"]
        for uri, value in features.items()
        if isinstance(value, dict | Mapping) and "score" in value
    }
    return found or None


def weights_of(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the served weights from ``metadata.fusion.weights``; None where there are none."""
    fusion = metadata.get("fusion")
    weights = fusion.get("weights") if isinstance(fusion, Mapping) else None
    return weights if isinstance(weights, Mapping) else None


def usable(value: Any) -> float:
    """Return a score or weight, or NaN where it is no number or beyond `MOST_SCORE`."""
    if type(value) is float:
        return value if abs(value) <= MOST_SCORE else math.nan
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) <= MOST_SCORE else math.nan


class StandIns:
    """Executions of rows without an execution_id: (session, query) within a 30-minute gap.

    The name is the one that `load_pairs` gives: that of the first event's moment.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], tuple[int, int]] = {}

    def name(self, event: LiveEvent) -> str | None:
        """Return the execution's name, None where session or query is not known."""
        if event.session is None or event.query is None:
            return None
        key = (event.session, event.query)
        start, last = self._runs.pop(key, (event.time, event.time))
        if not start - SESSION_GAP <= event.time <= last + SESSION_GAP:
            start = last = event.time
        self._runs[key] = start, max(last, event.time)
        self._drop_old(event.time)
        digest = blake2b(event.query.encode(), digest_size=8).hexdigest()
        return f"session:{event.session}:{digest}:{start}"

    def continues(self, key: tuple[str, str], time: int) -> bool:
        """Return whether a moment belongs to a run of a session and query that is at hand."""
        start, last = self._runs.get(key, (NO_TIME, NO_TIME))
        return start - SESSION_GAP <= time <= last + SESSION_GAP

    def begin(self, key: tuple[str, str], start: int, last: int) -> None:
        """Note a run that began elsewhere."""
        self._runs.pop(key, None)
        self._runs[key] = start, last

    def _drop_old(self, time: int) -> None:
        for key in list(islice(self._runs, 2)):
            if self._runs[key][1] < time - 2 * SESSION_GAP:
                del self._runs[key]


def _attributes(event: Any) -> Mapping[str, Any]:
    names = getattr(event, "__struct_fields__", None)
    if names is None:
        msg = f"event: expected a dict or an Interaction, got {type(event).__name__}"
        raise InvalidInputError(msg)
    return {name: getattr(event, name) for name in names}


def _id(name: str, value: Any) -> str | None:
    if isinstance(value, str):
        if len(value) > _ID_CHARACTERS:
            msg = f"{name}: at most {_ID_CHARACTERS} characters, got {len(value)}"
            raise InvalidInputError(msg)
        return value or None
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    msg = f"{name}: expected text, got {value!r}"
    raise InvalidInputError(msg)


def _types(value: Any, rewards: RewardTable) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        msg = f"interaction_type: expected a list of names such as ['click'], got {value!r}"
        raise InvalidInputError(msg)
    for name in value:
        check_type(name, rewards)
    return tuple(str(name) for name in value)


def check_type(name: Any, rewards: RewardTable) -> None:
    """Raise `InvalidInputError` for a type that is neither built in nor rewarded."""
    if not isinstance(name, str) or not rewards.knows(name):
        hint = did_you_mean(str(name), rewards.rewards)
        msg = f"interaction_type: unknown type {name!r}; give it a reward to make it known.{hint}"
        raise InvalidInputError(msg)


def _position(value: Any) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or isinstance(value, bool) or not 0 <= value <= _MAX_INT32:
        msg = f"position: expected a whole number from 0 on, got {value!r}"
        raise InvalidInputError(msg)
    return int(value)


def _time(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.upper())
        except ValueError:
            value = repr(value)
    if not isinstance(value, dt.datetime):
        msg = f"{name}: expected an ISO 8601 time or a datetime, got {value}"
        raise InvalidInputError(msg)
    return microseconds(value, name)


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


def _segment(
    fields: Mapping[str, Any], metadata: Mapping[str, Any], segment_by: tuple[str, ...]
) -> tuple[str, ...] | None:
    if not segment_by:
        return None
    values = [fields.get(n) if fields.get(n) is not None else metadata.get(n) for n in segment_by]
    if any(value is None for value in values):
        return None
    return tuple(v if isinstance(v, str) else json.dumps(v) for v in values)
