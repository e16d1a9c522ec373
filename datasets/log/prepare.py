"""Raw interactions to rows that the log can store: by a fast strict decoder, or by the rules.

Everything that can fail for one row fails here, in the caller's thread. The strict decoder accepts
only what the rules of `parse_interaction` accept unchanged; what it refuses is left to these rules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from ...errors import InvalidInputError
from ..record.fault import FaultError
from ..record.ids import NULL_WORDS
from ..record.interaction import (
    ID_COLUMNS,
    MAX_DEPTH,
    MAX_ID_CHARACTERS,
    MAX_INT32,
    MAX_TEXT_CHARACTERS,
    Interaction,
)
from ..record.json_depth import is_too_deep
from ..record.mapping import InputMapping
from ..record.parse import checked_fields, interaction_of, known_types
from ..record.times import microseconds, moment_of
from .answers import RowFault
from .stored_row import PreparedRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..record.mapping import TimeUnit

_IGNORED: Final = ("deduplicated", "warning")
"""What only the log says of a record."""

_KNOWN: Final = frozenset((*Interaction.__struct_fields__, "document_id"))
_SHOWN_KEYS: Final = 10
_CLOCKS_DIFFER_BY: Final = dt.timedelta(minutes=1)
"""A sender's time that is later than that gets a warning."""

_ROW_BYTES: Final = 400
_OTHER: Final = "this is the log of the retriever {!r}"
_Id: Final[Any] = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
_Whole: Final[Any] = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)]
_Size: Final[Any] = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)]
_encode: Final = msgspec.json.encode


class _UnsureError(Exception):
    """The strict reading leaves a line to the rules."""


