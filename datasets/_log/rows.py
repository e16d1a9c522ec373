"""What goes into the interaction log and what it answers: prepared rows, receipts, pages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from ..interaction import Interaction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

NO_CHANNEL: Final = "feature_uri is missing: the interaction is kept, but teaches no fusion weight"
"""The warning that goes with a row without a retrieval channel."""

DUPLICATE: Final = "not stored: it repeats an interaction within 5 minutes"
"""The warning that goes with a duplicate."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
Status = Literal["created", "deduplicated", "existing"]


class RowFault(NamedTuple):
    """Why one row is refused; nothing of it is stored.

    Attributes
    ----------
    field : str
        Empty where the row as a whole is wrong.
    reason : str
    value : str or None
        What was given, shortened.
    """

    field: str
    reason: str
    value: str | None = None

    def __str__(self) -> str:
        shown = "" if self.value is None else f" (got {self.value!r})"
        return f"{self.field or 'interaction'}: {self.reason}{shown}"


class PreparedRow(msgspec.Struct, frozen=True, gc=False):
    """A checked row as the database takes it, so that nothing of it can fail later.

    Attributes
    ----------
    namespace : str
    retriever_id : str
        Empty for none.
    interaction_id : str or None
        Given by the sender.
    execution_id : str or None
    signature : int or None
        Number of (namespace, retriever, execution, document, set of types); None without an
        execution.
    occurred_at : int or None
        Microseconds since 1970, UTC.
    live : bool
        Whether it was recorded singly and without occurred_at.
    values : tuple
        The other columns, in the order of `VALUE_COLUMNS`.
    size : int
        About how many bytes it takes.
    """

    namespace: str
    retriever_id: str
    interaction_id: str | None
    execution_id: str | None
    signature: int | None
    occurred_at: int | None
    live: bool
    values: tuple[Any, ...]
    size: int

    def interaction(self, recorded: Recorded) -> Interaction:
        """Return the record as the log answers it, given its receipt."""
        return Interaction(**self.fields(recorded))

    def fields(
        self, recorded: Recorded, read: Callable[[str], Any] = msgspec.json.decode
    ) -> dict[str, Any]:
        """Return the fields of that record; what is kept as JSON goes through `read`."""
        occurred = None
        if self.occurred_at is not None:
            occurred = min(moment(self.occurred_at), recorded.timestamp)
        row = recorded.interaction_id, self.retriever_id, occurred, recorded.timestamp
        return _fields(row, self.values, read, deduplicated=recorded.status == "deduplicated")


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """The receipt of one row: it has been committed.

    Attributes
    ----------
    status : {"created", "deduplicated", "existing"}
    interaction_id : str or None
        None for a duplicate.
    timestamp : datetime
        When the log recorded it (of an existing one: when it first did), in UTC.
    kept_id : str or None
        For a duplicate, the interaction that it repeats.
    seq : int or None
        Number of the stored row; None for a duplicate.
    """

    status: Status
    interaction_id: str | None
    timestamp: dt.datetime
    kept_id: str | None = None
    seq: int | None = None


@dataclass(frozen=True)
class BatchReport:
    """What became of every row of a batch.

    Attributes
    ----------
    created, deduplicated, existing, failed : int
        They add up to the number of rows.
    results : list of Recorded or RowFault
        In the order of the rows.
    """

    created: int = 0
    deduplicated: int = 0
    existing: int = 0
    failed: int = 0
    results: list[Recorded | RowFault] = field(default_factory=list)

    @classmethod
    def of(cls, results: list[Recorded | RowFault]) -> BatchReport:
        """Count results."""
        counts = {"created": 0, "deduplicated": 0, "existing": 0, "failed": 0}
        for result in results:
            counts["failed" if isinstance(result, RowFault) else result.status] += 1
        return cls(**counts, results=results)


@dataclass(frozen=True)
class Page:
    """One page of what `find` found.

    Attributes
    ----------
    items : list of Interaction
    next_cursor : str or None
        Gives the next page; None after the last one.
    total : int or None
        Number of all matches, where it was asked for.
    """

    items: list[Interaction]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True)
