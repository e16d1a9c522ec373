"""A row as it is stored in the database, and back to a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..record.interaction import Interaction
from ..record.times import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from .answers import Recorded

NO_CHANNEL: Final = (
    "feature_uri is missing: the interaction is stored, but fusion learns nothing from it"
)
"""The warning about a row without a retrieval channel."""

DUPLICATE: Final = "not stored: it repeats an interaction within 5 minutes"
"""The warning about a duplicate."""


class PreparedRow(msgspec.Struct, frozen=True, gc=False):
    """A checked row as the database stores it, so that nothing of it can fail later.

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
        Approximate size in bytes.
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
        """Return the fields of that record; `read` decodes what is stored as JSON."""
        occurred = None
        if self.occurred_at is not None:
            occurred = min(moment(self.occurred_at), recorded.timestamp)
        row = recorded.interaction_id, self.retriever_id, occurred, recorded.timestamp
        return _fields(row, self.values, read, deduplicated=recorded.status == "deduplicated")


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
    snapshot, snapshot_is_text, score, size, channel, left_out = more
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
        "warning": _warning(channel, left_out, deduplicated=deduplicated),
    }


def _warning(channel: str | None, left_out: str | None, *, deduplicated: bool) -> str | None:
    parts = [DUPLICATE] if deduplicated else []
    if channel is None:
        parts.append(NO_CHANNEL)
    if left_out is not None:
        parts.append(f"fields that were left out: {left_out}")
    return "; ".join(parts) or None