class Preparer:
    """Turns raw interactions into rows of one namespace.

    `retriever_id`: given to rows without one; rows that name another are refused. `types`:
    interaction types in addition to the built-in ones. `mapping` is applied to every record; then
    all go by the rules.
    """

    def __init__(
        self,
        namespace: str,
        retriever_id: str | None,
        types: tuple[str, ...],
        mapping: InputMapping | None = None,
    ) -> None:
        self._namespace, self._retriever = namespace, retriever_id
        self._mapping = None if mapping == InputMapping() else mapping
        self._known = known_types(types)
        self._decode, self._decode_many, self._decode_body = _decoders(self._known)

    def prepare(
        self, raw: Any, *, backfill: bool, idempotency_key: str | None = None
    ) -> PreparedRow | RowFault:
        """Return a row, or why it is refused."""
        own = None if idempotency_key is None else self._id_of(idempotency_key)
        if isinstance(raw, bytes) and self._mapping is None:
            with suppress(ValueError, RecursionError, _UnsureError):
                return self._from_line(self._decode(raw), own, backfill=backfill)
        return self._by_the_rules(raw, own, backfill=backfill)

    def prepare_batch(
        self, body: bytes | Sequence[Any], limit: int
    ) -> list[PreparedRow | RowFault]:
        """Return the rows of a body, each by itself; see `InteractionLog.prepare_batch`."""
        if not isinstance(body, bytes):
            _check_count(len(body), limit)
            return [self.prepare(raw, backfill=True) for raw in body]
        if self._mapping is None:
            with suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError, _UnsureError):
                decode = self._decode_many if body.lstrip()[:1] == b"[" else self._decode_body
                lines = decode(body)
                _check_count(len(lines), limit)
                return [self._from_line(line, None, backfill=True) for line in lines]
        raws = _split(body)
        _check_count(len(raws), limit)
        return [self.prepare(bytes(raw), backfill=True) for raw in raws]

    def _id_of(self, key: str) -> str:
        """Return the id made of a key, the same in every process."""
        text = _encode((self._namespace, key))
        raw = bytearray(blake2b(text, digest_size=16, person=b"idempotency").digest())
        raw[6] = raw[6] & 0x0F | 0x80
        raw[8] = raw[8] & 0x3F | 0x80
        return str(UUID(bytes=bytes(raw)))

    def _from_line(self, line: Any, own: str | None, *, backfill: bool) -> PreparedRow:
        """Return the row of a line that the strict decoder took, or raise `_UnsureError`."""
        document = line.feature_id or line.document_id
        if document is None or line.document_id not in {None, document}:
            raise _UnsureError
        ids = (line.user_id, line.session_id, line.execution_id, line.retriever_id)
        if not NULL_WORDS.isdisjoint((document, *ids, line.feature_uri, line.interaction_id)):
            raise _UnsureError
        metadata = None if line.metadata is None else _text(line.metadata)
        try:
            occurred_at = moment_of("occurred_at", line.occurred_at)
            occurred_at, left_out = _event_time(occurred_at, line.timestamp)
            return self._row(
                line,
                line.interaction_id or own,
                document,
                metadata,
                _snapshot(line.query_snapshot),
                occurred_at,
                backfill=backfill,
                left_out=left_out,
            )
        except FaultError:
            raise _UnsureError from None

    def _by_the_rules(
        self,
        raw: Mapping[str, Any] | bytes | str | Interaction,
        own: str | None,
        *,
        backfill: bool,
    ) -> PreparedRow | RowFault:
        try:
            fields = self._fields(raw)
            left_out = _named([name for name in fields if name not in _KNOWN])
            nulls = [f"{name} ({fields[name]!r} means missing)" for name in _null_words(fields)]
            for name in _IGNORED:
                fields.pop(name, None)
            timestamp = fields.pop("timestamp", None)
            unit = None if self._mapping is None else self._mapping.time_unit
            record = interaction_of(fields, self._known, unit)
            occurred_at, time_left_out = _event_time(record.occurred_at, timestamp, unit)
            snapshot = record.query_snapshot
            return self._row(
                record,
                record.interaction_id or own,
                record.feature_id,
                None if record.metadata is None else _encode(record.metadata).decode(),
                snapshot
                if snapshot is None or isinstance(snapshot, str)
                else _encode(snapshot).decode(),
                occurred_at,
                backfill=backfill,
                left_out=", ".join(filter(None, (*nulls, time_left_out, left_out))) or None,
            )
        except FaultError as error:
            field, value, reason = error.fault
            return RowFault(field, reason, value)

    def _fields(self, raw: Mapping[str, Any] | bytes | str | Interaction) -> dict[str, Any]:
        if self._mapping is None:
            return checked_fields(raw)
        record: Any = raw
        with suppress(ValueError, RecursionError):
            record = msgspec.json.decode(raw) if isinstance(raw, bytes | str) else raw
        return checked_fields(self._mapping.apply(record) if isinstance(record, Mapping) else raw)

    def _row(
        self,
        record: Any,
        interaction_id: str | None,
        document: str,
        metadata: str | None,
        snapshot: str | None,
        occurred_at: dt.datetime | None,
        *,
        backfill: bool,
        left_out: str | None = None,
    ) -> PreparedRow:
        """Return a row of a record, or of a line, whose fields are all checked."""
        retriever = record.retriever_id or self._retriever or ""
        if self._retriever is not None and retriever != self._retriever:
            raise FaultError(_OTHER.format(self._retriever), "retriever_id", retriever)
        execution, types = record.execution_id, record.interaction_type
        return PreparedRow(
            self._namespace,
            retriever,
            interaction_id,
            execution,
            self._signature(retriever, execution, document, types),
            None if occurred_at is None else microseconds(occurred_at),
            not backfill and occurred_at is None,
            (
                document,
                _encode(types).decode(),
                record.position,
                metadata,
                record.user_id,
                record.session_id,
                execution,
                snapshot,
                int(isinstance(record.query_snapshot, str)),
                record.document_score,
                record.result_set_size,
                record.feature_uri,
                left_out,
            ),
            _ROW_BYTES + len(metadata or "") + len(snapshot or ""),
        )

    def _signature(
        self, retriever: str, execution: str | None, document: str, types: list[str]
    ) -> int | None:
        """Return the number by which a duplicate is found; None where there can be none."""
        if execution is None:
            return None
        names = types if len(types) == 1 else sorted(set(types))
        text = _encode((self._namespace, retriever, execution, document, names))
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "little", signed=True)


