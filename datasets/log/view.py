"""Reading a view of the log: one record, pages of a search, and rows in the order of storing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...errors import IntegrityError, InvalidInputError
from ..record.times import moment
from .answers import Deletion, LogChunk, LogHistory, Page
from .condition import Condition, marks
from .filter_tree import condition_of, driving_index
from .frames import FRAME_COLUMNS, frame_of
from .paging import (
    MAX_PAGE_CHARACTERS,
    check_page,
    make_cursor,
    order_of,
    read_cursor,
    search_digest,
)
from .stored_row import SELECTED, make_interaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from ..record.interaction import Interaction
    from .database import LogDatabase

NOWHERE: Final = -1
"""Stands for a namespace or retriever of which the log holds nothing."""

_SEARCH_SECONDS: Final = 5.0
_MANY: Final = 500
_JOINED: Final = "interactions AS i {index} JOIN retrievers AS r ON r.id = i.retriever"


class LogView:
    """What of a log one namespace, or one retriever of it, sees."""

    def __init__(self, file: LogDatabase, namespace: str, retriever_id: str | None) -> None:
        self.file, self.namespace, self.retriever_id = file, namespace, retriever_id

    def scope(self, cursor: Any) -> tuple[int, int | None]:
        """Return the numbers of the namespace and the retriever; None for all retrievers."""
        space = _found(cursor, "SELECT id FROM namespaces WHERE name = ?", (self.namespace,))
        if self.retriever_id is None:
            return space, None
        query = "SELECT id FROM retrievers WHERE namespace = ? AND name = ?"
        return space, _found(cursor, query, (space, self.retriever_id))

    def within(self, cursor: Any) -> Condition:
        """Return the condition of the view's rows."""
        space, retriever = self.scope(cursor)
        if retriever is None:
            return Condition("i.namespace = ?", (space,))
        return Condition("i.namespace = ? AND i.retriever = ?", (space, retriever))

    def is_known(self) -> bool:
        """Return whether the log was ever given a row of the view's namespace and retriever."""
        with self.file.reading(self.namespace) as cursor:
            return NOWHERE not in self.scope(cursor)

    def get(self, interaction_id: str) -> Interaction | None:
        """Return one record; None where the view has none of the id."""
        with self.file.reading(self.namespace) as cursor:
            own = self.within(cursor)
            row = cursor.execute(
                f"SELECT {SELECTED} FROM {self._joined('by_id')} "  # noqa: S608
                f"WHERE {own.sql} AND i.interaction_id = ?",
                (*own.bound, interaction_id),
            ).fetchone()
        return None if row is None else self._made(row)

    def find(
        self,
        filters: Mapping[str, Any] | None,
        *,
        sort: Any,
        cursor: str | None,
        offset: int,
        limit: int,
        include_total: bool,
    ) -> Page:
        """Return a page of a search; see `InteractionLog.find`."""
        check_page(offset, limit, cursor)
        order = order_of(sort)
        wanted = condition_of(filters, self.file.dialect)
        driven = driving_index(filters)
        digest = search_digest(
            *(self.file.log_id, self.namespace, self.retriever_id, order.field, order.descending),
            None if wanted is None else (wanted.sql, wanted.bound),
        )
        started = None if cursor is None else order.after(*read_cursor(cursor, digest))
        with self.file.reading(self.namespace, _SEARCH_SECONDS) as reading:
            own = self.within(reading)
            source = self._joined("by_namespace" if driven is None else driven[0])
            parts = [own, *([] if driven is None else [driven[1]]), *([wanted] if wanted else [])]
            total = _count(reading, source, parts) if include_total else None
            sql, bound = _where([*parts, *([started] if started else [])])
            query = (
                f"SELECT i.seq, {order.column}, {SELECTED} FROM {source} WHERE {sql} "  # noqa: S608
                f"ORDER BY {order.sql} LIMIT ? OFFSET ?"
            )
            wanted_rows = (*bound, limit + 1, offset)
            with self.file.few_at_once(reading, query, wanted_rows) as found:
                rows, more = _page_of(found, limit)
        next_cursor = make_cursor(digest, rows[-1][1], rows[-1][0]) if more else None
        return Page([self._made(row[2:]) for row in rows], next_cursor, total)

    def rows_after(self, seq: int, limit: int, upto: int | None = None) -> LogChunk:
        """Return the next rows of the view, in the order in which they were stored."""
        with self.file.reading(self.namespace) as cursor:
            own = self.within(cursor)
            last = self.file.last_numbers(cursor, own.bound[0])[0] if upto is None else upto
            rows = cursor.execute(
                f"SELECT {FRAME_COLUMNS} FROM {self._joined('by_namespace')} "  # noqa: S608
                f"WHERE {own.sql} AND i.seq > ? AND i.seq <= ? ORDER BY i.seq LIMIT ?",
                (*own.bound, seq, last, limit),
            ).fetchall()
        reached = rows[-1][-1] if len(rows) == limit else max(seq, last)
        return LogChunk(frame_of(rows), reached)

    def rows_of(self, executions: Sequence[str], sessions: Sequence[str]) -> pl.DataFrame:
        """Return rows by execution, and by session those without one; see `InteractionLog`."""
        rows: list[tuple[Any, ...]] = []
        with self.file.reading(self.namespace) as cursor:
            own = self.within(cursor)
            for name, index, more, ids in (
                ("execution_id", "by_execution", "", executions),
                ("session_id", "by_session", " AND i.execution_id IS NULL", sessions),
            ):
                source = self._joined(index)
                for start in range(0, len(ids), _MANY):
                    part = ids[start : start + _MANY]
                    marks = ", ".join("?" * len(part))
                    rows += cursor.execute(
                        f"SELECT {FRAME_COLUMNS} FROM {source} "  # noqa: S608
                        f"WHERE {own.sql} AND i.{name} IN ({marks}){more}",
                        (*own.bound, *part),
                    ).fetchall()
        return frame_of(rows)

    def live_rows_of(
        self, sessions: Sequence[str], after: int, since: int
    ) -> list[tuple[int, Interaction]]:
        """Return live rows of some sessions with their numbers; see `InteractionLog`."""
        with self.file.reading(self.namespace) as cursor:
            own = self.within(cursor)
            rows = cursor.execute(
                f"SELECT i.seq, {SELECTED} FROM {self._joined('by_session')} "  # noqa: S608
                f"WHERE {own.sql} AND i.session_id IN ({marks(sessions)}) AND i.seq > ? "
                "AND i.event_time >= ? AND i.live = 1 ORDER BY i.seq",
                (*own.bound, *sessions, after, since),
            ).fetchall()
        return [(row[0], self._made(row[1:])) for row in rows]

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces."""
        with self.file.reading(None) as cursor:
            return [name for (name,) in cursor.execute("SELECT name FROM namespaces ORDER BY id")]

    def last_seq(self) -> int:
        """Return the highest number that any row of the log was given."""
        with self.file.reading(self.namespace) as cursor:
            return self.file.last_numbers(cursor, self.scope(cursor)[0])[0]

    def history(self, row: int, deletion: int) -> LogHistory:
        """Return what the log holds up to a row and a deletion."""
        with self.file.reading(self.namespace) as cursor:
            space, _ = self.scope(cursor)
            given = self.file.last_numbers(cursor, space)
            newest = cursor.execute(
                f"SELECT i.timestamp FROM interactions AS i {self._indexed('by_namespace')} "  # noqa: S608
                "WHERE i.namespace = ? AND i.seq <= ? ORDER BY i.seq DESC LIMIT 1",
                (space, row),
            ).fetchone()
            deleted = cursor.execute(
                "SELECT deleted_at FROM deletions WHERE namespace = ? AND number = ?",
                (space, deletion),
            ).fetchone()
        return LogHistory(*given, *(int(found[0]) if found else 0 for found in (newest, deleted)))

    def deletions_after(self, number: int, limit: int) -> list[Deletion]:
        """Return the next notes of deletions; see `InteractionLog.deletions_after`."""
        with self.file.reading(self.namespace) as cursor:
            own = self._notes(cursor)
            rows = cursor.execute(
                "SELECT d.number, r.name, d.execution_id, d.feature_id, d.user_id, d.live, "  # noqa: S608
                "d.event_time, d.session_id, d.query_digest FROM deletions AS d "
                "LEFT JOIN retrievers AS r ON r.id = d.retriever "
                f"WHERE {own.sql} AND d.number > ? ORDER BY d.number LIMIT ?",
                (*own.bound, number, limit),
            ).fetchall()
        return [
            Deletion(
                note,
                name or None,
                execution,
                document,
                user,
                bool(live),
                None if at is None else moment(at),
                session,
                query,
            )
            for note, name, execution, document, user, live, at, session, query in rows
        ]

    def last_deletion(self) -> int:
        """Return the number of the last note of a deletion, 0 where there is none."""
        with self.file.reading(self.namespace) as cursor:
            own = self._notes(cursor)
            found = cursor.execute(
                f"SELECT d.number FROM deletions AS d WHERE {own.sql} "  # noqa: S608
                "ORDER BY d.number DESC LIMIT 1",
                own.bound,
            ).fetchone()
        return 0 if found is None else int(found[0])

    def _made(self, row: tuple[Any, ...]) -> Interaction:
        try:
            return make_interaction(row)
        except msgspec.MsgspecError as error:
            msg = f"{self.file.url}: the row of {row[0]!r} is damaged: {error}"
            raise IntegrityError(msg) from error

    def _notes(self, cursor: Any) -> Condition:
        """Return the condition of the notes of deletions that concern the view."""
        space, retriever = self.scope(cursor)
        if retriever is None:
            return Condition("d.namespace = ?", (space,))
        sql = "d.namespace = ? AND (d.retriever IS NULL OR d.retriever = ?)"
        return Condition(sql, (space, retriever))

    def _indexed(self, index: str) -> str:
        """Return the clause that keeps SQLite from reading the rows of other namespaces."""
        return self.file.dialect.indexed(index)

    def _joined(self, index: str) -> str:
        return _JOINED.format(index=self._indexed(index))


def too_slow(seconds: float) -> InvalidInputError:
    """Return the error for a search that was stopped."""
    msg = (
        f"filters: the search took more than {seconds:g} s and was stopped; narrow it: name an "
        "execution_id, a session_id or a user_id"
    )
    return InvalidInputError(msg)


def _found(cursor: Any, query: str, bound: tuple[Any, ...]) -> int:
    row = cursor.execute(query, bound).fetchone()
    return NOWHERE if row is None else int(row[0])


def _page_of(found: Iterator[tuple[Any, ...]], limit: int) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows of a page, and whether others follow; large rows end it early."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in found:
        if len(rows) == limit or size >= MAX_PAGE_CHARACTERS:
            return rows, True
        rows.append(row)
        size += sum([len(value) for value in row if isinstance(value, str)])
    return rows, False


def _where(parts: list[Condition]) -> tuple[str, tuple[Any, ...]]:
    sql = " AND ".join(part.sql for part in parts)
    return sql, tuple(value for part in parts for value in part.bound)


def _count(cursor: Any, source: str, parts: list[Condition]) -> int:
    sql, bound = _where(parts)
    row = cursor.execute(f"SELECT count(*) FROM {source} WHERE {sql}", bound).fetchone()  # noqa: S608
    return int(row[0])
