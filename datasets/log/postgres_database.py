"""An interaction log in PostgreSQL, which processes of several machines may use."""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..._shared.postgres import PostgresServer
from ..._shared.postgres_processes import announce
from . import postgres_tables as tables
from .postgres_dialect import PostgresDialect
from .postgres_insert import touch
from .postgres_session import PostgresSession
from .view import too_slow
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..._shared.postgres import PostgresCursor


class PostgresLog:
    """A log in one schema of a database; see `LogDatabase` for what the methods do.

    Rows are partitioned by the month of their event. Everything is kept by namespace, and shown by
    namespace too: row-level security hides all others from every statement, unless the role is a
    superuser's. After a fork the child opens its own connections.
    """

    dialect = PostgresDialect()

    def __init__(self, url: str, timeout: float) -> None:
        self.server = PostgresServer(url, timeout, tables.open_tables)
        self.url = self.server.url
        self._log_id: str | None = None
        self._inherited: list[Writer] = []
        self._start()

    def _start(self) -> None:
        self._owner, self._writer = os.getpid(), Writer(_Opener(self.server))
        # A log that is not closed is written out and closed when it is collected.
        self._closer = weakref.finalize(self, _close_all, self._owner, self._writer, self.server)

    @property
    def writer(self) -> Writer:
        """Return this process's writer."""
        if self._owner != os.getpid():
            self._closer.detach()
            self._inherited.append(self._writer)  # what it had queued is the parent's to write
            self._start()
        return self._writer

    @property
    def log_id(self) -> str:
        """Return the id that was made with the log."""
        if self._log_id is None:
            with self.reading(None) as cursor:
                row = cursor.execute("SELECT value FROM log_meta WHERE key = 'log_id'").fetchone()
                self._log_id = str(row[0]) if row else ""
        return self._log_id

    @contextmanager
    def reading(
        self, namespace: str | None, seconds: float | None = None
    ) -> Iterator[PostgresCursor]:
        """Lend a cursor that sees one moment of a namespace, interrupted after some seconds."""
        try:
            with self.server.transaction(namespace, write=False, seconds=seconds) as cursor:
                yield cursor
        except TimeoutError:
            raise too_slow(seconds or 0.0) from None

    @contextmanager
    def few_at_once(
        self, cursor: PostgresCursor, sql: str, bound: Sequence[Any]
    ) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Lend the rows of a query without holding all of them in memory."""
        with cursor.few_at_once(sql, bound) as rows:
            yield rows

    def last_numbers(self, cursor: PostgresCursor, namespace: int) -> tuple[int, int]:
        """Return the highest numbers that rows and deletions of the namespace were given."""
        query = "SELECT seq, deletion FROM namespaces WHERE id = ?"
        row = cursor.execute(query, (namespace,)).fetchone()
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def keep_counters(self, cursor: PostgresCursor, namespace: int) -> None:
        """Note what deletions were given; numbers of rows are noted when they are given."""
        cursor.execute(
            "UPDATE namespaces SET deletion = greatest(deletion, coalesce((SELECT max(d.number) "
            "FROM deletions AS d WHERE d.namespace = ?), 0)) WHERE id = ?",
            (namespace, namespace),
        )

    def announce(self, cursor: PostgresCursor) -> None:
        """Let other processes know that a transaction has changed something."""
        announce(cursor)

    def drop_before(self, time: int) -> int:
        """Drop the months that lie before a time, of all namespaces; return how many rows went."""
        return self.writer.run(lambda cursor: tables.drop_before(cursor, time))

    def close(self) -> None:
        """Write out what is queued and close every connection; the next call opens again."""
        _close_all(os.getpid(), self.writer, self.server)
        self._log_id = None

    def check(self) -> None:
        """Raise unless the log can be read and written."""
        self.writer.run(touch)


class _Opener:
    """Opens the writer's connections; see `Opener`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def make_ready(self) -> None:
        """Open the pool of connections, which starts a thread."""
        self._server.make_ready()

    def session(self) -> PostgresSession:
        """Return new connections to write by."""
        return PostgresSession(self._server)

    def errors(self) -> Any:
        """Turn psycopg's errors into ours."""
        return self._server.errors()


def _close_all(process: int, writer: Writer, server: PostgresServer) -> None:
    if process == os.getpid():
        writer.close()
        server.close()
