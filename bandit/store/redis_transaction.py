"""Reads of one stored state in Redis, and a write that counts only while they are still right."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from ..._shared.ids import NO_ID
from ...errors import IntegrityError
from ..units.stored_rows import KEY_BYTES
from . import redis_scripts as scripts
from .log_position import LogPosition
from .serialization import OFFSETS, StoredSettings, read_reset, reset_bytes
from .transaction import StoredPerson, StoredUser, Transaction, Writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..units.user_resets import UserReset

_MAX_FIELDS: Final = 10_000
"""Fields of one HMGET, so that no answer holds the server up for long."""

_TIME: Final = OFFSETS["time"]
_LOST: Final = (
    "the server no longer holds all units that were written: keys were removed or evicted. Set "
    "maxmemory-policy to noeviction, clear the store and learn the state again from the log"
)


class SettingsCache:
    """The settings that were read last, and the version of the state that had them."""

    def __init__(self) -> None:
        self.last: tuple[bytes, StoredSettings | None] = b"", None


class RedisTransaction(Transaction):
    """Remembers what it read; `commit` has the server compare and write in one step."""

    def __init__(self, client: Any, prefix: bytes, cache: SettingsCache) -> None:
        self._client, self._prefix, self._cache = client, prefix, cache
        self._version, self._change = b"", 0
        self._settings: StoredSettings | None = None
        self._units: dict[bytes, bytes] = {}
        self._is_consistent = False
        self._position = b""

    def settings(self) -> StoredSettings | None:
        """Return the settings, None where nothing is stored."""
        self._begin()
        return self._settings

    def version(self) -> int:
        """Return a number that grows with every change but those of units."""
        return int(self._begin())

    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""
        self._begin()
        return self._change

    def cursor_after(self, writes: Writes) -> int:  # noqa: ARG002 - other stores need it
        """Return `cursor`: others may change other units until the commit."""
        return self.cursor()

    def log_position(self) -> LogPosition | None:
        """Return how far a log has been followed, None where none has."""
        self._begin()
        self._position = bytes(self._client.hget(self._key("head"), "mark") or b"")
        return LogPosition.from_json(self._position) if self._position else None

    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""
        self._begin()
        return bytes(self._client.hget(self._key("head"), "closed") or b"")

    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""
        return self._sums("users", keys)

    def queries(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by query, of some queries or of all."""
        return self._sums("queries", keys)

    def resets(self) -> dict[int, UserReset]:
        """Return the resets of all users that have one."""
        self._begin()
        rows = self._client.hgetall(self._key("wishes")).items()
        return {int.from_bytes(user, "little"): read_reset(reset) for user, reset in rows}

    def user(self, user: int) -> StoredUser:
        """Return everything of one user."""
        return self.person(user, NO_ID).user

    def person(self, user: int, session: int, query: int = NO_ID) -> StoredPerson:
        """Return everything of one user and one session, and of a query; `NO_ID` stands for none.

        Of the query it is what was published last, not its closed sums.
        """
        found = self._run(scripts.READ_PERSON, *map(_raw, (user, session, query)))
        version, closed, units, others, users_and_resets, served = found
        self._is_consistent = version == self._version
        self._units |= {value[:KEY_BYTES]: value for value in units}
        pairs = zip(users_and_resets[::2], users_and_resets[1::2], strict=True)
        resets = {int.from_bytes(each, "little"): read_reset(row) for each, row in pairs}
        stored = StoredUser(closed, resets.get(user), units)
        return StoredPerson(stored, others, resets, served)

    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""
        self._begin()
        units = self._get_many("units", keys)
        self._units |= units
        return units

    def all_units(self) -> list[bytes]:
        """Return every unit."""
        self._begin()
        self._units |= dict(self._scan("units"))
        return list(self._units.values())

    def units_before(self, time: int, limit: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""
        self._begin()
        units: dict[bytes, bytes] = {}
        for key, value in self._scan("units"):
            shown = int.from_bytes(value[_TIME : _TIME + 8], "little", signed=True)
            if shown < time:
                units[key] = value
            if len(units) >= limit:
                break
        self._units |= units
        return units

    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor; None where that is no longer known."""
        units = self._run(scripts.READ_CHANGES, cursor)
        return None if units is None else list(units)

    def commit(self, writes: Writes | None) -> bool:
        """Write all or nothing; return False if what was read is no longer so.

        Raises
        ------
        IntegrityError
            If the server no longer holds what was written.
        """
        if writes is None:
            return self._is_consistent or self._is_done(self._run(scripts.CHECK, self._begin()))
        return self._is_done(self._run(scripts.COMMIT, *self._arguments(writes)))

    def _arguments(self, writes: Writes) -> Iterator[Any]:
        version = int(self._begin())
        if not writes.units_only:
            # A start at random distinguishes a new state from one that was cleared.
            version = version + 1 if version else random.getrandbits(48)
        yield from (self._begin(), version)
        yield b"" if writes.settings is None else writes.settings.to_bytes()
        yield writes.closed or b""
        yield len(writes.units)
        for key, value in writes.units.items():
            yield from (key, self._units.get(key, b""), value or b"")
        yield len(writes.users)
        for user, row in writes.users.items():
            yield from (_raw(user), row or b"")
        yield len(writes.queries)
        for query, row in writes.queries.items():
            yield from (_raw(query), row or b"")
        yield len(writes.resets)
        for user, reset in writes.resets.items():
            yield from (_raw(user), reset_bytes(reset))
        yield self._position
        yield b"" if writes.log_position is None else writes.log_position.to_json()

    def _is_done(self, answer: bytes) -> bool:
        if answer == b"lost":
            raise IntegrityError(_LOST)
        return answer == b"ok"

    def _begin(self) -> bytes:
        """Read version and cursor once, and the settings unless they are those of the cache."""
        if self._version:
            return self._version
        name, (cached, settings) = self._key("head"), self._cache.last
        version, change = self._client.hmget(name, "version", "change")
        if version is None or version != cached:
            version, change, raw = self._client.hmget(name, "version", "change", "head")
            settings = None if raw is None else StoredSettings.from_bytes(raw)
            self._cache.last = version or b"0", settings
        self._version, self._change, self._settings = version or b"0", int(change or 0), settings
        return self._version

    def _sums(self, name: str, keys: Sequence[int] | None) -> dict[int, bytes]:
        self._begin()
        if keys is None:
            rows = dict(self._scan(name))
        else:
            rows = self._get_many(name, [_raw(key) for key in keys])
        return {int.from_bytes(key, "little"): sums for key, sums in rows.items()}

    def _run(self, script: str, *arguments: Any) -> Any:
        self._begin()
        return self._client.register_script(script)([self._prefix], arguments)

    def _get_many(self, name: str, fields: Sequence[bytes]) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for start in range(0, len(fields), _MAX_FIELDS):
            part = fields[start : start + _MAX_FIELDS]
            values = self._client.hmget(self._key(name), part)
            rows.update((f, value) for f, value in zip(part, values, strict=True) if value)
        return rows

    def _scan(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._client.hscan_iter(self._key(name), count=1_000))

    def _key(self, name: str) -> bytes:
        return self._prefix + name.encode()


def _raw(number: int) -> bytes:
    return number.to_bytes(8, "little")
