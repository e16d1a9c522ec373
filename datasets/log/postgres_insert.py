"""One group of rows into the tables in PostgreSQL: copied as a whole, inserted in one statement.

Numbers are given under a lock of the namespace that is held until the commit. Who reads up to a
number has therefore read all rows below it: none of them can still be on its way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..._shared.postgres import escaped
from ..record.interaction import DUPLICATE_WINDOW
from ..record.times import moment
from .answers import Recorded
from .group import COLUMNS, Group, StoredTimes, event_times, recording_time, rising_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..._shared.postgres import PostgresCursor
    from .stored_row import PreparedRow

_NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_COPIED_FROM: Final = 20
"""Rows from which on a copy costs less than an INSERT for each."""

_ROWS_A_WRITE: Final = 100
"""Rows that are written at once: the server reads them while the next are made."""

_INSERT: Final = f"INSERT INTO interactions ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
_TABLE: Final = (
    f"CREATE TEMPORARY TABLE copied_rows ON COMMIT DELETE ROWS AS SELECT {_NAMES} "  # noqa: S608
    "FROM interactions WITH NO DATA"
)
_MOVE: Final = f"INSERT INTO interactions ({_NAMES}) SELECT {_NAMES} FROM copied_rows"  # noqa: S608
_STORED: Final = """
SELECT i.signature, i.event_time, i.interaction_id
FROM unnest(?::text[], ?::bigint[], ?::bigint[]) AS w (execution_id, signature, at)
CROSS JOIN LATERAL (
    SELECT i.signature, i.event_time, i.interaction_id FROM interactions AS i
    WHERE i.namespace = ? AND i.execution_id = w.execution_id COLLATE "C"
    AND i.signature = w.signature AND i.event_time BETWEEN w.at - ? AND w.at + ?
    LIMIT 1000
) AS i
"""

Given = tuple[int, list[str]]
"""The time of rows and an id for each, highest first."""

# A LIMIT keeps the planner from joining with all rows of that time.
_HELD: Final = """
SELECT w.execution_id FROM unnest(%s::text[]) AS w (execution_id)
CROSS JOIN LATERAL (
    SELECT FROM interactions AS i WHERE i.namespace = %s
    AND i.execution_id = w.execution_id COLLATE "C" AND i.event_time BETWEEN %s AND %s LIMIT 1
) AS i
"""


def make_copy_table(cursor: PostgresCursor) -> None:
    """Make the table of its own that a connection copies rows into."""
    cursor.execute(_TABLE)


def touch(cursor: PostgresCursor) -> None:
    """Write a little, which shows whether the log can be written."""
    cursor.execute(
        "INSERT INTO log_meta VALUES ('touched', ?) ON CONFLICT (key) DO UPDATE "
        "SET value = excluded.value",
        (str(time.time_ns()),),
    )


def insert_group(
    cursor: PostgresCursor, rows: Sequence[PreparedRow], schema: str
) -> list[Recorded]:
    """Store rows within the caller's transaction and return their receipts.

    All rows of a group get the same timestamp, later than that of any stored row of their
    namespaces. A group without rows writes a little.
    """
    if not rows:
        touch(cursor)
        return []
    members: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        members.setdefault(row.namespace, []).append(index)
    spaces = {name: lock_space(cursor, schema, name) for name in sorted(members)}
    now = recording_time(max(space.clock for space in spaces.values()))
    ids = rising_ids(now, len(rows))
    receipts: dict[int, Recorded] = {}
    for name, indexes in members.items():
        if len(members) > 1:
            cursor.within(name)
            cursor.execute("DELETE FROM copied_rows")  # as the end of the transaction does
        own = [rows[index] for index in indexes]
        taken, ids = ids[-len(own) :], ids[: -len(own)]
        decisions = decide(cursor, own, spaces[name], (now, taken))
        _insert(cursor, decisions)
        receipts.update(zip(indexes, decisions.receipts, strict=True))
    return [receipts[index] for index in range(len(rows))]


class Space(NamedTuple):
    """What a namespace gave last: numbers of rows and of deletions, and the time of a row."""

    number: int
    seq: int
    clock: int
    deletion: int


class Decisions(NamedTuple):
    """What becomes of rows of one namespace."""

    before: Space  # as it was when they were made
    after: Space  # as it is once the rows are inserted
    retrievers: dict[str, int]
    group: Group
    receipts: list[Recorded]

    @property
    def inserted(self) -> list[tuple[Any, ...]]:
        """Return the rows to insert, of `COLUMNS`."""
        return self.group.inserted


def decide(
    cursor: PostgresCursor, rows: Sequence[PreparedRow], space: Space, given: Given | None = None
) -> Decisions:
    """Decide about rows of one namespace, whose lock is held."""
    retrievers = _retrievers(cursor, space.number, rows)
    for name in sorted({row.retriever_id for row in rows} - retrievers.keys()):
        retrievers[name] = _make_retriever(cursor, space.number, name)
    return _decide(cursor, rows, space, retrievers, given or _given(space, len(rows)))


def decide_ahead(
    cursor: PostgresCursor, rows: Sequence[PreparedRow], earlier: Decisions
) -> Decisions | None:
    """Decide about rows while earlier ones of their namespace are still being inserted.

    The decisions hold if the namespace is then as the earlier rows leave it. This only reads: a
    write might wait for the transaction of the earlier rows, and thus for the caller. None where
    a retriever is new, which has to be written.
    """
    space = earlier.after
    retrievers = _retrievers(cursor, space.number, rows) | earlier.retrievers
    if any(row.retriever_id not in retrievers for row in rows):
        return None
    return _decide(cursor, rows, space, retrievers, _given(space, len(rows)), earlier.group)


def _given(space: Space, size: int) -> Given:
    now = recording_time(space.clock)
    return now, rising_ids(now, size)


def lock_space(cursor: PostgresCursor, schema: str, name: str) -> Space:
    """Lock a namespace and return what it gave last; made where it is new."""
    lock_namespace(cursor, schema, name)
    query = "SELECT id, seq, clock, deletion FROM namespaces WHERE name = ?"
    row = cursor.execute(query, (name,)).fetchone()
    if row is None:
        row = cursor.execute(
            "INSERT INTO namespaces (name) VALUES (?) RETURNING id, seq, clock, deletion", (name,)
        ).fetchone()
    return Space(*(row or (0, 0, 0, 0)))


def lock_namespace(cursor: PostgresCursor, schema: str, name: str) -> None:
    """See a namespace only, and keep others from changing it until the end of the transaction."""
    cursor.within(name)
    cursor.lock("namespace", schema, name)


def copy_rows(cursor: PostgresCursor, rows: Sequence[tuple[Any, ...]]) -> None:
    """Copy rows of `COLUMNS` into the connection's own table."""
    with cursor.cursor.copy(f"COPY copied_rows ({_NAMES}) FROM STDIN".encode()) as copy:
        for start in range(0, len(rows), _ROWS_A_WRITE):
            copy.write(_copy_text(rows[start : start + _ROWS_A_WRITE]))


