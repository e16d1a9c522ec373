"""Fusion state in an SQLite file that several processes write."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._sqlite import close_in, file_identity, once_free, told
from ..errors import StoreError
from ._sqlite_transaction import SqliteTransaction
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._store_transaction import Transaction

_KEPT_SNAPSHOTS: Final = 20
_DAMAGED: Final = "Restore a copy of the file, or remove it and learn the state again from the log"
_REFUSED: Final = "the store refused to work, and nothing of this batch was written"
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
CREATE TABLE IF NOT EXISTS fusion_snapshots (
    number INTEGER PRIMARY KEY, state INTEGER NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (state, id)
);
"""


class SqliteStore(Store):
    """A store in a file, in write-ahead mode: readers never wait, writers wait for each other.

    The file must lie on a disk of the machine: write-ahead mode does not work across a network.

    ``synchronous`` is NORMAL. A killed process loses nothing. A power cut may undo the newest
    transactions, never a part of one; what they held is in the log, and sending it again counts
    it once. FULL would pay a flush of the disk per batch for what the log already guarantees.
    """

    def __init__(
        self, url: str, namespace: str, retriever_id: str, *, path: str, timeout: float
    ) -> None:
        super().__init__(url, namespace, retriever_id)
        self.path, self.timeout = Path(path), timeout
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closer: weakref.finalize[..., SqliteStore] | None = None
        self._owner = 0
        self._file: tuple[int, int] | None = None
        self._inherited: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._closer is not None and self._owner == os.getpid():
                self._closer()
            self._connection = None

    def clear(self, *, keep_wishes: bool = False) -> None:
        """Forget everything under this namespace and retriever, snapshots too.

        Parameters
        ----------
        keep_wishes : bool
            Keep what users wished (`opt_out`, `reset_user`) and the newest snapshot, for the state
            to be learnt again: who serves from the store goes on by that snapshot meanwhile.
        """
        with self._cursor(write=True) as (cursor, state):
            cursor.execute("DELETE FROM fusion_units WHERE state = ?", (state,))
            _keep_snapshots(cursor, state, int(keep_wishes))
            if keep_wishes:
                cursor.execute("UPDATE fusion_users SET sums = NULL WHERE state = ?", (state,))
            cursor.execute(
                "DELETE FROM fusion_users WHERE state = ? AND (wish IS NULL OR NOT ?)",
                (state, keep_wishes),
            )
            cursor.execute(
                "UPDATE fusion_states SET head = NULL, closed = NULL, mark = NULL, "
                "version = version + 1 WHERE id = ?",
                (state,),
            )

    def put_snapshot(self, snapshot_id: str, text: str) -> None:
        """Keep a snapshot of weights, as the newest one; the newest 20 are kept."""
        with self._cursor(write=True) as (cursor, state):
            cursor.execute(
                "DELETE FROM fusion_snapshots WHERE state = ? AND id = ?", (state, snapshot_id)
            )
            cursor.execute(
                "INSERT INTO fusion_snapshots (state, id, text) VALUES (?, ?, ?)",
                (state, snapshot_id, text),
            )
            _keep_snapshots(cursor, state, _KEPT_SNAPSHOTS)

    def get_snapshot(self, snapshot_id: str | None = None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
        with self._cursor(write=False) as (cursor, state):
            found = cursor.execute(
                "SELECT text FROM fusion_snapshots WHERE state = ? AND (? IS NULL OR id = ?) "
                "ORDER BY number DESC LIMIT 1",
                (state, snapshot_id, snapshot_id),
            ).fetchone()
        return None if found is None else str(found[0])

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        with self._cursor(write=write) as (cursor, state):
            yield SqliteTransaction(cursor, state)

    @contextmanager
    def _cursor(self, *, write: bool) -> Iterator[tuple[sqlite3.Cursor, int]]:
        """Run a transaction: whole at the end, undone by any error."""
        with self._lock, told(self.url, damaged=_DAMAGED, refused=_REFUSED):
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
        name = (self.namespace, self.retriever_id)
        if write:
            cursor.execute(
                "INSERT OR IGNORE INTO fusion_states (namespace, retriever_id) VALUES (?, ?)", name
            )
        found = cursor.execute(
            "SELECT id FROM fusion_states WHERE namespace = ? AND retriever_id = ?", name
        ).fetchone()
        return -1 if found is None else int(found[0])

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._owner == os.getpid():
            self._check_file()
            return self._connection
        if self._connection is not None:
            # SQLite forbids the use of a connection across a fork, its closing too.
            self._inherited.append(self._connection)
        if not self.path.parent.is_dir():
            msg = f"{self.url}: there is no folder {self.path.parent}; make it first"
            raise StoreError(msg)
        connection = sqlite3.connect(
            self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        try:
            once_free(lambda: _prepare(connection), self.timeout)
        except BaseException:
            connection.close()
            raise
        self._connection, self._owner, self._file = (
            connection,
            os.getpid(),
            file_identity(self.path),
        )
        # A store that nobody closed closes its file when it goes; Python 3.13 warns otherwise.
        self._closer = weakref.finalize(self, close_in, self._owner, connection)
        return connection

    def _check_file(self) -> None:
        """Raise where the file is another now: SQLite would go on writing into the old one."""
        if file_identity(self.path) != self._file:
            self.close()
            msg = f"{self.url}: the file was removed or replaced; what it held is gone from here"
            raise StoreError(msg)


def _keep_snapshots(cursor: sqlite3.Cursor, state: int, most: int) -> None:
    """Forget all snapshots but the newest ones."""
    cursor.execute(
        "DELETE FROM fusion_snapshots WHERE state = ? AND number NOT IN (SELECT number "
        "FROM fusion_snapshots WHERE state = ? ORDER BY number DESC LIMIT ?)",
        (state, state, most),
    )


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    _add_mark(connection)


def _add_mark(connection: sqlite3.Connection) -> None:
    """Give a file of the first version the column that it lacks, once among all processes."""
    if not _lacks_mark(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _lacks_mark(connection):
            connection.execute("ALTER TABLE fusion_states ADD COLUMN mark TEXT")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _lacks_mark(connection: sqlite3.Connection) -> bool:
    columns = connection.execute("PRAGMA table_info(fusion_states)").fetchall()
    return "mark" not in {name for _, name, *_ in columns}
