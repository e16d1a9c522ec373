"""What a backend must be able to do: read parts of one stored state, and write all or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._epochs import Epoch
    from ._mark import Mark
    from ._store_wire import Head


@dataclass
class Writes:
    """What one transaction changes; None in place of a row deletes it.

    Attributes
    ----------
    head, closed
        None: as they were.
    units : dict of bytes to bytes
        Sealed units by key.
    users : dict of int to bytes
        Closed sums by user.
    wishes : dict of int to Epoch
    mark : Mark or None
        How far the log has been followed; None: as it was.
    """

    head: Head | None = None
    closed: bytes | None = None
    units: dict[bytes, bytes | None] = field(default_factory=dict)
    users: dict[int, bytes | None] = field(default_factory=dict)
    wishes: dict[int, Epoch] = field(default_factory=dict)
    mark: Mark | None = None

    @property
    def units_only(self) -> bool:
        """Whether nothing but units and the mark changes."""
        return not (self.head or self.closed or self.users or self.wishes)


class UserPart(NamedTuple):
    """All that a store knows of one user."""

    closed: bytes | None
    wish: Epoch | None
    units: list[bytes]


class Transaction(ABC):
    """One consistent look at a stored state, and at most one change of it.

    Where reads and the write cannot be one step of the server, `commit` checks that what was read
    still holds, writes nothing if not, and returns False: the caller starts again. So whoever
    writes a unit must have read it in the same transaction, once.
    """

    @abstractmethod
    def head(self) -> Head | None:
        """Return the settings, None where nothing is stored."""

    @abstractmethod
    def version(self) -> int:
        """Return a number that grows with every change but those of units."""

    @abstractmethod
    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""

    @abstractmethod
    def mark(self) -> Mark | None:
        """Return how far a log has been followed, None where none has."""

    @abstractmethod
    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""

    @abstractmethod
    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""

    @abstractmethod
    def wishes(self) -> dict[int, Epoch]:
        """Return the wishes of all users that have one."""

    @abstractmethod
    def user(self, user: int) -> UserPart:
        """Return all that is known of one user."""

    @abstractmethod
    def session_units(self, session: int) -> list[tuple[int, bytes]]:
        """Return the live units of one session, each after the change that wrote it."""

    @abstractmethod
    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""

    @abstractmethod
    def all_units(self) -> list[bytes]:
        """Return every unit."""

    @abstractmethod
    def units_before(self, time: int, most: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""

    @abstractmethod
    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor; None where that is no longer known."""

    @abstractmethod
    def commit(self, writes: Writes | None) -> bool:
        """Write all or nothing; return False if what was read is no longer so."""