def move_rows(cursor: PostgresCursor, after: Space) -> None:
    """Insert the copied rows, after which the namespace is as given."""
    cursor.execute(_MOVE)
    _keep_space(cursor, after)


def _insert(cursor: PostgresCursor, decisions: Decisions) -> None:
    if len(decisions.inserted) >= _COPIED_FROM:
        copy_rows(cursor, decisions.inserted)
        move_rows(cursor, decisions.after)
    elif decisions.inserted:
        cursor.executemany(_INSERT, decisions.inserted)
        _keep_space(cursor, decisions.after)


def _keep_space(cursor: PostgresCursor, after: Space) -> None:
    cursor.execute(
        "UPDATE namespaces SET seq = ?, clock = ? WHERE id = ?",
        (after.seq, after.clock, after.number),
    )


def _decide(
    cursor: PostgresCursor,
    rows: Sequence[PreparedRow],
    space: Space,
    retrievers: dict[str, int],
    given: Given,
    earlier: Group | None = None,
) -> Decisions:
    """Decide about rows by what is stored, and by what a group before them is about to store."""
    now, ids = given
    existing = _existing(cursor, rows, space.number)
    stored = _stored_times(cursor, rows, space.number, now)
    if earlier is not None:
        _add_earlier(rows, space.number, earlier, (existing, stored))
    group = Group(existing, stored, ids, space.seq, now)
    receipts = [group.take(row, (space.number, retrievers[row.retriever_id])) for row in rows]
    after = space._replace(seq=group.seq, clock=now) if group.inserted else space
    return Decisions(space, after, retrievers, group, receipts)


