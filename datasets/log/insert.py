"""One group of rows into the log's tables: duplicates found in bulk, ids made, one INSERT."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..record.interaction import DUPLICATE_WINDOW
from ..record.times import moment
from .answers import Recorded
from .group import COLUMNS, Group, Scope, StoredTimes, event_times, recording_time, rising_ids

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from .stored_row import PreparedRow

_SLICES: Final = tuple(1 << power for power in range(10))
_GIVEN: Final = (
    "max(seq, ifnull((SELECT max(seq) FROM interactions), 0)), "
    "max(clock, ifnull((SELECT timestamp FROM interactions ORDER BY seq DESC LIMIT 1), 0))"
)
"""The last number and time that were given: by the last row, or noted before it was deleted."""

Scopes = dict[tuple[str, str], Scope]


def insert_group(
    cursor: sqlite3.Cursor, rows: Sequence[PreparedRow], scopes: Scopes
) -> list[Recorded]:
    """Store rows within the caller's transaction and return their receipts.

    All rows of a group get the same timestamp, later than that of any stored row. A group without
    rows still writes, which shows whether the log can be written.

    `rows`: at most `MAX_GROUP`. `scopes`: numbers of namespaces and retrievers that are known to be
    committed; new ones are added.
    """
    if not rows:
        touch(cursor)
        return []
    seq, clock = cursor.execute(f"SELECT {_GIVEN} FROM log_counters").fetchone()  # noqa: S608
    now = recording_time(clock)
    numbered = _number_scopes(cursor, rows, scopes)
    existing = _existing(cursor, rows, numbered)
    stored = _stored_times(cursor, rows, numbered, now)
    group = Group(existing, stored, rising_ids(now, len(rows)), seq, now)
    receipts = [group.take(row, scope) for row, scope in zip(rows, numbered, strict=True)]
    _insert(cursor, group.inserted)
    return receipts


def last_numbers(cursor: sqlite3.Cursor) -> tuple[int, int]:
    """Return the highest numbers that any row and any deletion was given."""
    row = cursor.execute(f"SELECT {_GIVEN} FROM log_counters").fetchone()  # noqa: S608
    query = "SELECT seq FROM sqlite_sequence WHERE name = 'deletions'"
    deletion = cursor.execute(query).fetchone()
    return int(row[0]), int(deletion[0]) if deletion else 0


def keep_counters(cursor: sqlite3.Cursor) -> None:
    """Note what the last row was given, for it may be deleted now."""
    cursor.execute(f"UPDATE log_counters SET (seq, clock) = ({_GIVEN})")  # noqa: S608


def touch(cursor: sqlite3.Cursor) -> None:
    """Write a page down to the disk: what is equal already would not be written."""
    cursor.execute("UPDATE log_counters SET clock = clock + 1")


def _insert(cursor: sqlite3.Cursor, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows, leaving out the columns that none of them fills: binding NULL is slow."""
    columns = list(zip(*rows, strict=True))
    filled = [i for i, values in enumerate(columns) if values.count(None) < len(rows)]
    if filled:
        statement = _statement(tuple(filled))
        cursor.executemany(statement, zip(*[columns[i] for i in filled], strict=True))


@cache
def _statement(columns: tuple[int, ...]) -> str:
    names = ", ".join(COLUMNS[i] for i in columns)
    return f"INSERT INTO interactions ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def _number_scopes(
    cursor: sqlite3.Cursor, rows: Sequence[PreparedRow], scopes: Scopes
) -> list[Scope]:
    """Return the numbers of every row's namespace and retriever, made where they are new."""
    keys = [(row.namespace, row.retriever_id) for row in rows]
    for namespace, retriever in {key: None for key in keys if key not in scopes}:
        space = _number(cursor, "namespaces", "name = ?", "(name) VALUES (?)", (namespace,))
        where, values = "namespace = ? AND name = ?", "(namespace, name) VALUES (?, ?)"
        number = _number(cursor, "retrievers", where, values, (space, retriever))
        scopes[namespace, retriever] = (space, number)
    return [scopes[key] for key in keys]


