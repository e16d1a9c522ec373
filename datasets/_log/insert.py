"""One group of rows into the log's tables: repeats found in bulk, ids made, one INSERT."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..duplicates import WINDOW_MICROSECONDS
from .rows import VALUE_COLUMNS, PreparedRow, Recorded, moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

MAX_GROUP: Final = 8_192
"""Rows of one transaction: an id's counter has 14 bits."""

_SLICES: Final = tuple(1 << power for power in range(10))
_COLUMNS: Final = (
    *("seq", "namespace", "retriever", "interaction_id", "event_time", "occurred_at"),
    *("timestamp", "live", "signature", *VALUE_COLUMNS),
)
Scopes = dict[tuple[str, str], tuple[int, int]]
Kept = dict[int, list[tuple[int, str]]]


def insert_group(
    cursor: sqlite3.Cursor, rows: Sequence[PreparedRow], scopes: Scopes
) -> list[Recorded]:
    """Store rows within the caller's transaction and return their receipts.

    All rows of a group get the same timestamp, later than that of any group before.

    Parameters
    ----------
    cursor : Cursor
    rows : sequence of PreparedRow
        At most `MAX_GROUP`.
    scopes : dict
        Numbers of namespaces and retrievers that are known to be committed; new ones join.
    """
    seq, clock = cursor.execute("SELECT seq, clock FROM log_counters").fetchone()
    now = max(time.time_ns() // 1_000, clock + 1)
    group = _Group(cursor, rows, scopes, seq, now)
    receipts = [group.take(row) for row in rows]
    _insert(cursor, group.inserted)
    cursor.execute("UPDATE log_counters SET seq = ?, clock = ?", (group.seq, now))
    return receipts


class _Group:
    """Decides row by row what becomes of it, knowing what is stored and what came before it."""

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        rows: Sequence[PreparedRow],
        scopes: Scopes,
        seq: int,
        now: int,
    ) -> None:
        _number_scopes(cursor, rows, scopes)
        self._now, self.seq = now, seq
        self._timestamp = moment(now)
        self._scopes = scopes
        self._known = _known(cursor, rows, scopes)
        self._kept = _kept(cursor, rows, scopes, now)
        self._ids = _rising_ids(now, len(rows))
        self.inserted: list[tuple[Any, ...]] = []

    def take(self, row: PreparedRow) -> Recorded:
        """Return a row's receipt; one that is to be stored joins `inserted`."""
        namespace, retriever = self._scopes[row.namespace, row.retriever_id]
        given, occurred, now = row.interaction_id, row.occurred_at, self._now
        if given is not None and (namespace, given) in self._known:
            return self._known[namespace, given]
        if occurred is not None and occurred > now:
            occurred = now
        event = now if occurred is None else occurred
        own = given or next(self._ids)
        if row.signature is not None:
            kept_id = _repeated(self._kept, row.signature, event, own)
            if kept_id is not None:
                return Recorded("deduplicated", None, self._timestamp, kept_id)
        self.seq = seq = self.seq + 1
        head = (seq, namespace, retriever, own, event, occurred, now, int(row.live), row.signature)
        self.inserted.append(head + row.values)
        if given is not None:
            self._known[namespace, given] = Recorded("existing", own, self._timestamp, None, seq)
        return Recorded("created", own, self._timestamp, None, seq)


def last_seq(cursor: sqlite3.Cursor) -> int:
    """Return the highest number that any row was given."""
    return int(cursor.execute("SELECT seq FROM log_counters").fetchone()[0])


