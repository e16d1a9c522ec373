"""The tables of an interaction log: made once, recognised again, refused where they are others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from ..._shared.sqlite import retry_while_locked
from ...errors import InvalidInputError, StoreError

if TYPE_CHECKING:
    import sqlite3

APPLICATION: Final = 0x724C4F47
"""SQLite's application_id of a log: "rLOG"."""

VERSION: Final = 1
"""SQLite's user_version of a log; a reader refuses any other."""

_CACHE_KIBIBYTES: Final = 32_768
_CHECKPOINT_PAGES: Final = 4_000
_TABLES: Final = (
    "CREATE TABLE log_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    # The last number and time that were given before a deletion: neither is given again, whatever
    # is deleted. Later ones are in the rows themselves, so that no commit writes a page for them.
    "CREATE TABLE log_counters (seq INTEGER NOT NULL, clock INTEGER NOT NULL)",
    "CREATE TABLE namespaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # A row without a retriever has the empty name: NULLs would not be unique.
    """CREATE TABLE retrievers (
        id INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, name TEXT NOT NULL,
        UNIQUE (namespace, name))""",
    """CREATE TABLE interactions (
        seq INTEGER PRIMARY KEY,
        namespace INTEGER NOT NULL, retriever INTEGER NOT NULL, interaction_id TEXT NOT NULL,
        event_time INTEGER NOT NULL, occurred_at INTEGER, timestamp INTEGER NOT NULL,
        live INTEGER NOT NULL, signature INTEGER,
        feature_id TEXT NOT NULL, interaction_type TEXT NOT NULL, position INTEGER NOT NULL,
        metadata TEXT, user_id TEXT, session_id TEXT, execution_id TEXT,
        query_snapshot TEXT, snapshot_is_text INTEGER NOT NULL,
        document_score REAL, result_set_size INTEGER, feature_uri TEXT, unknown_keys TEXT)""",
    """CREATE TABLE deletions (
        number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, retriever INTEGER,
        execution_id TEXT, feature_id TEXT, user_id TEXT, live INTEGER,
        event_time INTEGER, session_id TEXT, query_digest TEXT, deleted_at INTEGER NOT NULL)""",
    "CREATE UNIQUE INDEX by_id ON interactions (namespace, interaction_id)",
    # One index for a namespace and its retrievers: each index costs every commit a page.
    "CREATE INDEX by_namespace ON interactions (namespace, seq, retriever)",
    """CREATE INDEX by_execution ON interactions (namespace, execution_id, signature, event_time)
        WHERE execution_id IS NOT NULL""",
    """CREATE INDEX by_session ON interactions (namespace, session_id)
        WHERE session_id IS NOT NULL""",
    "CREATE INDEX by_user ON interactions (namespace, user_id) WHERE user_id IS NOT NULL",
    "CREATE INDEX deletions_by_namespace ON deletions (namespace)",
)


def open_tables(connection: sqlite3.Connection, url: str, timeout: float) -> None:
    """Set a new connection up and make the tables where there are none.

    Raises InvalidInputError if the file is an SQLite file of something else. Raises StoreError if
    the log was written by another version, or the disk cannot do write-ahead mode.
    """
    retry_while_locked(lambda: _set_up(connection, url), timeout)


def _set_up(connection: sqlite3.Connection, url: str) -> None:
    if not _is_log(connection, url):
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            msg = f"{url}: this file system cannot do SQLite's write-ahead mode; use a local disk"
            raise StoreError(msg)
        _make(connection, url)
    connection.execute("PRAGMA synchronous = FULL")
    # What a user had deleted is overwritten, not only unlinked.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")


def _is_log(connection: sqlite3.Connection, url: str) -> bool:
    # In this order: another process may make the log, tables and id in one step, meanwhile.
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION and version == VERSION:
        return True
    if application == APPLICATION:
        msg = (
            f"{url}: the log has the format {version}, this rankloom reads {VERSION}; use the "
            "rankloom that wrote it"
        )
        raise StoreError(msg)
    if application or tables:
        msg = f"{url}: this SQLite file is no interaction log; give the log a file of its own"
        raise InvalidInputError(msg)
    return False


def _make(connection: sqlite3.Connection, url: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_log(connection, url):  # another process may have been first
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO log_meta VALUES ('log_id', ?)", (str(uuid4()),))
            connection.execute("INSERT INTO log_counters VALUES (0, 0)")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
