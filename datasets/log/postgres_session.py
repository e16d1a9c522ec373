"""The connections of a log's writer to PostgreSQL: two, so that groups of rows overlap.

While the server inserts one group, the writer decides about the next one and copies it, on the
other connection. It locks the namespace and inserts that group once the first is committed.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..._shared.postgres import PostgresCursor
from . import postgres_tables as tables
from .postgres_insert import (
    copy_rows,
    decide,
    decide_ahead,
    insert_group,
    lock_namespace,
    lock_space,
    make_copy_table,
    move_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..._shared.postgres import PostgresServer
    from .answers import Recorded
    from .postgres_insert import Decisions, Space
    from .stored_row import PreparedRow

T = TypeVar("T")

_OVERLAPPING_FROM: Final = 100
"""Rows from which on a group is inserted while the writer goes on."""


class PostgresSession:
    """The writer's connections; see `WriteSession`. One that is broken is replaced."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self.schema = server, server.schema
        self._months: set[int] = set()
        self._connections: dict[int, Any] = {}
        self.connection(0)

    def insert(self, rows: Sequence[PreparedRow]) -> list[Recorded]:
        """Store rows in one transaction and return their receipts."""
        from psycopg.errors import CheckViolation

        self.make_months(rows, 0)
        try:
            return self.run(lambda cursor: insert_group(cursor, rows, self.schema), None)
        except CheckViolation:
            return self.insert_again(rows, 0)

    def insert_again(self, rows: Sequence[PreparedRow], index: int) -> list[Recorded]:
        """Store rows one of whose months another process has dropped since it was looked at."""
        self._months.clear()
        self.make_months(rows, index)
        return self.run(lambda cursor: insert_group(cursor, rows, self.schema), None, index)

    def prepare(self, rows: Sequence[PreparedRow], earlier: Insertion | None) -> Insertion | None:
        """Prepare to insert rows while an earlier insertion runs; None for few rows."""
        if len(rows) < _OVERLAPPING_FROM or len({row.namespace for row in rows}) > 1:
            return None
        insertion = Insertion(self, 0 if earlier is None else 1 - earlier.index, rows)
        if earlier is not None and not self._missing_months(rows):
            insertion.decide_ahead(earlier)
        return insertion

    def run(self, step: Callable[[PostgresCursor], T], namespace: str | None, index: int = 0) -> T:
        """Run a step in a transaction of its own, which no other changes that namespace in."""
        connection = self.connection(index)
        with connection.transaction(), connection.cursor() as cursor:
            adapter = PostgresCursor(cursor)
            if namespace is None:
                adapter.within(None)
            else:
                lock_namespace(adapter, self.schema, namespace)
            return step(adapter)

    def connection(self, index: int) -> Any:
        """Return one of the two connections, by its number."""
        connection = self._connections.get(index)
        if connection is None or connection.closed:
            connection = self._server.connect()
            with connection.transaction(), connection.cursor() as cursor:
                make_copy_table(PostgresCursor(cursor))
            self._connections[index] = connection
        return connection

    def make_months(self, rows: Sequence[PreparedRow], index: int) -> None:
        """Make the partitions that rows go to, and those of this month and of the next."""
        missing = self._missing_months(rows)
        if missing:
            self.run(lambda cursor: tables.make_months(cursor, missing), None, index)
            self._months |= missing

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            with suppress(Exception):
                connection.close()

    def _missing_months(self, rows: Sequence[PreparedRow]) -> set[int]:
        """Return the months of those partitions that were not seen yet."""
        month = tables.this_month()
        wanted = {month, month + 1}
        wanted.update(
            {tables.month_of(row.occurred_at) for row in rows if row.occurred_at is not None}
        )
        return {each for each in wanted if each <= month + 1} - self._months


class Insertion:
    """Rows of one namespace on their way into the log.

    Parameters
    ----------
    session : PostgresSession
    index : int
        Number of the connection that they take, 0 or 1.
    rows : sequence of PreparedRow
    """

    def __init__(self, session: PostgresSession, index: int, rows: Sequence[PreparedRow]) -> None:
        self.index, self.rows = index, rows
        self.decisions: Decisions | None = None
        self._session = session
        self._pipeline = ExitStack()

    def decide_ahead(self, earlier: Insertion) -> None:
        """Decide and copy as if an insertion that runs were done, if it is one of the namespace."""
        done, namespace = earlier.decisions, self.rows[0].namespace
        if done is None or earlier.rows[0].namespace != namespace:
            return
        with self._undone_by_errors() as connection:
            cursor = self._begin(connection)
            cursor.within(namespace)
            self.decisions = decide_ahead(cursor, self.rows, done)
            if self.decisions is None:
                connection.execute("ROLLBACK")
            else:
                copy_rows(cursor, self.decisions.inserted)

    def start(self) -> None:
        """Send what inserts the rows and commits; the server works on it from now on."""
        with self._undone_by_errors() as connection:
            decisions = self._confirmed(connection) or self._decide(connection)
            self._pipeline.enter_context(connection.pipeline())
            move_rows(self._cursor, decisions.after)
            self._cursor.execute("COMMIT")
            self.decisions = decisions

    def finish(self) -> list[Recorded]:
        """Wait until the rows are committed and return their receipts."""
        with self._undone_by_errors():
            self._pipeline.close()
        if self.decisions is None:
            return self._session.insert_again(self.rows, self.index)
        return self.decisions.receipts

    def _confirmed(self, connection: Any) -> Decisions | None:
        """Return what was decided ahead, if the namespace is as was expected then."""
        if self.decisions is None or self._lock() == self.decisions.before:
            return self.decisions
        connection.execute("ROLLBACK")
        return None

    def _decide(self, connection: Any) -> Decisions:
        self._session.make_months(self.rows, self.index)
        cursor = self._begin(connection)
        decisions = decide(cursor, self.rows, self._lock())
        copy_rows(cursor, decisions.inserted)
        return decisions

    def _begin(self, connection: Any) -> PostgresCursor:
        self._cursor = PostgresCursor(connection.cursor())
        self._cursor.execute("BEGIN")
        return self._cursor

    def _lock(self) -> Space:
        return lock_space(self._cursor, self._session.schema, self.rows[0].namespace)

    @contextmanager
    def _undone_by_errors(self) -> Iterator[Any]:
        """Lend the connection; an error leaves it without a transaction, or closed.

        A month that another process has dropped takes back what was decided, and is no error.
        """
        from psycopg.errors import CheckViolation

        connection = self._session.connection(self.index)
        try:
            yield connection
        except BaseException as error:
            self.decisions = None
            with suppress(Exception):
                self._pipeline.close()
            try:
                connection.execute("ROLLBACK")
            except Exception:  # noqa: BLE001 - the first error says what happened
                connection.close()
            if not isinstance(error, CheckViolation):
                raise
