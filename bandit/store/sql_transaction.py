"""Reads and writes of one stored state within one transaction of SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.ids import NO_ID
from ..units.stored_rows import HEAD, KEY_BYTES
from .log_position import LogPosition
from .serialization import StoredSettings, read_reset, reset_bytes
from .transaction import StoredPerson, StoredUser, Transaction, Writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..units.user_resets import UserReset

_MAX_VALUES: Final = 500
"""Values of one IN (...), below the lowest limit of SQLite's builds."""

_FIELDS: Final = ("time", "user", "session")


class SqlTransaction(Transaction):
    """One transaction of a cursor that takes question marks; the caller begins and ends it.

    Where it writes, no other transaction may write the state meanwhile.
    """

    def __init__(self, cursor: Any, state: int) -> None:
        self._cursor, self._state = cursor, state

    def settings(self) -> StoredSettings | None:
        """Return the settings, None where nothing is stored."""
        data = self._value("SELECT head FROM fusion_states WHERE id = ?", self._state)
        return None if data is None else StoredSettings.from_bytes(data)

    def version(self) -> int:
        """Return a number that grows with every change but those of units."""
        return int(self._value("SELECT version FROM fusion_states WHERE id = ?", self._state) or 0)

    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""
        return int(self._value("SELECT change FROM fusion_states WHERE id = ?", self._state) or 0)

    def cursor_after(self, writes: Writes) -> int:
        """Return what `cursor` will be once this is written: nobody else writes meanwhile."""
        return self.cursor() + sum(value is not None for value in writes.units.values())

    def log_position(self) -> LogPosition | None:
        """Return how far a log has been followed, None where none has."""
        text = self._value("SELECT mark FROM fusion_states WHERE id = ?", self._state)
        return None if text is None else LogPosition.from_json(text)

    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""
        return bytes(self._value("SELECT closed FROM fusion_states WHERE id = ?", self._state))

    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""
        query = 'SELECT "user", sums FROM fusion_users WHERE state = ? AND sums IS NOT NULL'
        if keys is None:
            rows = self._cursor.execute(query, (self._state,)).fetchall()
        else:
            rows = list(self._select_in(f'{query} AND "user"', [_signed(key) for key in keys]))
        return {_unsigned(user): sums for user, sums in rows}

    def queries(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by query, of some queries or of all."""
        if keys is None:
            return read_queries(self._cursor, self._state, "closed")
        query = "SELECT query, closed FROM fusion_queries WHERE state = ? AND closed IS NOT NULL"
        rows = self._select_in(f"{query} AND query", [_signed(key) for key in keys])
        return {_unsigned(key): sums for key, sums in rows}

    def resets(self) -> dict[int, UserReset]:
        """Return the resets of all users that have one."""
        query = 'SELECT "user", wish FROM fusion_users WHERE state = ? AND wish IS NOT NULL'
        rows = self._cursor.execute(query, (self._state,))
        return {_unsigned(user): read_reset(reset) for user, reset in rows}

    def user(self, user: int) -> StoredUser:
        """Return everything of one user."""
        which = self._state, _signed(user)
        row = self._cursor.execute(
            'SELECT sums, wish FROM fusion_users WHERE state = ? AND "user" = ?', which
        ).fetchone()
        sums, reset = row or (None, None)
        units = self._cursor.execute(
            'SELECT value FROM fusion_units WHERE state = ? AND "user" = ? AND "user" <> 0', which
        )
        return StoredUser(sums, reset and read_reset(reset), [value for (value,) in units])

    def person(self, user: int, session: int, query: int = NO_ID) -> StoredPerson:
        """Return everything of one user and one session, and of a query; `NO_ID` stands for none.

        Of the query it is what was published last, not its closed sums.
        """
        served = None
        if query != NO_ID:
            served = self._value(
                "SELECT served FROM fusion_queries WHERE state = ? AND query = ?",
                *(self._state, _signed(query)),
            )
        if user == session == NO_ID:
            return StoredPerson(StoredUser(None, None, []), [], {}, served)
        stored = self.user(user)
        rows = self._cursor.execute(
            'SELECT "user", value FROM fusion_units '
            'WHERE state = ? AND session = ? AND session <> 0 AND ("user" = 0 OR "user" <> ?)',
            (self._state, _signed(session), _signed(user)),
        ).fetchall()
        resets = {} if stored.reset is None else {user: stored.reset}
        others = (
            'SELECT "user", wish FROM fusion_users WHERE state = ? AND wish IS NOT NULL AND "user"'
        )
        for other, reset in self._select_in(others, list({other for other, _ in rows})):
            resets[_unsigned(other)] = read_reset(reset)
        return StoredPerson(stored, [value for _, value in rows], resets, served)

    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""
        query = "SELECT key, value FROM fusion_units WHERE state = ? AND key"
        return dict(self._select_in(query, keys))

    def all_units(self) -> Iterator[bytes]:
        """Yield every unit; nothing else may be read of the transaction until the last one."""
        query = "SELECT value FROM fusion_units WHERE state = ?"
        for (value,) in self._cursor.execute(query, (self._state,)):
            yield value

    def units_before(self, time: int, limit: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""
        query = "SELECT key, value FROM fusion_units WHERE state = ? AND time < ? LIMIT ?"
        return dict(self._cursor.execute(query, (self._state, time, limit)))

    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor."""
        query = "SELECT value FROM fusion_units WHERE state = ? AND change > ?"
        return [value for (value,) in self._cursor.execute(query, (self._state, cursor))]

    def commit(self, writes: Writes | None) -> bool:
        """Write; the transaction holds the lock, so nothing that was read has changed."""
        if writes is None:
            return True
        if not writes.units_only:
            self._write_state(writes)
        if writes.units:
            self._write_units(writes)
        if writes.log_position is not None:
            self._cursor.execute(
                "UPDATE fusion_states SET mark = ? WHERE id = ?",
                (writes.log_position.to_json(), self._state),
            )
        return True

    def _write_state(self, writes: Writes) -> None:
        settings = None if writes.settings is None else writes.settings.to_bytes()
        self._cursor.execute(
            "UPDATE fusion_states SET version = version + 1, head = coalesce(?, head), "
            "closed = coalesce(?, closed) WHERE id = ?",
            (settings, writes.closed, self._state),
        )
        for column, rows in (
            ("sums", writes.users),
            ("wish", {user: reset_bytes(reset) for user, reset in writes.resets.items()}),
        ):
            self._cursor.executemany(
                f'INSERT INTO fusion_users (state, "user", {column}) VALUES (?, ?, ?) '  # noqa: S608
                f'ON CONFLICT (state, "user") DO UPDATE SET {column} = excluded.{column}',
                [(self._state, _signed(user), row) for user, row in rows.items()],
            )
        if None in writes.users.values():
            self._cursor.execute(
                "DELETE FROM fusion_users WHERE state = ? AND sums IS NULL AND wish IS NULL",
                (self._state,),
            )
        write_queries(self._cursor, self._state, "closed", writes.queries)

    def _write_units(self, writes: Writes) -> None:
        units, change = writes.units, self.cursor_after(writes)
        removed = [(self._state, key) for key, value in units.items() if value is None]
        self._cursor.executemany("DELETE FROM fusion_units WHERE state = ? AND key = ?", removed)
        values = [value for value in units.values() if value is not None]
        self._cursor.execute(
            "UPDATE fusion_states SET change = ? WHERE id = ?", (change, self._state)
        )
        parts = _parts(values)
        columns = (parts[name].view("<i8").tolist() for name in _FIELDS)
        rows = [
            (self._state, value[:KEY_BYTES], time, user, session, change, value)
            for value, time, user, session in zip(values, *columns, strict=True)
        ]
        self._cursor.executemany(
            'INSERT INTO fusion_units (state, key, time, "user", session, change, value) '
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (state, key) DO UPDATE SET "
            'time = excluded.time, "user" = excluded."user", session = excluded.session, '
            "change = excluded.change, value = excluded.value",
            rows,
        )

    def _select_in(self, query: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(keys), _MAX_VALUES):
            part = keys[start : start + _MAX_VALUES]
            placeholders = ", ".join("?" * len(part))
            yield from self._cursor.execute(f"{query} IN ({placeholders})", (self._state, *part))

    def _value(self, query: str, *values: Any) -> Any:
        row = self._cursor.execute(query, values).fetchone()
        return None if row is None else row[0]


def read_queries(cursor: Any, state: int, column: str) -> dict[int, bytes]:
    """Return the closed or the served sums of all queries."""
    rows = cursor.execute(
        f"SELECT query, {column} FROM fusion_queries "  # noqa: S608
        f"WHERE state = ? AND {column} IS NOT NULL",
        (state,),
    )
    return {_unsigned(query): sums for query, sums in rows}


def write_queries(cursor: Any, state: int, column: str, rows: Mapping[int, bytes | None]) -> None:
    """Replace the closed or the served sums of some queries; None removes one."""
    cursor.executemany(
        f"INSERT INTO fusion_queries (state, query, {column}) VALUES (?, ?, ?) "  # noqa: S608
        f"ON CONFLICT (state, query) DO UPDATE SET {column} = excluded.{column}",
        [(state, _signed(query), row) for query, row in rows.items()],
    )
    if None in rows.values():
        delete_empty_queries(cursor, state)


def delete_empty_queries(cursor: Any, state: int) -> None:
    """Remove queries that have neither closed nor served sums."""
    cursor.execute(
        "DELETE FROM fusion_queries WHERE state = ? AND closed IS NULL AND served IS NULL",
        (state,),
    )


def _parts(values: Sequence[bytes]) -> Any:
    """Return the fixed parts of stored units."""
    size = HEAD.itemsize
    return np.frombuffer(b"".join([value[:size] for value in values]), HEAD)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _unsigned(number: int) -> int:
    return number & (1 << 64) - 1
