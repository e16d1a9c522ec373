"""The live units of one session, in arrays that never change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ..base.timestamps import NO_TIME
from ..units.record import hash_keys, joined_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..units.unit_table import UnitTable

SESSION_LENGTH: Final = 60 * 60 * 1_000_000
"""Microseconds for which a live unit moves its own session."""

_NONE: Final = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class SessionUnits:
    """What one session has shown so far. It never changes: a later unit makes another one.

    So a reader in another thread keeps it as it was, without a lock, and so does a posterior that
    was computed when the session was like this.
    """

    arms: tuple[str, ...]  # what the codes of arms and the columns of contributions mean
    # shape (n,): every live unit once; ``scored`` is the row of its contributions
    records: NDArray[np.void]
    contributions: NDArray[np.float64]  # shape (m, arms): served weight x score, NaN where unknown
    newest: int  # latest time of a unit

    @classmethod
    def of(
        cls,
        arms: tuple[str, ...],
        records: NDArray[np.void],
        contributions: NDArray[np.float64],
    ) -> SessionUnits:
        """Return units in arrays of their own, without contributions that none of them names."""
        records = records.copy()
        scored = np.flatnonzero(records["scored"] >= 0) if len(contributions) else _NONE
        rows = records["scored"][scored]
        contributions = contributions[rows] if len(rows) else _none_of(contributions.shape[1])
        records["scored"][scored] = np.arange(len(scored))
        return cls(arms, records, contributions, int(records["time"].max(initial=NO_TIME)))

    @classmethod
    def read(
        cls, units: UnitTable, at: NDArray[np.intp] | slice, arms: tuple[str, ...]
    ) -> SessionUnits:
        """Return some units of a table as they are now; `arms` are the table's."""
        return cls.of(arms, units.records[at], units.contributions)

    def __len__(self) -> int:
        return len(self.records)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> SessionUnits:
        """Return some of the units."""
        return self.of(self.arms, self.records[chosen], self.contributions)

    def without(self, records: NDArray[np.void]) -> SessionUnits:
        """Return the session without the units that have the keys of some records."""
        gone = self.has(records)
        return self.take(~gone) if gone.any() else self

    def with_units(self, others: SessionUnits) -> SessionUnits:
        """Return the session with units of the same arms, in place of those of the same keys."""
        return self.joined([self.without(others.records), others])

    def has(self, records: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which of the units have the key of one of some records."""
        if len(records) == 1:  # a live event; many times as fast
            same = self.records["execution"] == records["execution"]
            return np.asarray(same & (self.records["document"] == records["document"]))
        keys = hash_keys(self.records["execution"], self.records["document"])
        return np.isin(keys, hash_keys(records["execution"], records["document"]))

    @classmethod
    def joined(cls, parts: Sequence[SessionUnits]) -> SessionUnits:
        """Return the units of several sessions of the same arms, one or more."""
        records = joined_records([(part.records, len(part.contributions)) for part in parts])
        some = [part.contributions for part in parts if len(part.contributions)]
        contributions = np.concatenate(some) if some else parts[0].contributions
        return cls(parts[0].arms, records, contributions, max(part.newest for part in parts))


@cache
def _none_of(arms: int) -> NDArray[np.float64]:
    """Return no contributions; one array for all sessions, each of its own would take 128 bytes."""
    return np.empty((0, arms))