def _check_count(count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        msg = f"interactions: expected 1 to {limit:,} of them, got {count:,}; send them in parts"
        raise InvalidInputError(msg)


def _event_time(
    occurred_at: dt.datetime | None, timestamp: Any, unit: TimeUnit | None = None
) -> tuple[dt.datetime | None, str | None]:
    """Return when an event happened, and what a warning says of a timestamp that does not count.

    A sender's timestamp is when the event happened, unless it says that by occurred_at; the log
    sets the stored one itself.
    """
    try:
        moment = moment_of("timestamp", timestamp, unit)
    except FaultError as error:
        return occurred_at, f"timestamp ({error.fault.reason})"
    name = "timestamp" if occurred_at is None else "occurred_at"
    if occurred_at is not None and moment not in {None, occurred_at}:
        return occurred_at, "timestamp (occurred_at is given too, and counts)"
    happened = occurred_at or moment
    if happened is not None and happened > dt.datetime.now(dt.UTC) + _CLOCKS_DIFFER_BY:
        return happened, f"{name} (in the future; the time of recording counts)"
    return happened, None


def _null_words(fields: Mapping[str, Any]) -> list[str]:
    """Return the ids that hold a word for a missing value, such as NULL."""
    ids = [name for name in (*ID_COLUMNS, "document_id") if isinstance(fields.get(name), str)]
    return [name for name in ids if fields[name] in NULL_WORDS]


def _named(keys: list[str]) -> str | None:
    """Return unknown keys as a warning may show them."""
    if not keys:
        return None
    shown = ", ".join(key[:50] for key in keys[:_SHOWN_KEYS])
    return shown if len(keys) <= _SHOWN_KEYS else f"{shown} and {len(keys) - _SHOWN_KEYS} more"


def _text(value: Any) -> str:
    """Return a value as JSON text, unless it may be too long or nest too deep."""
    raw = _encode(value)
    # Brackets within texts count too: then the rules decide.
    if len(raw) > MAX_TEXT_CHARACTERS or raw.count(b"{") + raw.count(b"[") >= MAX_DEPTH:
        raise _UnsureError
    return raw.decode()


def _snapshot(value: Any) -> str | None:
    """Return a snapshot as it is stored: text unchanged, anything else as JSON."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _text(value)
    if not value or len(value) > MAX_TEXT_CHARACTERS or is_too_deep(value.encode()):
        raise _UnsureError
    return value


def _split(body: bytes) -> list[msgspec.Raw]:
    """Return the items of a body that could not be read at once."""
    try:
        if body.lstrip()[:1] == b"[":
            return msgspec.json.decode(body, type=list[msgspec.Raw])
        return msgspec.json.decode(body, type=_RawBody).interactions
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        msg = (
            'body: expected a JSON array of interactions, or {"interactions": [...]}; '
            f"{str(error)[:200]}"
        )
        raise InvalidInputError(msg) from None


class _RawBody(msgspec.Struct):
    interactions: list[msgspec.Raw]


@cache
def _decoders(
    known: frozenset[str],
) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Return strict decoders of one interaction, of a list, and of a body that holds a list."""
    names: Any = Literal[tuple(sorted(known))]
    fields: list[tuple[str, Any, Any]] = [(name, _Id | None, None) for name in ID_COLUMNS]
    fields += [
        ("document_id", _Id | None, None),
        ("metadata", dict[str, Any] | None, None),
        ("query_snapshot", Any, None),
        ("document_score", float | None, None),
        ("result_set_size", _Size | None, None),
        ("occurred_at", str | None, None),
        ("timestamp", str | None, None),
        ("deduplicated", bool | None, None),
        ("warning", str | None, None),
    ]
    line = msgspec.defstruct(
        "Line",
        [
            ("interaction_type", Annotated[list[names], msgspec.Meta(min_length=1)]),
            ("position", _Whole),
            *fields,
        ],
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )
    lines: Any = list[line]  # type: ignore[valid-type]
    body = msgspec.json.Decoder(msgspec.defstruct("Body", [("interactions", lines)])).decode
    one, many = msgspec.json.Decoder(line).decode, msgspec.json.Decoder(lines).decode
    return one, many, lambda raw: body(raw).interactions  # type: ignore[attr-defined]
