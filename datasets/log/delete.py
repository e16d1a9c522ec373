"""Taking rows out of the log, with a note of each that learned state can follow."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..record.query_keys import query_digest
from .insert import keep_counters

if TYPE_CHECKING:
    import sqlite3

    from .view import LogView

SLICE: Final = 1_000
"""Rows that one transaction deletes: writers wait no longer."""

_NOTE: Final = (
    "INSERT INTO deletions (namespace, retriever, execution_id, feature_id, user_id, live, "
    "event_time, session_id, query_digest, deleted_at) "
)
_SESSION: Final = (
    "CASE WHEN execution_id IS NULL THEN session_id END, "
    "CASE WHEN execution_id IS NULL THEN query_digest(query_snapshot) END"
)
"""What an execution is inferred from: session and query, of which only a digest is stored."""


def delete_interaction(view: LogView, interaction_id: str) -> bool:
    """Delete a row of a view; return whether there was one."""

    def step(cursor: sqlite3.Cursor) -> bool:
        within = view.within(cursor)
        where = f"{within.sql} AND i.interaction_id = ?"
        return delete_one(cursor, where, (*within.bound, interaction_id))

    return view.file.writer.run(step)


def delete_user(view: LogView, user_id: str) -> int:
    """Delete a user's rows of a view, slice by slice; return how many."""

    def step(cursor: sqlite3.Cursor, *, first: bool) -> int:
        if first:
            note_user(cursor, user_id, *view.scope(cursor))
        within = view.within(cursor)
        where = f"{within.sql} AND i.user_id = ?"
        return delete_slice_of_user(cursor, user_id, where, (*within.bound, user_id))

    total = done = view.file.writer.run(partial(step, first=True))
    while done == SLICE:
        done = view.file.writer.run(partial(step, first=False))
        total += done
    return total


def expire(view: LogView, before: int) -> int:
    """Delete what happened before a time, and the notes from before it; return how many rows."""
    total, after, last = 0, 0, view.last_seq()

    def step(cursor: sqlite3.Cursor, after: int) -> tuple[int, int]:
        within = view.within(cursor)
        return expire_slice(cursor, within.sql, within.bound, before, after, last)

    while after < last:
        deleted, after = view.file.writer.run(partial(step, after=after))
        total += deleted

    def forget(cursor: sqlite3.Cursor) -> None:
        within = view.within(cursor)
        expire_notes(cursor, within.sql, within.bound, before)

    view.file.writer.run(forget)
    return total


def delete_one(cursor: sqlite3.Cursor, where: str, bound: tuple[Any, ...]) -> bool:
    """Delete the row that a condition names; return whether there was one."""
    now = time.time_ns() // 1_000
    _know_digests(cursor)
    cursor.execute(
        f"{_NOTE} SELECT namespace, retriever, execution_id, feature_id, NULL, live, event_time, "  # noqa: S608
        f"{_SESSION}, ? "
        f"FROM interactions AS i WHERE {where}",
        (now, *bound),
    )
    keep_counters(cursor)
    cursor.execute(f"DELETE FROM interactions AS i WHERE {where}", bound)  # noqa: S608
    return cursor.rowcount > 0


def note_user(cursor: sqlite3.Cursor, user_id: str, namespace: int, retriever: int | None) -> None:
    """Note that a user is deleted, whether or not the log holds rows of theirs."""
    now = time.time_ns() // 1_000
    cursor.execute(
        f"{_NOTE} VALUES (?, ?, NULL, NULL, ?, 0, NULL, NULL, NULL, ?)",
        (namespace, retriever, user_id, now),
    )


def delete_slice_of_user(
    cursor: sqlite3.Cursor, user_id: str, where: str, bound: tuple[Any, ...]
) -> int:
    """Delete up to a slice of the rows that a condition names."""
    now = time.time_ns() // 1_000
    found = cursor.execute(
        f"SELECT seq FROM interactions AS i WHERE {where} LIMIT {SLICE}",  # noqa: S608
        bound,
    ).fetchall()
    _know_digests(cursor)
    cursor.executemany(
        f"{_NOTE} SELECT namespace, retriever, execution_id, feature_id, ?, live, event_time, "  # noqa: S608
        f"{_SESSION}, ? FROM interactions WHERE seq = ?",
        [(user_id, now, seq) for (seq,) in found],
    )
    keep_counters(cursor)
    cursor.executemany("DELETE FROM interactions WHERE seq = ?", found)
    return len(found)


def _know_digests(cursor: sqlite3.Cursor) -> None:
    """Let SQL name queries as `query_digest` does."""
    cursor.connection.create_function("query_digest", 1, query_digest, deterministic=True)


def expire_slice(
    cursor: sqlite3.Cursor, where: str, bound: tuple[Any, ...], before: int, after: int, last: int
) -> tuple[int, int]:
    """Delete what happened before a time among the next rows; return (rows deleted, where it is).

    Retention leaves no notes: learned state forgets by decay.
    """
    rows = cursor.execute(
        f"SELECT seq, event_time FROM interactions AS i WHERE {where} AND seq > ? AND seq <= ? "  # noqa: S608
        "ORDER BY seq LIMIT 5000",
        (*bound, after, last),
    ).fetchall()
    old = [(seq,) for seq, event in rows if event < before]
    keep_counters(cursor)
    cursor.executemany("DELETE FROM interactions WHERE seq = ?", old)
    return len(old), rows[-1][0] if rows else last


def expire_notes(cursor: sqlite3.Cursor, where: str, bound: tuple[Any, ...], before: int) -> None:
    """Delete old notes of deletions."""
    cursor.execute(
        f"DELETE FROM deletions AS i WHERE {where} AND deleted_at < ?",  # noqa: S608
        (*bound, before),
    )
