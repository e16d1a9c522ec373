"""Long-term sums of users, decayed to the time of a posterior when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.ids import stable_id
from ..base.sums import ArmSums, Sums
from ..evidence.sum_tables import read_beta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..evidence.decayed_sums import DecayedSums

AT_ONCE: Final = 20_000
"""Users whose decayed sums are in memory at once."""


class UserTable(NamedTuple):
    """Sums by user at the time of a posterior; the evidence's own table, without a copy."""

    sums: DecayedSums
    arms: tuple[str, ...]
    time: int  # of the posterior, in microseconds
    half_life_us: float

    def find(self, user_id: str) -> ArmSums | None:
        """Return the sums of a user; None where nothing is known of the user."""
        key = np.uint64(stable_id(user_id))
        row = int(self.sums.keys.searchsorted(key))
        if row == len(self.sums) or self.sums.keys[row] != key:
            return None
        return ArmSums.of(self._read(row, row + 1))

    def parts(self) -> Iterator[Sums]:
        """Yield the sums of all users, some at a time."""
        for start in range(0, len(self.sums), AT_ONCE):
            yield self._read(start, start + AT_ONCE)

    def _read(self, start: int, end: int) -> Sums:
        part = self.sums.select(slice(start, end))
        counts = read_beta(part, part.keys, self.time, self.half_life_us)
        return Sums(self.arms, None, self.time, *counts)
