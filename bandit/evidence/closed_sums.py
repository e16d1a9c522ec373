"""What compaction has closed: sums without their units, and the sources they come from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...errors import StateMismatchError
from ..base.timestamps import NO_TIME

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .sum_tables import SumTables


@dataclass(frozen=True)
class ClosedSums:
    """Sums of closed units.

    Attributes
    ----------
    tables : SumTables
    compacted_before : int
        Rows before this time, in microseconds, are refused.
    units, unexposed, users_dropped, queries_dropped : int
        Units closed; those among them without a display; users and queries dropped beyond the
        most allowed.
    ledger : dict of str to int
        Sources whose evidence this state holds, with the number of compactions by each that are
        in the sums.
    """

    tables: SumTables
    compacted_before: int = NO_TIME
    units: int = 0
    unexposed: int = 0
    users_dropped: int = 0
    queries_dropped: int = 0
    ledger: dict[str, int] = field(default_factory=dict)

    def capped(self, max_users: int | None, max_queries: int) -> ClosedSums:
        """Drop the users and queries with the oldest evidence beyond a number of them."""
        users, queries = self.tables.users, self.tables.queries
        max_users = len(users) if max_users is None else max_users
        if len(users) <= max_users and len(queries) <= max_queries:
            return self
        newest = {"users": users.newest(max_users), "queries": queries.newest(max_queries)}
        return replace(
            self,
            tables=self.tables._replace(**newest),
            users_dropped=self.users_dropped + max(len(users) - max_users, 0),
            queries_dropped=self.queries_dropped + max(len(queries) - max_queries, 0),
        )

    def without_users(self, users: NDArray[np.uint64]) -> ClosedSums:
        """Drop the sums of some users."""
        if not len(users):
            return self
        others = self.tables.users.without(users)
        return replace(self, tables=self.tables._replace(users=others))

    @property
    def sources(self) -> frozenset[str]:
        """Sources whose closed sums are among these."""
        return frozenset(source for source, closed in self.ledger.items() if closed)

    def check(self, other: ClosedSums) -> None:
        """Raise `StateMismatchError` where the sums of one source would count twice."""
        both = self.ledger.keys() & other.ledger.keys()
        twice = {source for source in both if self.ledger[source] != other.ledger[source]}
        ours, theirs = self.sources, other.sources
        if not (ours <= theirs or theirs <= ours):
            twice |= ours & theirs
        if twice:
            raise StateMismatchError(_DIVERGED.format(source=min(twice)))

    def merge(self, other: ClosedSums, half_life_us: float) -> ClosedSums:
        """Return the sums of both, those of every source once; see `check`."""
        ours, theirs = self.sources, other.sources
        if theirs <= ours:
            chosen = self
        elif ours <= theirs:
            chosen = other
        else:
            chosen = ClosedSums(
                self.tables.add(other.tables, half_life_us),
                units=self.units + other.units,
                unexposed=self.unexposed + other.unexposed,
                users_dropped=self.users_dropped + other.users_dropped,
                queries_dropped=self.queries_dropped + other.queries_dropped,
            )
        return replace(
            chosen,
            compacted_before=max(self.compacted_before, other.compacted_before),
            ledger={**self.ledger, **other.ledger},
        )


_DIVERGED = (
    "merge: both states hold evidence of source {source!r}, at different stages of compaction, so "
    "its units would count twice. Compact in one place only, the state that the others are merged "
    "into, and let shards begin anew with fresh() after each merge; or learn the state again from "
    "the log"
)
