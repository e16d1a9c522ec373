"""Fusion state in an SQLite file that several processes write."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..._shared.sqlite import (
    cannot_write,
    close_in,
    file_identity,
    open_read_only,
    retry_while_locked,
    sqlite_errors,
)
from ...errors import StoreError
from .sql_backend import SqlBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAMAGED: Final = "Restore a copy of the file, or remove it and learn the state again from the log"
_REFUSED: Final = "the store refused to work, and nothing of this batch was written"
# The names of the first version stay: `head` are the settings, `mark` is the log position, a `wish`
# is a reset.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS fusion_states (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, retriever_id TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0, change INTEGER NOT NULL DEFAULT 0,
    head BLOB, closed BLOB, mark TEXT, UNIQUE (namespace, retriever_id)
);
CREATE TABLE IF NOT EXISTS fusion_units (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, key BLOB NOT NULL, time INTEGER NOT NULL,
    user INTEGER NOT NULL, session INTEGER NOT NULL, change INTEGER NOT NULL, value BLOB NOT NULL,
    UNIQUE (state, key)
);
CREATE INDEX IF NOT EXISTS fusion_units_by_time ON fusion_units (state, time);
CREATE INDEX IF NOT EXISTS fusion_units_by_change ON fusion_units (state, change);
CREATE INDEX IF NOT EXISTS fusion_units_by_user ON fusion_units (state, user) WHERE user <> 0;
CREATE INDEX IF NOT EXISTS fusion_units_by_session
    ON fusion_units (state, session) WHERE session <> 0;
CREATE TABLE IF NOT EXISTS fusion_users (
    state INTEGER NOT NULL, user INTEGER NOT NULL, sums BLOB, wish BLOB,
    PRIMARY KEY (state, user)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fusion_queries (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, query INTEGER NOT NULL, closed BLOB,
    served BLOB, UNIQUE (state, query)
);
CREATE TABLE IF NOT EXISTS fusion_snapshots (
    number INTEGER PRIMARY KEY, state INTEGER NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL,
    note TEXT, UNIQUE (state, id)
);
"""
_ADDED: Final = (("fusion_states", "mark"), ("fusion_snapshots", "note"))
"""Columns that files of earlier versions lack."""


class SqliteBackend(SqlBackend):
    """Keeps states in a file, in write-ahead mode: readers never wait, writers do for each other.

    The file must lie on a disk of the machine: write-ahead mode does not work across a network. On
    a volume that cannot be written it is read only.

    ``synchronous`` is NORMAL. A killed process loses nothing. A power cut may undo the newest
    transactions, never a part of one; what they held is in the log, and sending it again counts
    it once. FULL would pay a flush of the disk per batch for what the log already guarantees.
    """

    def __init__(
        self, url: str, namespace: str, retriever_id: str, *, path: str, timeout: float
    ) -> None:
        self.url, self.path, self.timeout = url, Path(path), timeout
        self._name = namespace, retriever_id
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closer: weakref.finalize[..., SqliteBackend] | None = None
        self._owner = 0
        self._file: tuple[int, int] | None = None
        self._unchanged: tuple[int, ...] | None = None
        self._inherited: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._closer is not None and self._owner == os.getpid():
                self._closer()
            self._connection = None

    @contextmanager
    def cursor(self, *, write: bool) -> Iterator[tuple[sqlite3.Cursor, int]]:
        """Run a transaction: whole at the end, undone by any error."""
        with self._lock, sqlite_errors(self.url, damaged=_DAMAGED, refused=_REFUSED):
            cursor = self._connected().cursor()
            cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield cursor, self._state(cursor, write=write)
                cursor.execute("COMMIT")
            except BaseException:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def _state(self, cursor: sqlite3.Cursor, *, write: bool) -> int:
        if write:
            cursor.execute(
                "INSERT OR IGNORE INTO fusion_states (namespace, retriever_id) VALUES (?, ?)",
                self._name,
            )
        row = cursor.execute(
            "SELECT id FROM fusion_states WHERE namespace = ? AND retriever_id = ?", self._name
        ).fetchone()
        return -1 if row is None else int(row[0])

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._owner == os.getpid():
            self._check_file()
            if self._unchanged is None or self._unchanged == self._stamp():
                return self._connection
            self.close()
        if self._connection is not None:
            # SQLite forbids the use of a connection across a fork, its closing too.
            self._inherited.append(self._connection)
        if not self.path.parent.is_dir():
            msg = f"{self.url}: there is no folder {self.path.parent}; make it first"
            raise StoreError(msg)
        connection, immutable = self._open()
        self._connection, self._owner = connection, os.getpid()
        self._file = file_identity(self.path)
        self._unchanged = self._stamp() if immutable else None
        # Close the file of a store that is freed unclosed; Python 3.13 warns otherwise.
        self._closer = weakref.finalize(self, close_in, self._owner, connection)
        return connection

    def _open(self) -> tuple[sqlite3.Connection, bool]:
        """Open the file, only to read it where it cannot be written; see `open_read_only`."""
        connection = sqlite3.connect(
            self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        try:
            retry_while_locked(partial(_prepare, connection), self.timeout)
        except sqlite3.OperationalError as error:
            connection.close()
            if not cannot_write(error) or not self.path.is_file():
                raise
            return open_read_only(self.path, self.timeout)
        except BaseException:
            connection.close()
            raise
        return connection, False

    def _stamp(self) -> tuple[int, ...]:
        """Return what differs when the file, or its write-ahead log, has changed."""
        log = self.path.with_name(f"{self.path.name}-wal")
        found = [path.stat() for path in (self.path, log) if path.exists()]
        return tuple(number for each in found for number in (each.st_mtime_ns, each.st_size))

    def _check_file(self) -> None:
        """Raise where the file is another now: SQLite would go on writing into the old one."""
        if file_identity(self.path) != self._file:
            self.close()
            msg = f"{self.url}: the file was removed or replaced; what it held is gone from here"
            raise StoreError(msg)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    for table, column in _ADDED:
        _add_column(connection, table, column)


def _add_column(connection: sqlite3.Connection, table: str, column: str) -> None:
    """Give a file of an earlier version a column that it lacks, once among all processes."""
    if not _lacks(connection, table, column):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _lacks(connection, table, column):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _lacks(connection: sqlite3.Connection, table: str, column: str) -> bool:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return column not in {name for _, name, *_ in columns}