class LogChunk:
    """Rows after a number, in the order in which they were stored.

    Attributes
    ----------
    frame : DataFrame
        Canonical columns, ``live`` (Boolean) and ``seq`` (Int64).
    last : int
        Everything up to this number has been looked at: where to go on.
    """

    frame: pl.DataFrame
    last: int


class Deletion(NamedTuple):
    """One deleted row, or one user, that learned state has to follow.

    Attributes
    ----------
    number : int
        Grows with every deletion.
    retriever_id : str or None
    execution_id, feature_id : str or None
        The unit; None where a whole user was deleted, whether or not the log held rows of theirs.
    user_id : str or None
        The user, where all of theirs was deleted.
    live : bool
    event_time : datetime or None
    session_id, query_digest : str or None
        What stood in for the execution of a row that named none; see `query_digest`.
    """

    number: int
    retriever_id: str | None
    execution_id: str | None
    feature_id: str | None
    user_id: str | None
    live: bool
    event_time: dt.datetime | None
    session_id: str | None = None
    query_digest: str | None = None


VALUE_COLUMNS: Final = (
    "feature_id",
    "interaction_type",
    "position",
    "metadata",
    "user_id",
    "session_id",
    "execution_id",
    "query_snapshot",
    "snapshot_is_text",
    "document_score",
    "result_set_size",
    "feature_uri",
    "unknown_keys",
)
"""Columns of a prepared row's `values`."""

SELECTED: Final = ", ".join(
    [
        "i.interaction_id",
        "r.name",
        "i.occurred_at",
        "i.timestamp",
        *(f"i.{name}" for name in VALUE_COLUMNS),
    ]
)
"""What `make_interaction` reads of interactions i and retrievers r."""


def make_interaction(row: Sequence[Any]) -> Interaction:
    """Return a record of the columns `SELECTED`."""
    interaction_id, retriever, occurred_at, timestamp, *values = row
    occurred = None if occurred_at is None else moment(occurred_at)
    head = interaction_id, retriever, occurred, moment(timestamp)
    return Interaction(**_fields(head, values, msgspec.json.decode))


def _fields(
    head: tuple[str | None, str, dt.datetime | None, dt.datetime],
    values: Sequence[Any],
    read: Callable[[str], Any],
    *,
    deduplicated: bool = False,
) -> dict[str, Any]:
    interaction_id, retriever, occurred_at, timestamp = head
    document, types, position, metadata, user, session, execution, *more = values
    snapshot, snapshot_is_text, score, size, channel, unknown = more
    return {
        "feature_id": document,
        "interaction_type": read(types),
        "position": position,
        "metadata": None if metadata is None else read(metadata),
        "user_id": user,
        "session_id": session,
        "execution_id": execution,
        "retriever_id": retriever or None,
        "query_snapshot": snapshot if snapshot_is_text or snapshot is None else read(snapshot),
        "document_score": score,
        "result_set_size": size,
        "feature_uri": channel,
        "occurred_at": occurred_at,
        "interaction_id": interaction_id,
        "deduplicated": deduplicated,
        "timestamp": timestamp,
        "warning": _warning(channel, unknown, deduplicated=deduplicated),
    }


def _warning(channel: str | None, unknown: str | None, *, deduplicated: bool) -> str | None:
    parts = [DUPLICATE] if deduplicated else []
    if channel is None:
        parts.append(NO_CHANNEL)
    if unknown is not None:
        parts.append(f"unknown fields were left out: {unknown}")
    return "; ".join(parts) or None


def microseconds(time: dt.datetime) -> int:
    """Return exact microseconds since 1970, UTC; naive times are UTC."""
    return ((time if time.tzinfo else time.replace(tzinfo=dt.UTC)) - _EPOCH) // _MICROSECOND


def moment(time: int) -> dt.datetime:
    """Return the datetime of exact microseconds since 1970."""
    return _EPOCH + time * _MICROSECOND
