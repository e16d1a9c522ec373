"""Reads of one stored state in Redis, and a write that holds only if they still do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from ..errors import IntegrityError
from . import _redis_scripts as scripts
from ._mark import Mark
from ._store_transaction import Transaction, UserPart, Writes
from ._store_wire import OFFSETS, Head, read_wish, wish_bytes
from ._wire import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._epochs import Epoch

_MANY: Final = 10_000
_TIME: Final = OFFSETS["time"]
_LOST: Final = (
    "the server no longer holds all units that were written: keys were removed or evicted. Set "
    "maxmemory-policy to noeviction, clear the store and learn the state again from the log"
)


class Known:
    """The settings that were read last, with the version under which they stood."""

    def __init__(self) -> None:
        self.last: tuple[bytes, Head | None] = b"", None


class RedisTransaction(Transaction):
    """Remembers what it read; `commit` has the server compare and write in one step."""

    def __init__(self, client: Any, prefix: bytes, known: Known) -> None:
        self._client, self._prefix, self._known = client, prefix, known
        self._version, self._change = b"", 0
        self._head: Head | None = None
        self._seen: dict[bytes, bytes] = {}
        self._held = False
        self._mark = b""

    def head(self) -> Head | None:
        """Return the settings, None where nothing is stored."""
        self._look()
        return self._head

    def version(self) -> int:
        """Return a number that grows with every change but those of units."""
        return int(self._look())

    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""
        self._look()
        return self._change

    def mark(self) -> Mark | None:
        """Return how far a log has been followed, None where none has."""
        self._look()
        self._mark = bytes(self._client.hget(self._key("head"), "mark") or b"")
        return Mark.from_json(self._mark) if self._mark else None

    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""
        self._look()
        return bytes(self._client.hget(self._key("head"), "closed") or b"")

    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""
        self._look()
        if keys is None:
            found = dict(self._scan("users"))
        else:
            found = self._many("users", [_raw(key) for key in keys])
        return {int.from_bytes(user, "little"): sums for user, sums in found.items()}

    def wishes(self) -> dict[int, Epoch]:
        """Return the wishes of all users that have one."""
        self._look()
        found = self._client.hgetall(self._key("wishes")).items()
        return {int.from_bytes(user, "little"): read_wish(wish) for user, wish in found}

    def user(self, user: int) -> UserPart:
        """Return all that is known of one user."""
        version, closed, wish, found = self._at_once(scripts.READ_USER, _raw(user))
        self._held = version == self._version
        units = [value for value in found if value]
        self._seen |= {value[:KEY_BYTES]: value for value in units}
        return UserPart(closed, None if wish is None else read_wish(wish), units)

    def session_units(self, session: int) -> list[tuple[int, bytes]]:
        """Return the live units of one session, each after the change that wrote it."""
        version, found = self._at_once(scripts.READ_SESSION, _raw(session))
        self._held = version == self._version
        return [(int(c), value) for c, value in zip(found[::2], found[1::2], strict=True)]

    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""
        self._look()
        found = self._many("units", keys)
        self._seen |= found
        return found

    def all_units(self) -> list[bytes]:
        """Return every unit."""
        self._look()
        self._seen |= dict(self._scan("units"))
        return list(self._seen.values())

    def units_before(self, time: int, most: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""
        self._look()
        found: dict[bytes, bytes] = {}
        for key, value in self._scan("units"):
            shown = int.from_bytes(value[_TIME : _TIME + 8], "little", signed=True)
            if shown < time:
                found[key] = value
            if len(found) >= most:
                break
        self._seen |= found
        return found

    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor; None where that is no longer known."""
        found = self._at_once(scripts.READ_CHANGES, cursor)
        return None if found is None else list(found)

    def commit(self, writes: Writes | None) -> bool:
        """Write all or nothing; return False if what was read is no longer so.

        Raises
        ------
        IntegrityError
            If the server no longer holds what was written.
        """
        if writes is None:
            return self._held or self._done(self._at_once(scripts.CHECK, self._look()))
        return self._done(self._at_once(scripts.COMMIT, *self._arguments(writes)))

    def _arguments(self, writes: Writes) -> Iterator[Any]:
        version = int(self._look())
        if not writes.units_only:
            # A start at random tells a state that was cleared and made anew from the one before.
            version = version + 1 if version else random.getrandbits(48)
        yield from (self._look(), version)
        yield b"" if writes.head is None else writes.head.to_bytes()
        yield writes.closed or b""
        yield len(writes.units)
        for key, value in writes.units.items():
            yield from (key, self._seen.get(key, b""), value or b"")
        yield len(writes.users)
        for user, row in writes.users.items():
            yield from (_raw(user), row or b"")
        yield len(writes.wishes)
        for user, wish in writes.wishes.items():
            yield from (_raw(user), wish_bytes(wish))
        yield self._mark
        yield b"" if writes.mark is None else writes.mark.to_json()

    def _done(self, answer: bytes) -> bool:
        if answer == b"lost":
            raise IntegrityError(_LOST)
        return answer == b"ok"

    def _look(self) -> bytes:
        """Read version and cursor once, the settings where they are not those known already."""
        if self._version:
            return self._version
        name, (known, head) = self._key("head"), self._known.last
        version, change = self._client.hmget(name, "version", "change")
        if version is None or version != known:
            version, change, raw = self._client.hmget(name, "version", "change", "head")
            head = None if raw is None else Head.from_bytes(raw)
            self._known.last = version or b"0", head
        self._version, self._change, self._head = version or b"0", int(change or 0), head
        return self._version

    def _at_once(self, script: str, *arguments: Any) -> Any:
        self._look()
        return self._client.register_script(script)([self._prefix], arguments)

    def _many(self, name: str, fields: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for start in range(0, len(fields), _MANY):
            some = fields[start : start + _MANY]
            values = self._client.hmget(self._key(name), some)
            found.update((f, value) for f, value in zip(some, values, strict=True) if value)
        return found

    def _scan(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._client.hscan_iter(self._key(name), count=1_000))

    def _key(self, name: str) -> bytes:
        return self._prefix + name.encode()


def _raw(number: int) -> bytes:
    return number.to_bytes(8, "little")
