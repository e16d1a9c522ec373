"""Taking rows out of the log, with a note of each that learned state can follow."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..record.query_keys import query_digest
from .view import NOWHERE

if TYPE_CHECKING:
    from .database import LogDatabase
    from .view import LogView

SLICE: Final = 1_000
"""Rows that one transaction deletes: writers wait no longer."""

_LOOKED_AT: Final = 5_000
_NOTE: Final = (
    "INSERT INTO deletions (namespace, retriever, execution_id, feature_id, user_id, live, "
    "event_time, session_id, query_digest, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def delete_interaction(view: LogView, interaction_id: str) -> bool:
    """Delete a row of a view; return whether there was one."""

    def step(cursor: Any) -> bool:
        within = view.within(cursor)
        where = f"{within.sql} AND i.interaction_id = ?"
        return bool(_delete_some(view.file, cursor, where, (*within.bound, interaction_id), None))

    return view.file.writer.run(step, view.namespace)


def delete_user(view: LogView, user_id: str) -> int:
    """Delete a user's rows of a view, slice by slice; return how many."""

    def step(cursor: Any, *, first: bool) -> int:
        space, retriever = view.scope(cursor)
        if first and space != NOWHERE:
            # Whether or not the log holds rows of theirs.
            note = (space, retriever, None, None, user_id, 0, None, None, None, _now())
            cursor.execute(_NOTE, note)
            view.file.keep_counters(cursor, space)
        within = view.within(cursor)
        where = f"{within.sql} AND i.user_id = ?"
        return _delete_some(view.file, cursor, where, (*within.bound, user_id), user_id)

    total = done = view.file.writer.run(partial(step, first=True), view.namespace)
    while done == SLICE:
        done = view.file.writer.run(partial(step, first=False), view.namespace)
        total += done
    return total


def expire(view: LogView, before: int) -> int:
    """Delete what happened before a time, and the notes from before it; return how many rows.

    Retention leaves no notes: learned state forgets by decay.
    """
    total, after, last = 0, 0, view.last_seq()

    def step(cursor: Any, after: int) -> tuple[int, int]:
        within = view.within(cursor)
        rows = cursor.execute(
            f"SELECT i.seq, i.event_time FROM interactions AS i WHERE {within.sql} "  # noqa: S608
            f"AND i.seq > ? AND i.seq <= ? ORDER BY i.seq LIMIT {_LOOKED_AT}",
            (*within.bound, after, last),
        ).fetchall()
        old = [seq for seq, event in rows if event < before]
        _delete_numbers(view.file, cursor, within.bound[0], old)
        return len(old), rows[-1][0] if rows else last

    while after < last:
        deleted, after = view.file.writer.run(partial(step, after=after), view.namespace)
        total += deleted

    def forget(cursor: Any) -> None:
        within = view.within(cursor)
        cursor.execute(
            f"DELETE FROM deletions AS i WHERE {within.sql} AND deleted_at < ?",  # noqa: S608
            (*within.bound, before),
        )

    view.file.writer.run(forget, view.namespace)
    return total


def _delete_some(
    file: LogDatabase, cursor: Any, where: str, bound: tuple[Any, ...], user_id: str | None
) -> int:
    """Delete up to a slice of the rows that a condition names, with a note of each."""
    rows = cursor.execute(
        "SELECT i.seq, i.namespace, i.retriever, i.execution_id, i.feature_id, i.live, "  # noqa: S608
        "i.event_time, i.session_id, i.query_snapshot FROM interactions AS i "
        f"WHERE {where} LIMIT {SLICE}",
        bound,
    ).fetchall()
    if not rows:
        return 0
    now = _now()
    cursor.executemany(_NOTE, [_note(row[1:], user_id, now) for row in rows])
    _delete_numbers(file, cursor, rows[0][1], [row[0] for row in rows])
    return len(rows)


def _delete_numbers(file: LogDatabase, cursor: Any, namespace: int, numbers: list[int]) -> None:
    file.keep_counters(cursor, namespace)
    cursor.executemany(
        "DELETE FROM interactions WHERE namespace = ? AND seq = ?",
        [(namespace, number) for number in numbers],
    )


def _note(row: tuple[Any, ...], user_id: str | None, now: int) -> tuple[Any, ...]:
    """Return the note of a row.

    An execution that it does not name is inferred from session and query; of the query only a
    digest is kept.
    """
    namespace, retriever, execution, document, live, event, session, query = row
    digest = None
    if execution is not None:
        session = None
    elif query is not None:
        digest = query_digest(query)
    return namespace, retriever, execution, document, user_id, live, event, session, digest, now


def _now() -> int:
    return time.time_ns() // 1_000
