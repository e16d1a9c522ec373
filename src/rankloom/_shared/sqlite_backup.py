"""Copies of SQLite files while they are in use, checked before they count."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import IntegrityError, InvalidInputError, StoreError, UnreadableSourceError
from .atomic_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES: Final = 4_096
"""Pages that are copied in one step: other processes write between two."""

LOCK_SECONDS: Final = 5.0


def back_up(source: str | Path, target: str | Path) -> None:
    """Copy a database that other processes may be writing to; the copy is whole, or not there.

    SQLite's online backup: https://sqlite.org/backup.html. The copy is checked before it takes its
    name.

    Raises
    ------
    UnreadableSourceError
        If there is no such file.
    IntegrityError
        If the copy does not pass SQLite's check: then the source is damaged.
    StoreError
        If the copy cannot be written.
    """
    if not Path(source).is_file():
        msg = f"{str(source)!r}: there is no such file"
        raise UnreadableSourceError(msg)

    def copy(name: str) -> None:
        with _opened(source, "ro") as taken, _opened(name, "rwc") as written:
            taken.backup(written, pages=PAGES)
            # One file, without a log beside it, is easier to carry away.
            written.execute("PRAGMA journal_mode = DELETE")
            _check(written, source)

    try:
        write_whole(Path(target), copy)
    except (OSError, sqlite3.Error) as error:
        msg = f"{str(source)!r} cannot be backed up to {str(target)!r}: {error}"
        raise StoreError(msg) from error


def restore(backup: str | Path, target: str | Path, *, replace: bool = False) -> None:
    """Copy a backup into a database, in one transaction, unless a process has that open.

    Raises
    ------
    UnreadableSourceError
        If there is no such backup.
    InvalidInputError
        If there is a database already, and `replace` is false.
    IntegrityError
        If the backup is damaged; the database is as it was.
    StoreError
        If another process has the database open, or it cannot be written.
    """
    if not Path(backup).is_file():
        msg = f"{str(backup)!r}: there is no such file"
        raise UnreadableSourceError(msg)
    if Path(target).exists() and not replace:
        msg = f"{str(target)!r} exists already; give --replace to lose what it holds"
        raise InvalidInputError(msg)
    try:
        with _opened(backup, "ro") as taken:
            _check(taken, backup)
            with _opened(target, "rwc") as written:
                # Of a database that is open elsewhere, SQLite gives nobody the whole.
                written.execute("PRAGMA locking_mode = EXCLUSIVE")
                written.execute("BEGIN EXCLUSIVE")
                written.execute("COMMIT")
                taken.backup(written)
                _check(written, backup)
    except sqlite3.OperationalError as error:
        msg = f"{str(target)!r} cannot be restored: {error}. Stop the service that has it open"
        raise StoreError(msg) from error
    except (OSError, sqlite3.Error) as error:
        msg = f"{str(target)!r} cannot be restored from {str(backup)!r}: {error}"
        raise IntegrityError(msg) from error


@contextlib.contextmanager
def _opened(path: str | Path, mode: str) -> Iterator[sqlite3.Connection]:
    name = f"{Path(path).absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(name, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
    with contextlib.closing(connection):
        yield connection


def _check(connection: sqlite3.Connection, source: str | Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        msg = f"{str(source)!r} is damaged: {found}"
        raise IntegrityError(msg)
