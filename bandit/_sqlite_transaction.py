"""Reads and writes of one stored state within one SQLite transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ._mark import Mark
from ._store_transaction import Transaction, UserPart, Writes
from ._store_wire import Head, read_wish, wish_bytes
from ._unit import LIVE
from ._wire import HEAD

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from ._epochs import Epoch

_MANY: Final = 500
"""Values of one IN (...), below the least limit of SQLite's builds."""

_FIELDS: Final = ("time", "user", "session")


class SqliteTransaction(Transaction):
    """One transaction of a cursor; the caller begins and ends it."""

    def __init__(self, cursor: sqlite3.Cursor, state: int) -> None:
        self._cursor, self._state = cursor, state

    def head(self) -> Head | None:
        """Return the settings, None where nothing is stored."""
        found = self._one("SELECT head FROM fusion_states WHERE id = ?", self._state)
        return None if found is None else Head.from_bytes(found)

    def version(self) -> int:
        """Return a number that grows with every change but those of units."""
        return int(self._one("SELECT version FROM fusion_states WHERE id = ?", self._state) or 0)

    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""
        return int(self._one("SELECT change FROM fusion_states WHERE id = ?", self._state) or 0)

    def mark(self) -> Mark | None:
        """Return how far a log has been followed, None where none has."""
        found = self._one("SELECT mark FROM fusion_states WHERE id = ?", self._state)
        return None if found is None else Mark.from_json(found)

    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""
        return bytes(self._one("SELECT closed FROM fusion_states WHERE id = ?", self._state))

    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""
        query = "SELECT user, sums FROM fusion_users WHERE state = ? AND sums IS NOT NULL"
        if keys is None:
            found = self._cursor.execute(query, (self._state,)).fetchall()
        else:
            found = list(self._among(f"{query} AND user", [_signed(key) for key in keys]))
        return {_unsigned(user): sums for user, sums in found}

    def wishes(self) -> dict[int, Epoch]:
        """Return the wishes of all users that have one."""
        query = "SELECT user, wish FROM fusion_users WHERE state = ? AND wish IS NOT NULL"
        found = self._cursor.execute(query, (self._state,))
        return {_unsigned(user): read_wish(wish) for user, wish in found}

    def user(self, user: int) -> UserPart:
        """Return all that is known of one user."""
        which = self._state, _signed(user)
        found = self._cursor.execute(
            "SELECT sums, wish FROM fusion_users WHERE state = ? AND user = ?", which
        ).fetchone()
        sums, wish = found or (None, None)
        units = self._cursor.execute(
            "SELECT value FROM fusion_units WHERE state = ? AND user = ? AND user <> 0", which
        )
        return UserPart(sums, wish and read_wish(wish), [value for (value,) in units])

    def session_units(self, session: int) -> list[tuple[int, bytes]]:
        """Return the live units of one session, each after the change that wrote it."""
        found = self._cursor.execute(
            "SELECT change, value FROM fusion_units "
            "WHERE state = ? AND session = ? AND session <> 0",
            (self._state, _signed(session)),
        )
        return [(change, value) for change, value in found if _parts([value])["flags"][0] & LIVE]

    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""
        return dict(
            self._among("SELECT key, value FROM fusion_units WHERE state = ? AND key", keys)
        )

    def all_units(self) -> list[bytes]:
        """Return every unit."""
        query = "SELECT value FROM fusion_units WHERE state = ?"
        return [value for (value,) in self._cursor.execute(query, (self._state,))]

    def units_before(self, time: int, most: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""
        query = "SELECT key, value FROM fusion_units WHERE state = ? AND time < ? LIMIT ?"
        return dict(self._cursor.execute(query, (self._state, time, most)))

    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor."""
        query = "SELECT value FROM fusion_units WHERE state = ? AND change > ?"
        return [value for (value,) in self._cursor.execute(query, (self._state, cursor))]

    def commit(self, writes: Writes | None) -> bool:
        """Write; the transaction holds the lock, so what was read still holds."""
        if writes is None:
            return True
        if not writes.units_only:
            self._write_state(writes)
        if writes.units:
            self._write_units(writes.units)
        if writes.mark is not None:
            self._cursor.execute(
                "UPDATE fusion_states SET mark = ? WHERE id = ?",
                (writes.mark.to_json(), self._state),
            )
        return True

    def _write_state(self, writes: Writes) -> None:
        head = None if writes.head is None else writes.head.to_bytes()
        self._cursor.execute(
            "UPDATE fusion_states SET version = version + 1, head = coalesce(?, head), "
            "closed = coalesce(?, closed) WHERE id = ?",
            (head, writes.closed, self._state),
        )
        for column, rows in (
            ("sums", writes.users),
            ("wish", {user: wish_bytes(wish) for user, wish in writes.wishes.items()}),
        ):
            self._cursor.executemany(
                f"INSERT INTO fusion_users (state, user, {column}) VALUES (?, ?, ?) "  # noqa: S608
                f"ON CONFLICT (state, user) DO UPDATE SET {column} = excluded.{column}",
                [(self._state, _signed(user), row) for user, row in rows.items()],
            )
        if None in writes.users.values():
            self._cursor.execute(
                "DELETE FROM fusion_users WHERE state = ? AND sums IS NULL AND wish IS NULL",
                (self._state,),
            )

    def _write_units(self, units: dict[bytes, bytes | None]) -> None:
        gone = [(self._state, key) for key, value in units.items() if value is None]
        self._cursor.executemany("DELETE FROM fusion_units WHERE state = ? AND key = ?", gone)
        kept = [value for value in units.values() if value is not None]
        change = self.cursor() + len(kept)
        self._cursor.execute(
            "UPDATE fusion_states SET change = ? WHERE id = ?", (change, self._state)
        )
        parts = _parts(kept)
        columns = (parts[name].view("<i8").tolist() for name in _FIELDS)
        rows = [
            (self._state, value[:16], time, user, session, change, value)
            for value, time, user, session in zip(kept, *columns, strict=True)
        ]
        self._cursor.executemany(
            "INSERT INTO fusion_units (state, key, time, user, session, change, value) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (state, key) DO UPDATE SET "
            "time = excluded.time, user = excluded.user, session = excluded.session, "
            "change = excluded.change, value = excluded.value",
            rows,
        )

    def _among(self, query: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(keys), _MANY):
            some = keys[start : start + _MANY]
            marks = ", ".join("?" * len(some))
            yield from self._cursor.execute(f"{query} IN ({marks})", (self._state, *some))

    def _one(self, query: str, *values: Any) -> Any:
        found = self._cursor.execute(query, values).fetchone()
        return None if found is None else found[0]


def _parts(values: Sequence[bytes]) -> Any:
    """Return the fixed parts of sealed units."""
    size = HEAD.itemsize
    return np.frombuffer(b"".join([value[:size] for value in values]), HEAD)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _unsigned(number: int) -> int:
    return number & (1 << 64) - 1
