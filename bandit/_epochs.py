"""From when on a user's evidence counts for the user: resets and opt-outs that merges keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER: Final = (1 << 63) - 1
"""The epoch of a user who opted out: no unit is that late."""


class Epoch(NamedTuple):
    """A user's wish: decided at a time, units from `since` on count. The latest wish holds."""

    decided: int
    since: int


class Epochs:
    """The latest wish of every user who has one."""

    def __init__(self, wishes: dict[int, Epoch] | None = None) -> None:
        self.wishes: dict[int, Epoch] = dict(wishes or {})

    def __len__(self) -> int:
        return len(self.wishes)

    def set(self, user: int, epoch: Epoch) -> bool:
        """Keep the higher of two wishes; return whether anything changed."""
        if epoch <= self.wishes.get(user, (epoch.decided - 1, 0)):
            return False
        self.wishes[user] = epoch
        return True

    def since(self, user: int) -> int | None:
        """Return from when on a user's units count; None: all of them do."""
        wish = self.wishes.get(user)
        return None if wish is None else wish.since

    def counts(self, users: NDArray[np.uint64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which units count for their users."""
        if not self.wishes:
            return np.ones(len(users), np.bool_)
        keys = np.array(sorted(self.wishes), np.uint64)
        since = np.array([self.wishes[int(key)].since for key in keys], np.int64)
        at = np.minimum(np.searchsorted(keys, users), len(keys) - 1)
        counted: NDArray[np.bool_] = (keys[at] != users) | (times >= since[at])
        return counted

    def newer_than(self, other: Epochs) -> NDArray[np.uint64]:
        """Return the users of whom this knows a later wish."""
        found = [u for u, wish in self.wishes.items() if wish != other.wishes.get(u)]
        later = [u for u in found if wish_or_none(other, u) < self.wishes[u]]
        return np.array(later, np.uint64)


def wish_or_none(epochs: Epochs, user: int) -> tuple[int, int]:
    """Return a wish, or one that precedes all."""
    return epochs.wishes.get(user, (-(1 << 62), -(1 << 62)))
