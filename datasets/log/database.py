"""Where a log is kept: what its views and its writer need of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..._shared.postgres import FORM, is_postgres
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from ..._shared.postgres import PostgresServer
    from .dialect import Dialect
    from .writer import Writer


class LogDatabase(Protocol):
    """The shared part of all views of one log in one process.

    Readers go by connections of their own; all changes go through the one writer. Cursors take
    SQL with question marks, and see one namespace where the database can see to that.
    """

    url: str

    @property
    def dialect(self) -> Dialect:
        """What the database says in its own way."""
        ...

    @property
    def writer(self) -> Writer:
        """What writes for all views of this process."""
        ...

    @property
    def log_id(self) -> str:
        """The id that was made with the log."""
        ...

    @property
    def server(self) -> PostgresServer | None:
        """What processes of several machines meet at; None for a file."""
        ...

    def reading(
        self, namespace: str | None, seconds: float | None = None
    ) -> AbstractContextManager[Any]:
        """Lend a cursor in one read transaction, interrupted after some seconds.

        `namespace`: whose rows it sees; None for names and settings of all.

        Raises InvalidInputError if the time is over.
        """
        ...

    def few_at_once(
        self, cursor: Any, sql: str, bound: Sequence[Any]
    ) -> AbstractContextManager[Iterator[tuple[Any, ...]]]:
        """Lend the rows of a query without holding all of them in memory."""
        ...

    def last_numbers(self, cursor: Any, namespace: int) -> tuple[int, int]:
        """Return the highest numbers that any row and any deletion was given.

        Those of the namespace, or of the whole log, as the database counts.
        """
        ...

    def keep_counters(self, cursor: Any, namespace: int) -> None:
        """Note what rows and deletions were given, for rows are about to be deleted."""
        ...

    def drop_before(self, time: int) -> int:
        """Drop what can be dropped as a whole of all that happened before a time.

        Returns how many rows went; the rest has to be deleted.
        """
        ...

    def announce(self, cursor: Any) -> None:
        """Let other processes know, if there may be any, that a transaction changed something."""
        ...

    def close(self) -> None:
        """Write out what is queued and close every connection; the next call opens again."""
        ...

    def check(self) -> None:
        """Raise unless the log is whole and can be written."""
        ...


def open_database(url: str, timeout: float) -> LogDatabase:
    """Return the database of a URL; nothing is opened before the first use.

    Raises InvalidInputError if the URL has another form.
    """
    if is_postgres(url):
        from .postgres_database import PostgresLog

        return PostgresLog(url, timeout)
    if not str(url).startswith("sqlite:"):
        shown = str(url).partition("://")[0][:20]
        msg = (
            f"url: expected sqlite:///relative.db, sqlite:////absolute/path.db or {FORM}, got one "
            f"that begins with {shown!r}"
        )
        raise InvalidInputError(msg)
    from .connections import LogConnections

    return LogConnections(url, timeout)
