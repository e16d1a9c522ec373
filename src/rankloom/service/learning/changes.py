"""Who changed what about a retriever, and when: kept beside its settings."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from ..._shared.ids import stable_id

if TYPE_CHECKING:
    from .settings_table import Key

KEPT: Final = 500
"""Entries of each action that stay, the newest ones."""

TABLE: Final = """
CREATE TABLE IF NOT EXISTS fusion_changes (
    namespace TEXT NOT NULL, retriever_id TEXT NOT NULL, number INTEGER NOT NULL,
    time TEXT NOT NULL, author TEXT NOT NULL, action TEXT NOT NULL,
    value_before TEXT NOT NULL, value_after TEXT NOT NULL,
    PRIMARY KEY (namespace, retriever_id, number)
)
"""
_LAST: Final = """
SELECT coalesce(max(number), 0) FROM fusion_changes WHERE namespace = ? AND retriever_id = ?
"""
_ADD: Final = "INSERT INTO fusion_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_DROP: Final = """
DELETE FROM fusion_changes WHERE namespace = ? AND retriever_id = ? AND action = ? AND number <= (
    SELECT number FROM fusion_changes WHERE namespace = ? AND retriever_id = ? AND action = ?
    ORDER BY number DESC LIMIT 1 OFFSET ?)
"""
_READ: Final = """
SELECT number, time, author, action, value_before, value_after FROM fusion_changes
WHERE namespace = ? AND retriever_id = ? ORDER BY number DESC
"""

Action = Literal[
    "enable", "disable", "rollout", "rollback", "resume", "opt-out", "opt-in", "delete-user"
]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a retriever: what was given another value, before and after."""

    number: Annotated[int, Meta(ge=1, description="Changes that there were up to this one")]
    time: dt.datetime
    author: Annotated[str, Meta(description="Name of the token, else how its SHA-256 begins")]
    action: Action
    before: dict[str, Any]
    after: dict[str, Any]


class Trail(NamedTuple):
    """The changes that are kept, the newest first, and how many are not any more."""

    changes: list[Change]
    dropped: int


def note(
    cursor: Any,
    key: Key,
    author: str,
    action: Action,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """Note a change of a retriever in the transaction of a cursor, and drop those beyond `KEPT`."""
    number = cursor.execute(_LAST, key).fetchone()[0] + 1
    moment = dt.datetime.now(dt.UTC).isoformat()
    values = (msgspec.json.encode(each).decode() for each in (before, after))
    cursor.execute(_ADD, (*key, number, moment, author, action, *values))
    cursor.execute(_DROP, (*key, action, *key, action, KEPT))


def read(cursor: Any, key: Key) -> Trail:
    """Return the changes of a retriever."""
    found = [
        Change(
            number=number,
            time=dt.datetime.fromisoformat(time),
            author=author,
            action=action,
            before=msgspec.json.decode(before),
            after=msgspec.json.decode(after),
        )
        for number, time, author, action, before, after in cursor.execute(_READ, key).fetchall()
    ]
    return Trail(found, found[0].number - len(found) if found else 0)


def hashed(user_id: str) -> str:
    """Return what stands for a user among the changes, which outlive the user's deletion.

    >>> hashed("u1") == hashed("u1") != hashed("u2"), len(hashed("u1"))
    (True, 16)
    """
    return f"{stable_id(user_id):016x}"