def _add_earlier(
    rows: Sequence[PreparedRow],
    namespace: int,
    earlier: Group,
    found: tuple[dict[tuple[int, str], Recorded], StoredTimes],
) -> None:
    """Add what an earlier group has of the rows' own ids and signatures."""
    existing, stored = found
    for row in rows:
        if row.interaction_id is not None:
            receipt = earlier.existing.get((namespace, row.interaction_id))
            if receipt is not None:
                existing[namespace, row.interaction_id] = receipt
        if row.signature is not None and row.signature in earlier.stored:
            known = earlier.stored[row.signature] + stored.get(row.signature, [])
            stored[row.signature] = list(dict.fromkeys(known))


def _retrievers(
    cursor: PostgresCursor, namespace: int, rows: Iterable[PreparedRow]
) -> dict[str, int]:
    """Return the numbers of the rows' retrievers that the log has."""
    query = "SELECT name, id FROM retrievers WHERE namespace = ? AND name = ANY(?::text[])"
    wanted = [escaped(name) for name in sorted({row.retriever_id for row in rows})]
    return dict(cursor.execute(query, (namespace, wanted)).fetchall())


def _make_retriever(cursor: PostgresCursor, namespace: int, name: str) -> int:
    row = cursor.execute(
        "INSERT INTO retrievers (namespace, name) VALUES (?, ?) RETURNING id", (namespace, name)
    ).fetchone()
    return row[0] if row else 0


def _existing(
    cursor: PostgresCursor, rows: Sequence[PreparedRow], namespace: int
) -> dict[tuple[int, str], Recorded]:
    """Return the stored rows among the given ids."""
    wanted = [escaped(row.interaction_id) for row in rows if row.interaction_id is not None]
    if not wanted:
        return {}
    found = cursor.execute(
        "SELECT i.interaction_id, i.timestamp, i.seq FROM interactions AS i "
        "WHERE i.namespace = ? AND i.interaction_id = ANY(?::text[])",
        (namespace, wanted),
    ).fetchall()
    return {
        (namespace, own): Recorded("existing", own, moment(at), None, n) for own, at, n in found
    }


def _stored_times(
    cursor: PostgresCursor, rows: Sequence[PreparedRow], namespace: int, now: int
) -> StoredTimes:
    """Return by signature the stored rows that a row of the group may repeat."""
    times = event_times(rows, now)
    wanted = [
        (escaped(row.execution_id), row.signature, at)
        for row, at in zip(rows, times, strict=True)
        if row.signature is not None
    ]
    stored: StoredTimes = {}
    wanted = _of_stored_executions(cursor, wanted, namespace)
    if wanted:
        keys = [list(column) for column in zip(*wanted, strict=True)]
        bound = (*keys, namespace, DUPLICATE_WINDOW, DUPLICATE_WINDOW)
        for signature, event, own in cursor.execute(_STORED, bound):
            stored.setdefault(signature, []).append((event, own))
    return {signature: list(dict.fromkeys(found)) for signature, found in stored.items()}


def _of_stored_executions(
    cursor: PostgresCursor, wanted: list[tuple[Any, ...]], namespace: int
) -> list[tuple[Any, ...]]:
    """Return the wanted rows of executions that the log holds, if there are fewer of these."""
    executions = list({row[0]: None for row in wanted})
    if not wanted or 2 * len(executions) > len(wanted):
        return wanted
    times = [row[2] for row in wanted]
    first, last = min(times) - DUPLICATE_WINDOW, max(times) + DUPLICATE_WINDOW
    rows = cursor.cursor.execute(_HELD.encode(), (executions, namespace, first, last)).fetchall()
    held = {execution for (execution,) in rows}  # escaped, as the wanted ones are
    return [row for row in wanted if row[0] in held] if held else []


def _copy_text(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return rows in COPY's text format."""
    columns = [_copy_column(values) for values in zip(*rows, strict=True)]
    return "".join([line + "\n" for line in map("\t".join, zip(*columns, strict=True))])


def _copy_column(values: tuple[Any, ...]) -> list[str]:
    first = values[0]
    if first.__class__ is not float and values.count(first) == len(values) > 1:
        return _copy_column((first,)) * len(values)  # for 0.0 equals -0.0
    if str in set(map(type, values)):
        # Few columns hold any of these characters: looked for in all values at once.
        whole = "".join([value for value in values if value is not None])
        if any(character in whole for character in _SPECIAL):
            values = tuple(
                None if value is None else escaped(value).translate(_ESCAPES) for value in values
            )
    elif None not in values:
        return list(map(str, values))
    return [r"\N" if value is None else str(value) for value in values]


_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_SPECIAL: Final = "\\\t\n\r\0\1"