def _insert(cursor: sqlite3.Cursor, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows, leaving out the columns that none of them fills: binding NULL is slow."""
    columns = list(zip(*rows, strict=True))
    filled = [i for i, values in enumerate(columns) if values.count(None) < len(rows)]
    if filled:
        statement = _statement(tuple(filled))
        cursor.executemany(statement, zip(*[columns[i] for i in filled], strict=True))


@cache
def _statement(columns: tuple[int, ...]) -> str:
    names = ", ".join(_COLUMNS[i] for i in columns)
    return f"INSERT INTO interactions ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def _number_scopes(cursor: sqlite3.Cursor, rows: Sequence[PreparedRow], scopes: Scopes) -> None:
    """Note the numbers of the namespaces and retrievers, made where they are new."""
    for namespace, retriever in {(row.namespace, row.retriever_id) for row in rows} - set(scopes):
        space = _number(cursor, "namespaces", "name = ?", "(name) VALUES (?)", (namespace,))
        where, values = "namespace = ? AND name = ?", "(namespace, name) VALUES (?, ?)"
        number = _number(cursor, "retrievers", where, values, (space, retriever))
        scopes[namespace, retriever] = (space, number)


def _number(
    cursor: sqlite3.Cursor, table: str, where: str, values: str, names: tuple[Any, ...]
) -> int:
    found = cursor.execute(f"SELECT id FROM {table} WHERE {where}", names).fetchone()  # noqa: S608
    if found is not None:
        return int(found[0])
    cursor.execute(f"INSERT INTO {table} {values}", names)
    return int(cursor.lastrowid or 0)


def _known(
    cursor: sqlite3.Cursor,
    rows: Sequence[PreparedRow],
    scopes: Scopes,
) -> dict[tuple[int, str], Recorded]:
    """Return the stored rows among the given ids."""
    wanted = [
        (scopes[row.namespace, row.retriever_id][0], row.interaction_id)
        for row in rows
        if row.interaction_id is not None
    ]
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


def _kept(
    cursor: sqlite3.Cursor,
    rows: Sequence[PreparedRow],
    scopes: Scopes,
    now: int,
) -> Kept:
    """Return by signature the stored rows that a row of the group may repeat."""
    wanted = [
        (
            scopes[row.namespace, row.retriever_id][0],
            row.execution_id,
            row.signature,
            now if row.occurred_at is None or row.occurred_at > now else row.occurred_at,
        )
        for row in rows
        if row.signature is not None
    ]
    query = (
        "SELECT i.signature, i.event_time, i.interaction_id FROM wanted AS w "  # noqa: S608
        "CROSS JOIN interactions AS i INDEXED BY by_execution "
        "WHERE i.namespace = w.a AND i.execution_id = w.b AND i.signature = w.c "
        f"AND i.event_time BETWEEN w.d - {WINDOW_MICROSECONDS} AND w.d + {WINDOW_MICROSECONDS}"
    )
    kept: Kept = {}
    for signature, event, own in _looked_up(cursor, "a, b, c, d", wanted, query):
        kept.setdefault(signature, []).append((event, own))
    return kept


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
        marks = ", ".join([f"({', '.join('?' * width)})"] * size)
        bound = [value for row in part for value in row]
        cursor.execute(f"WITH wanted ({names}) AS (VALUES {marks}) {query}", bound)
        found += cursor.fetchall()
    return found


def _repeated(kept: Kept, signature: int, event: int, own: str) -> str | None:
    """Return the id of the kept row that this one repeats, or keep this one."""
    same = kept.setdefault(signature, [])
    for other, kept_id in same:
        if abs(event - other) <= WINDOW_MICROSECONDS:
            return kept_id
    same.append((event, own))
    return None


def _rising_ids(now: int, size: int) -> Iterator[str]:
    """Yield ids in the layout of UUID version 7 that rise within a group and between groups."""
    milliseconds, rest = divmod(now, 1_000)
    stamp = f"{milliseconds:012x}"
    prefix = f"{stamp[:8]}-{stamp[8:]}-7{rest * 4:03x}-"
    random = os.urandom(6 * size).hex()
    for count in range(size):
        yield f"{prefix}{0x8000 | count:04x}-{random[12 * count : 12 * count + 12]}"
