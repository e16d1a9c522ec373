"""The file of an interaction log in this process: its connections, its writer, its errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..._shared.sqlite import close_in, file_identity, sqlite_errors
from ...errors import IntegrityError, InvalidInputError, StoreError
from .insert import Scopes, insert_group, keep_counters, last_numbers, touch
from .sqlite_dialect import SqliteDialect
from .tables import open_tables
from .view import too_slow
from .writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .answers import Recorded
    from .stored_row import PreparedRow

T = TypeVar("T")

_KEPT_READERS: Final = 8
_PROGRESS_STEPS: Final = 20_000
_DAMAGED: Final = "The log is damaged: restore a copy of the file"
_REFUSED: Final = "the log refused to work, and nothing of this call was written"


class LogConnections:
    """The shared part of all views of one log in one process.

    A reader uses a connection of its own while it reads; all changes go through the one writer.
    After a fork the child opens its own connections. See `LogDatabase` for what the methods do.
    """

    dialect = SqliteDialect()
    server = None

    def __init__(self, url: str, timeout: float) -> None:
        self.url, self.timeout = url, timeout
        self.path = path_of(url)
        self._start()

    def _start(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._log_id: str | None = None
        self._opener = _Opener(self.url, self.path, self.timeout)
        self._writer = Writer(self._opener)
        # A log that is not closed is written out and closed when it is collected.
        self._closer = weakref.finalize(
            self, _close_all, self._owner, self._writer, self._readers, self._lock
        )

    @property
    def writer(self) -> Writer:
        """Return this process's writer."""
        self._own()
        return self._writer

    @property
    def log_id(self) -> str:
        """Return the id that was made with the file."""
        self._own()
        if self._log_id is None:
            with self.reading(None) as cursor:
                row = cursor.execute("SELECT value FROM log_meta WHERE key = 'log_id'").fetchone()
                self._log_id = str(row[0])
        return self._log_id

    def close(self) -> None:
        """Write out what is queued and close every connection; the next call opens the file."""
        self._own()
        _close_all(self._owner, self._writer, self._readers, self._lock)
        self._opener.forget()
        self._log_id = None

    @contextmanager
    def reading(
        self, namespace: str | None, seconds: float | None = None
    ) -> Iterator[sqlite3.Cursor]:
        """Lend a cursor in one read transaction, interrupted after some seconds.

        Raises InvalidInputError if the time is over.
        """
        del namespace
        self._own()
        with self.errors():
            connection = self._borrow()
            try:
                if seconds is not None:
                    _limit(connection, monotonic() + seconds)
                connection.execute("BEGIN")
                yield connection.cursor()
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                    raise
                raise too_slow(seconds or 0.0) from None
            finally:
                self._give_back(connection)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        with sqlite_errors(self.url, damaged=_DAMAGED, refused=_REFUSED):
            yield

    def check(self) -> None:
        """Raise where the file is damaged, locked, read-only or no log."""
        with self.reading(None) as cursor:
            found = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            msg = f"{self.url}: {found}. {_DAMAGED}"
            raise IntegrityError(msg)
        self.writer.run(touch)

    @contextmanager
    def few_at_once(
        self, cursor: sqlite3.Cursor, sql: str, bound: Sequence[Any]
    ) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Lend the rows of a query: SQLite finds each when it is asked for."""
        yield cursor.execute(sql, bound)

    def last_numbers(self, cursor: sqlite3.Cursor, namespace: int) -> tuple[int, int]:
        """Return the highest numbers that any row and any deletion was given."""
        del namespace
        return last_numbers(cursor)

    def keep_counters(self, cursor: sqlite3.Cursor, namespace: int) -> None:
        """Note what the last row was given."""
        del namespace
        keep_counters(cursor)

    def announce(self, cursor: sqlite3.Cursor) -> None:
        """Do nothing: other processes of the machine look every now and then."""

    def drop_before(self, time: int) -> int:
        """Drop nothing: rows of all months share the file's pages."""
        del time
        return 0

    def _own(self) -> None:
        if self._owner != os.getpid():
            # SQLite forbids the use of a connection across a fork, its closing too; and the
            # parent's writer thread is not here. What it had queued is the parent's to write.
            self._closer.detach()
            self._inherited = (getattr(self, "_inherited", ()), self._readers, self._writer)
            self._start()

    def _borrow(self) -> sqlite3.Connection:
        self._opener.check()
        with self._lock:
            if self._readers:
                return self._readers.pop()
        connection = self._opener.open()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            raise
        with self._lock:
            if len(self._readers) < _KEPT_READERS:
                self._readers.append(connection)
                return
        connection.close()


