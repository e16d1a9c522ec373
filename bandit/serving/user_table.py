"""Long-term sums of users, decayed to the time of a posterior when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.ids import stable_id
from ..base.sums import ArmSums, Sums
from ..evidence.sum_tables import read_beta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..evidence.decayed_sums import DecayedSums
    from ..evidence.layered_sums import LayeredSums


class UserTable(NamedTuple):
    """Sums by user at the time of a posterior; the evidence's own table, without a copy."""

    sums: LayeredSums
    arms: tuple[str, ...]
    time: int  # of the posterior, in microseconds
    half_life_us: float

    def find(self, user_id: str) -> ArmSums | None:
        """Return the sums of a user; None where nothing is known of the user."""
        found = self.sums.get(np.uint64(stable_id(user_id)))
        return None if found is None else ArmSums.of(self._read(found))

    def parts(self) -> Iterator[Sums]:
        """Yield the sums of all users, some at a time."""
        for part in self.sums.parts():
            yield self._read(part)

    def _read(self, part: DecayedSums) -> Sums:
        counts = read_beta(part, part.keys, self.time, self.half_life_us)
        return Sums(self.arms, None, self.time, *counts)
