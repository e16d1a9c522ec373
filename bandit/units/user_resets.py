"""From when on a user's evidence counts for the user: resets and opt-outs that merges keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NEVER: Final = (1 << 63) - 1
"""`since` of a user who opted out: no unit is that late."""


class UserReset(NamedTuple):
    """A reset or an opt-out: decided at a time, units from `since` on count; the latest holds."""

    decided: int
    since: int


class UserResets:
    """The latest reset of every user who has one.

    Attributes
    ----------
    by_user : dict of int to UserReset
    changes : int
        How often one was set: what was counted before is not counted again where it is the same.
    """

    def __init__(self, by_user: Mapping[int, UserReset] | None = None) -> None:
        self.by_user: dict[int, UserReset] = dict(by_user or {})
        self.changes = 0

    def __len__(self) -> int:
        return len(self.by_user)

    def set(self, user: int, reset: UserReset) -> bool:
        """Keep the later of two resets; return whether anything changed."""
        before = self.by_user.get(user)
        if before is not None and reset <= before:
            return False
        self.by_user[user] = reset
        self.changes += 1
        return True

    def since(self, user: int) -> int | None:
        """Return from when on a user's units count; None: all of them do."""
        reset = self.by_user.get(user)
        return None if reset is None else reset.since

    def counts(self, users: NDArray[np.uint64], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which units count for their users."""
        if not self.by_user:
            return np.ones(len(users), np.bool_)
        keys = np.array(sorted(self.by_user), np.uint64)
        since = np.array([self.by_user[int(key)].since for key in keys], np.int64)
        at = np.minimum(np.searchsorted(keys, users), len(keys) - 1)
        counted: NDArray[np.bool_] = (keys[at] != users) | (times >= since[at])
        return counted

    def newer_than(self, other: UserResets) -> NDArray[np.uint64]:
        """Return the users of whom this holds a later reset."""
        newer = [
            user
            for user, reset in self.by_user.items()
            if user not in other.by_user or reset > other.by_user[user]
        ]
        return np.array(newer, np.uint64)
