"""What a transaction over PostgreSQL reads and writes in another way than one over SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .sql_transaction import SqlTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE: Final = 5_000
"""Units of one page."""


class PostgresTransaction(SqlTransaction):
    """Reads many units page by page: the client holds all rows of an answer in memory."""

    def all_units(self) -> Iterator[bytes]:
        """Return every unit; they are read as they are taken, within the transaction."""
        key = b""
        while True:
            rows = self._cursor.execute(
                "SELECT key, value FROM fusion_units WHERE state = ? AND key > ? "  # noqa: S608
                f"ORDER BY key LIMIT {_AT_ONCE}",
                (self._state, key),
            ).fetchall()
            yield from (value for _, value in rows)
            if len(rows) < _AT_ONCE:
                return
            key = rows[-1][0]
