"""Fusion state in PostgreSQL, which several machines write."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..._shared.postgres import shared_server
from ..._shared.postgres_processes import announce
from .backend import CurrentWeights
from .postgres_tables import open_tables
from .postgres_transaction import PostgresTransaction
from .sql_backend import SqlBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..._shared.postgres import PostgresCursor, PostgresServer


class PostgresBackend(SqlBackend):
    """Keeps states in tables of one schema; all backends of a process share their connections.

    Writers of one state wait for each other, by a lock that ends with their transaction or their
    connection; readers see one moment and wait for nobody. Rows of other namespaces are hidden by
    row-level security too.
    """

    transaction_type = PostgresTransaction

    def __init__(self, url: str, namespace: str, retriever_id: str, timeout: float) -> None:
        self._address = url, timeout
        self._name = namespace, retriever_id
        self._server: PostgresServer | None = shared_server(url, timeout, open_tables)
        self.url = self._server.url

    def close(self) -> None:
        """Let go of the connections; the next call opens them again."""
        self._server = None

    def clear(self, *, keep_resets: bool) -> None:
        """Remove the state and its snapshots, or all but the resets and the snapshots."""
        super().clear(keep_resets=keep_resets)
        with self.cursor(write=True) as (cursor, state):
            cursor.execute("DELETE FROM fusion_current WHERE state = ?", (state,))
            announce(cursor)

    def put_current(self, current: CurrentWeights) -> None:
        """Keep what every process is to serve now, and let the others know."""
        with self.cursor(write=True) as (cursor, state):
            cursor.execute(
                "INSERT INTO fusion_current (state, id, generation, text) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (state) DO UPDATE SET id = excluded.id, "
                "generation = excluded.generation, text = excluded.text",
                (state, *current),
            )
            announce(cursor)

    def current(self, known: str | None) -> CurrentWeights | None:
        """Return what every process is to serve now, None where there is nothing."""
        with self.cursor(write=False) as (cursor, state):
            row = cursor.execute(
                "SELECT id, generation, CASE WHEN id = ? THEN '' ELSE text END "
                "FROM fusion_current WHERE state = ?",
                (known or "", state),
            ).fetchone()
        return None if row is None else CurrentWeights(*row)

    @contextmanager
    def cursor(self, *, write: bool) -> Iterator[tuple[PostgresCursor, int]]:
        """Run a transaction: whole at the end, undone by any error."""
        server = self._server
        if server is None:
            server = self._server = shared_server(*self._address, open_tables)
        namespace, retriever_id = self._name
        with server.transaction(namespace, write=write) as cursor:
            if write:
                cursor.lock("state", server.schema, *self._name)
            query = "SELECT id FROM fusion_states WHERE namespace = ? AND retriever_id = ?"
            row = cursor.execute(query, self._name).fetchone()
            if row is None and write:
                row = cursor.execute(
                    "INSERT INTO fusion_states (retriever_id) VALUES (?) RETURNING id",
                    (retriever_id,),
                ).fetchone()
            yield cursor, -1 if row is None else int(row[0])