def _number(
    cursor: sqlite3.Cursor, table: str, where: str, values: str, names: tuple[Any, ...]
) -> int:
    found = cursor.execute(f"SELECT id FROM {table} WHERE {where}", names).fetchone()  # noqa: S608
    if found is not None:
        return int(found[0])
    cursor.execute(f"INSERT INTO {table} {values}", names)
    return int(cursor.lastrowid or 0)


def _existing(
    cursor: sqlite3.Cursor,
    rows: Sequence[PreparedRow],
    scopes: list[Scope],
) -> dict[tuple[int, str], Recorded]:
    """Return the stored rows among the given ids."""
    wanted = [
        (space, row.interaction_id)
        for row, (space, _) in zip(rows, scopes, strict=True)
        if row.interaction_id is not None
    ]
    if not wanted:
        return {}
    query = (
        "SELECT i.namespace, i.interaction_id, i.timestamp, i.seq FROM wanted AS w "
        "CROSS JOIN interactions AS i INDEXED BY by_id "
        "WHERE i.namespace = w.a AND i.interaction_id = w.b"
    )
    found = _looked_up(cursor, "a, b", wanted, query)
    return {
        (space, own): Recorded("existing", own, moment(at), None, seq)
        for space, own, at, seq in found
    }


def _stored_times(
    cursor: sqlite3.Cursor,
    rows: Sequence[PreparedRow],
    scopes: list[Scope],
    now: int,
) -> StoredTimes:
    """Return by signature the stored rows that a row of the group may repeat."""
    wanted = [
        (
            space,
            row.execution_id,
            row.signature,
            event,
        )
        for row, (space, _), event in zip(rows, scopes, event_times(rows, now), strict=True)
        if row.signature is not None
    ]
    wanted = _of_stored_executions(cursor, wanted)
    query = (
        "SELECT i.signature, i.event_time, i.interaction_id FROM wanted AS w "  # noqa: S608
        "CROSS JOIN interactions AS i INDEXED BY by_execution "
        "WHERE i.namespace = w.a AND i.execution_id = w.b AND i.signature = w.c "
        f"AND i.event_time BETWEEN w.d - {DUPLICATE_WINDOW} AND w.d + {DUPLICATE_WINDOW}"
    )
    stored: StoredTimes = {}
    for signature, event, own in _looked_up(cursor, "a, b, c, d", wanted, query):
        stored.setdefault(signature, []).append((event, own))
    return stored


def _of_stored_executions(
    cursor: sqlite3.Cursor, wanted: list[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Return the wanted rows of executions that the log holds, if there are fewer of these."""
    executions = list({row[:2]: None for row in wanted})
    if 2 * len(executions) > len(wanted):
        return wanted
    query = (
        "SELECT w.a, w.b FROM wanted AS w WHERE EXISTS (SELECT 1 FROM interactions AS i "
        "INDEXED BY by_execution WHERE i.namespace = w.a AND i.execution_id = w.b)"
    )
    stored = set(_looked_up(cursor, "a, b", executions, query))
    return [row for row in wanted if row[:2] in stored] if stored else []


def _looked_up(
    cursor: sqlite3.Cursor, names: str, wanted: list[tuple[Any, ...]], query: str
) -> list[tuple[Any, ...]]:
    """Run a query over wanted keys, many at once; a few sizes, so that statements are reused."""
    found: list[tuple[Any, ...]] = []
    width = names.count(",") + 1
    start = 0
    while start < len(wanted):
        left = len(wanted) - start
        size = next((size for size in _SLICES if size >= left), _SLICES[-1])
        part = wanted[start : start + size]
        start += len(part)
        # NULLs equal nothing.
        part += [(None,) * width] * (size - len(part))
        cursor.execute(_lookup(names, size, query), [value for row in part for value in row])
        found += cursor.fetchall()
    return found


@cache
def _lookup(names: str, size: int, query: str) -> str:
    marks = ", ".join(["(" + ", ".join("?" * (names.count(",") + 1)) + ")"] * size)
    return f"WITH wanted ({names}) AS (VALUES {marks}) {query}"
