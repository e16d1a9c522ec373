"""The interactions that a command reads: files, or the log behind a URL."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .._shared.postgres import is_postgres
from ..errors import InvalidInputError, UnreadableSourceError
from .options import option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..datasets import InteractionLog

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Interactions: Parquet, JSON lines or CSV (the latter two also .gz and .zst), "
        "folders, quoted globs, or URLs such as s3://bucket/log; or the URL of a log, "
        "sqlite:///log.db or postgresql://user@host/database.",
        show_default=False,
    ),
]
DEFAULT_NAMESPACE = "default"
Namespace = Annotated[
    str, option("--namespace", "NAME", "Namespace to read of a log.", show_default=True)
]


def is_log(file: str) -> bool:
    """Return whether a source is the URL of a log.

    >>> is_log("sqlite:///log.db"), is_log("postgresql:///shop"), is_log("log.parquet")
    (True, True, False)
    """
    return file.startswith("sqlite:") or is_postgres(file)


@contextmanager
def opened(files: list[str], namespace: str) -> Iterator[list[str] | InteractionLog]:
    """Yield the log behind a URL, which is closed at the end; files as they are."""
    urls = [file for file in files if is_log(file)]
    if not urls:
        yield files
        return
    from ..datasets import InteractionLog
    from ..datasets.log.connections import path_of

    if len(files) > 1:
        msg = f"FILE: expected the URL of a log alone, or files, got {', '.join(files)}"
        raise InvalidInputError(msg)
    if not is_postgres(urls[0]) and not Path(path_of(urls[0])).is_file():
        msg = f"FILE: there is no log at {urls[0]}"
        raise UnreadableSourceError(msg)
    with InteractionLog(urls[0], namespace=namespace) as log:
        yield log
