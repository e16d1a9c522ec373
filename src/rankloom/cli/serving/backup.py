"""`rankloom backup` and `rankloom restore`: copies of a log or a state in SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import InvalidInputError
from ..output import say

Url = Annotated[
    str, typer.Argument(metavar="URL", help="sqlite:///file.db of a log or of a state.")
]
Copy = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
Replace = Annotated[bool, typer.Option("--replace", help="Lose what the database holds now.")]


def backup(url: Url, file: Copy) -> None:
    """Copy a log or a state while the service goes on writing; the copy is checked.

    An older file of that name stays until the new one is whole. PostgreSQL has pg_dump:
    deploy/README.md shows how.

    **Example**: `rankloom backup sqlite:///log.db backups/log.db`
    """
    from ..._shared.sqlite_backup import back_up

    back_up(_path(url), file)
    say(f"{url} -> {file}, checked")


def restore(file: Copy, url: Url, *, replace: Replace = False) -> None:
    """Copy a backup into a log or a state, whole or not at all, while no service has it open.

    Restore the log alone, if you like: a state that has learnt rows which the log no longer holds
    is noticed at the next start, and learnt anew from the log.

    **Example**: `rankloom restore backups/log.db sqlite:///log.db --replace`
    """
    from ..._shared.sqlite_backup import restore as copy

    copy(file, _path(url), replace=replace)
    say(f"{file} -> {url}, checked")


def _path(url: str) -> Path:
    prefix, slashes, path = url.partition("sqlite:///")
    if prefix or not slashes or not path:
        msg = f"expected sqlite:///file.db, got {url!r}; PostgreSQL has pg_dump and pg_restore"
        raise InvalidInputError(msg)
    return Path(path)
