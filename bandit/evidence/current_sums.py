"""Sums of everything by kind of context, as they are now, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..base.sums import Sums
from .credit import BLOCKS
from .layered_sums import LayeredSums
from .query_sums import layout
from .sum_tables import read_beta, read_linear

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ..units.array_memory import ArrayMemory
    from .decayed_sums import DecayedSums
    from .sum_tables import SumTables


class CurrentSums(NamedTuple):
    """Decayed sums by context, as `SumTables`; those of users in layers, for they are the most."""

    groups: DecayedSums
    users: LayeredSums
    linear: DecayedSums
    queries: DecayedSums

    @classmethod
    def of(cls, tables: SumTables, memory: ArrayMemory) -> CurrentSums:
        """Return the same sums; `memory`: where those of users lie once there are many."""
        return cls(**{**tables._asdict(), "users": LayeredSums.of(tables.users, memory)})

    def exchange(
        self, added: SumTables, taken: SumTables, half_life_us: float, kinds: Collection[str]
    ) -> CurrentSums:
        """Return the sums with others, and without some that are in them, for the kinds requested.

        What is exchanged is added up first, so that the sums are copied once.

        Raises
        ------
        StoreError
            If the disk is full.
        """
        parts: dict[str, DecayedSums] = {}
        for kind in set(kinds) - {"users"}:
            ours, new, old = (getattr(each, kind) for each in (self, added, taken))
            parts[kind] = ours.add(new.add(old.negated(), half_life_us), half_life_us)
            if len(old) and kind == "groups":
                parts[kind] = parts[kind].without_rounding(old, half_life_us)
        if "queries" in parts and len(taken.queries):
            at = np.searchsorted(parts["queries"].keys, taken.queries.keys)
            cells = np.ix_(at, layout(self.groups.values.shape[1] // BLOCKS).counts.ravel())
            parts["queries"].values[cells] = np.maximum(parts["queries"].values[cells], 0.0)
        users = self.users
        if "users" in kinds:
            users = users.exchange(added.users, taken.users, half_life_us)
        return self._replace(**parts, users=users)

    def read(
        self,
        keys: NDArray[np.uint64],
        is_user: NDArray[np.bool_],
        *,
        arms: tuple[str, ...],
        contexts: tuple[tuple[str, ...], ...] | None,
        time: int,
        half_life_us: float,
    ) -> Sums:
        """Look contexts up; A and b are None without logged scores, or if all are users."""
        settings = time, half_life_us
        N, S, F, Q = read_beta(self.users if is_user.all() else self.groups, keys, *settings)
        if is_user.any() and not is_user.all():
            of_users = read_beta(self.users, keys[is_user], *settings)
            for part, values in zip((N, S, F, Q), of_users, strict=True):
                part[is_user] = values
        A = b = None
        if len(self.linear) and not is_user.all():
            A, b = read_linear(self.linear, keys, *settings, len(arms))
            A[is_user], b[is_user] = 0.0, 0.0
        return Sums(arms, contexts, time, N, S, F, Q, A, b)
