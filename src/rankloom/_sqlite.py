"""What all SQLite files share: which file it is, who may close it, and what errors say."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from .errors import IntegrityError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether an error says that somebody else holds the file."""
    code: Any = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def once_free(step: Callable[[], object], timeout: float) -> None:
    """Run a step as soon as nobody else holds the file.

    SQLite itself does not wait for others that turn to write-ahead mode.
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
def told(url: str, *, damaged: str, refused: str) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Parameters
    ----------
    url : str
        Named in every message.
    damaged : str
        What to do about a damaged file.
    refused : str
        What an error of another kind means for the caller.
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


def close_in(process: int, connection: sqlite3.Connection) -> None:
    """Close a connection in the process that opened it, and in no fork of it."""
    if process == os.getpid():
        connection.close()


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from others at the same path."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
