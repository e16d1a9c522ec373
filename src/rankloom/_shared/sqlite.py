"""What all SQLite files share: their identity, closing after a fork, waiting, errors."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..errors import IntegrityError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether an error says that another connection holds the file."""
    code: Any = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def retry_while_locked(step: Callable[[], object], timeout: float) -> None:
    """Run a step, again and again while another connection holds the file, up to a timeout.

    For what SQLite's own timeout does not cover: the switch to write-ahead mode fails at once.
    """
    deadline = monotonic() + timeout
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or monotonic() > deadline:
                raise
            sleep(0.01)
        else:
            return


@contextmanager
def sqlite_errors(url: str, *, damaged: str, refused: str) -> Iterator[None]:
    """Raise `IntegrityError` or `StoreError` in place of SQLite's errors.

    `url`: named in every message. `damaged`: what to do about a damaged file. `refused`: what an
    error of another kind means for the caller.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code: Any = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _DAMAGED:
            msg = f"{url}: {error}. {damaged}"
            raise IntegrityError(msg) from error
        msg = f"{url}: {refused}: {error}"
        raise StoreError(msg) from error


def cannot_write(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file, or what SQLite keeps beside it, is read-only."""
    code: Any = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def open_read_only(path: Path, timeout: float) -> tuple[sqlite3.Connection, bool]:
    """Open a file on a volume that cannot be written; return whether SQLite ignores its changes.

    In write-ahead mode even readers need a file of shared memory. Where there is none and none can
    be made, the file is read as one that never changes: the caller must open it again when it does.

    Raises sqlite3.OperationalError if it cannot be read. Raises StoreError if a part of it lies in
    a write-ahead log that cannot be read.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    for immutable in (False, True):
        options: dict[str, Any] = {"timeout": timeout, "isolation_level": None, "uri": True}
        connection = sqlite3.connect(
            f"{uri}&immutable=1" if immutable else uri, check_same_thread=False, **options
        )
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if immutable or not cannot_write(error):
                raise
            if _has_content(path.with_name(f"{path.name}-wal")):
                msg = (
                    f"{path}: the volume is read-only, and the newest changes lie in a write-ahead "
                    "log that SQLite cannot read there. Open and close the file once where it can "
                    "be written, or give a copy of it"
                )
                raise StoreError(msg) from error
        else:
            return connection, immutable
    raise AssertionError


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def close_in(process: int, connection: sqlite3.Connection) -> None:
    """Close a connection in the process that opened it, and in no fork of it."""
    if process == os.getpid():
        connection.close()


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode, which differ between a file and one put in its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