class _Opener:
    """Opens connections to one file and no other.

    A file that is moved away or replaced is refused until it is back, or until `forget`: a new one
    in its place would silently hold only what is recorded from then on.
    """

    def __init__(self, url: str, path: Path, timeout: float) -> None:
        self.url, self.path, self.timeout = url, path, timeout
        self._identity: tuple[int, int] | None = None

    def open(self) -> sqlite3.Connection:
        """Return a new connection."""
        self.check()
        connection = _open(self.url, self.path, self.timeout)
        if self._identity is None:
            self._identity = file_identity(self.path)
        return connection

    def check(self) -> None:
        """Raise where the file that was opened does not lie at its path."""
        if self._identity is not None and file_identity(self.path) != self._identity:
            raise replaced(self.url)

    def forget(self) -> None:
        """Take whatever file there is next time."""
        self._identity = None

    def make_ready(self) -> None:
        """Do nothing: SQLite needs no thread."""

    def session(self) -> _Session:
        """Return a new connection to write by."""
        return _Session(self)

    def errors(self) -> Any:
        """Turn SQLite's errors into ours."""
        return sqlite_errors(self.url, damaged=_DAMAGED, refused=_REFUSED)


class _Session:
    """The writer's connection; see `WriteSession`."""

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener
        self._scopes: Scopes = {}
        self.connection = opener.open()

    def insert(self, rows: Sequence[PreparedRow]) -> list[Recorded]:
        """Store rows in one transaction and return their receipts."""
        return self.run(lambda cursor: insert_group(cursor, rows, self._scopes), None)

    def prepare(self, rows: Sequence[PreparedRow], earlier: None) -> None:
        """Prepare nothing: SQLite works in this thread."""

    def run(self, step: Callable[[sqlite3.Cursor], T], namespace: str | None) -> T:
        """Run a step in a transaction of its own."""
        del namespace
        self._opener.check()
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            result = step(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._scopes.clear()
            raise
        finally:
            cursor.close()
        return result

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def path_of(url: str) -> Path:
    """Return the path of a URL such as ``sqlite:///relative.db``.

    Raises InvalidInputError if it has another form.
    """
    scheme, _, rest = str(url).partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") and "\0" not in rest:
        return Path(rest[1:])
    msg = f"url: expected sqlite:///relative.db or sqlite:////absolute/path.db, got {url!r}"
    raise InvalidInputError(msg)


def replaced(url: str) -> StoreError:
    """Return the error for a file that is another now."""
    msg = (
        f"{url}: the file was removed or replaced. Put it back, or close the log (restart the "
        "service) to go on with what lies there"
    )
    return StoreError(msg)


def _open(url: str, path: Path, timeout: float) -> sqlite3.Connection:
    if not path.parent.is_dir():
        msg = f"{url}: there is no folder {path.parent}; make it first"
        raise StoreError(msg)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        open_tables(connection, url, timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _limit(connection: sqlite3.Connection, deadline: float) -> None:
    connection.set_progress_handler(lambda: monotonic() > deadline, _PROGRESS_STEPS)


def _close_all(
    process: int, writer: Writer, readers: list[sqlite3.Connection], lock: threading.Lock
) -> None:
    if process != os.getpid():
        return
    writer.close()
    with lock:
        while readers:
            close_in(process, readers.pop())
