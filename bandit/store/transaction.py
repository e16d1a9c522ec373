"""What a backend must be able to do: read parts of one stored state, and write all or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..._shared.ids import NO_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..units.user_resets import UserReset
    from .log_position import LogPosition
    from .serialization import StoredSettings


@dataclass
class Writes:
    """What one transaction changes; None in place of a row deletes it.

    Attributes
    ----------
    settings, closed
        None: as they were.
    units : dict of bytes to bytes
        Open units by key, with their checksums.
    users : dict of int to bytes
        Closed sums by user.
    queries : dict of int to bytes
        Closed sums by query.
    resets : dict of int to UserReset
    log_position : LogPosition or None
        How far the log has been followed; None: as it was.
    """

    settings: StoredSettings | None = None
    closed: bytes | None = None
    units: dict[bytes, bytes | None] = field(default_factory=dict)
    users: dict[int, bytes | None] = field(default_factory=dict)
    queries: dict[int, bytes | None] = field(default_factory=dict)
    resets: dict[int, UserReset] = field(default_factory=dict)
    log_position: LogPosition | None = None

    @property
    def units_only(self) -> bool:
        """Whether nothing but units and the log position changes."""
        others = self.settings, self.closed, self.users, self.queries, self.resets
        return not any(others)


class StoredUser(NamedTuple):
    """All that a store holds of one user."""

    closed: bytes | None
    reset: UserReset | None
    units: list[bytes]


class StoredPerson(NamedTuple):
    """All that a store holds of one user and of one session, and what it serves for a query.

    Attributes
    ----------
    user : StoredUser
    other_units : list of bytes
        Units of the session that name another user or none; the rest are among the user's.
    resets : dict of int to UserReset
        Of the user, and of the users whom these units name.
    query : bytes or None
        The query's sums as they were published last.
    """

    user: StoredUser
    other_units: list[bytes]
    resets: dict[int, UserReset]
    query: bytes | None = None


class Transaction(ABC):
    """One consistent view of a stored state, and at most one change of it.

    Where reads and the write cannot be one step of the server, `commit` checks that what was read
    is still so, writes nothing if not, and returns False: the caller starts again. A unit that is
    written must therefore have been read in the same transaction.
    """

    @abstractmethod
    def settings(self) -> StoredSettings | None:
        """Return the settings, None where nothing is stored."""

    @abstractmethod
    def version(self) -> int:
        """Return a number that grows with every change but those of units."""

    @abstractmethod
    def cursor(self) -> int:
        """Return a number that grows with every change of a unit."""

    @abstractmethod
    def cursor_after(self, writes: Writes) -> int:
        """Return what `cursor` will be once this is written; `cursor` where others may be first."""

    @abstractmethod
    def log_position(self) -> LogPosition | None:
        """Return how far a log has been followed, None where none has."""

    @abstractmethod
    def closed(self) -> bytes:
        """Return the closed sums of the global context and the segments."""

    @abstractmethod
    def users(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by user, of some users or of all."""

    @abstractmethod
    def queries(self, keys: Sequence[int] | None = None) -> dict[int, bytes]:
        """Return closed sums by query, of some queries or of all."""

    @abstractmethod
    def resets(self) -> dict[int, UserReset]:
        """Return the resets of all users that have one."""

    @abstractmethod
    def user(self, user: int) -> StoredUser:
        """Return everything of one user."""

    @abstractmethod
    def person(self, user: int, session: int, query: int = NO_ID) -> StoredPerson:
        """Return everything of one user and one session, and of a query; `NO_ID` stands for none.

        Of the query it is what was published last, not its closed sums.
        """

    @abstractmethod
    def units(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return some units by key."""

    @abstractmethod
    def all_units(self) -> Iterable[bytes]:
        """Return every unit."""

    @abstractmethod
    def units_before(self, time: int, limit: int) -> dict[bytes, bytes]:
        """Return units first shown before a time by key, at most so many."""

    @abstractmethod
    def units_since(self, cursor: int) -> list[bytes] | None:
        """Return the units changed after a cursor; None where that is no longer known."""

    @abstractmethod
    def commit(self, writes: Writes | None) -> bool:
        """Write all or nothing; return False if what was read is no longer so."""
