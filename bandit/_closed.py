"""What compaction has closed: sums without their units, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import StateMismatchError
from ._decay import NO_TIME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ._tables import Tables


@dataclass(frozen=True)
class Closed:
    """Sums of closed units.

    Attributes
    ----------
    tables : Tables
    line : int
        Rows before this time, in microseconds, are refused.
    units, unexposed, users_dropped : int
        Units closed; those among them that were never shown; users who made room for others.
    ledger : dict of str to int
        Sources whose evidence this state holds, with the number of compactions by each that are
        in the sums.
    """

    tables: Tables
    line: int = NO_TIME
    units: int = 0
    unexposed: int = 0
    users_dropped: int = 0
    ledger: dict[str, int] = field(default_factory=dict)

    def capped(self, most: int | None) -> Closed:
        """Drop the users with the oldest evidence beyond a number of them."""
        users = self.tables.users
        if most is None or len(users) <= most:
            return self
        return replace(
            self,
            tables=self.tables._replace(users=users.newest(most)),
            users_dropped=self.users_dropped + len(users) - most,
        )

    def without_users(self, users: NDArray[np.uint64]) -> Closed:
        """Drop what is known of some users."""
        kept = self.tables.users.without(users)
        return replace(self, tables=self.tables._replace(users=kept))

    @property
    def sources(self) -> frozenset[str]:
        """Sources of which closed sums are in here."""
        return frozenset(source for source, closed in self.ledger.items() if closed)

    def check(self, other: Closed) -> None:
        """Raise `StateMismatchError` where the sums of one source would count twice."""
        both = self.ledger.keys() & other.ledger.keys()
        twice = {source for source in both if self.ledger[source] != other.ledger[source]}
        ours, theirs = self.sources, other.sources
        if not (ours <= theirs or theirs <= ours):
            twice |= ours & theirs
        if twice:
            raise StateMismatchError(_DIVERGED.format(source=min(twice)))

    def merge(self, other: Closed, half_life_us: float) -> Closed:
        """Return the sums of both, those of every source once; see `check`."""
        ours, theirs = self.sources, other.sources
        if theirs <= ours:
            chosen = self
        elif ours <= theirs:
            chosen = other
        else:
            chosen = Closed(
                self.tables.add(other.tables, half_life_us),
                units=self.units + other.units,
                unexposed=self.unexposed + other.unexposed,
                users_dropped=self.users_dropped + other.users_dropped,
            )
        return replace(
            chosen, line=max(self.line, other.line), ledger={**self.ledger, **other.ledger}
        )


_DIVERGED = (
    "merge: both states hold evidence of source {source!r}, at different stages of compaction, so "
    "its units would count twice. Compact in one place only, the state that the others are merged "
    "into, and let shards begin anew with fresh() after each merge; or learn the state again from "
    "the log"
)
