"""Sums of a set of units by global context, segment, user and query, and of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..base.sums import FAINTEST
from .credit import (
    BLOCKS,
    credit_shares,
    exposed_units,
    sum_groups,
    sum_linear,
    sum_users,
)
from .decayed_sums import DecayedSums
from .query_sums import layout, realigned_queries, sum_queries

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ..base.identity import Identity
    from ..base.rewards import RewardTable
    from ..units.record import UnitBatch
    from ..units.user_resets import UserResets
    from .layered_sums import LayeredSums


KINDS: Final = ("groups", "users", "linear", "queries")
"""What there are tables of; see `SumTables`."""


class SumTables(NamedTuple):
    """Decayed sums by context: groups are the global context and the segments."""

    groups: DecayedSums
    users: DecayedSums
    linear: DecayedSums
    queries: DecayedSums

    @classmethod
    def empty(cls, arms: int) -> SumTables:
        """Return the sums of nothing."""
        beta = DecayedSums.empty(BLOCKS * arms, squared=3 * arms)
        width = (arms + 1) * (arms + 2)
        return cls(beta, beta, DecayedSums.empty(width, squared=width), layout(arms).empty())

    def add(self, other: SumTables, half_life_us: float) -> SumTables:
        """Return the sums of both."""
        return SumTables(
            *(ours.add(theirs, half_life_us) for ours, theirs in zip(self, other, strict=True))
        )

    def realigned(self, codes: NDArray[np.int32], arms: int) -> SumTables:
        """Return the same sums for other arms; `codes` are the new places of the old ones."""
        return SumTables(
            realigned_beta(self.groups, codes, arms),
            realigned_beta(self.users, codes, arms),
            _realigned_linear(self.linear, codes, arms),
            realigned_queries(self.queries, codes, arms),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(part.nbytes for part in self)


def tables_of(
    batch: UnitBatch,
    identity: Identity,
    rewards: RewardTable,
    segment_ids: NDArray[np.uint64],
    arms: int,
    resets: UserResets,
    kinds: Collection[str] = KINDS,
    *,
    max_queries: int = 0,
) -> SumTables:
    """Add up units; tables of kinds that are not requested stay empty."""
    units = exposed_units(batch, identity, rewards.positive, rewards.negative)
    tables = SumTables.empty(arms)
    if not len(units.time):
        return tables
    half_life = identity.half_life_us
    if "linear" in kinds:
        tables = tables._replace(linear=sum_linear(units, segment_ids, arms, half_life))
    with_queries = "queries" in kinds and max_queries > 0
    if "groups" not in kinds and "users" not in kinds and not with_queries:
        return tables
    credit = credit_shares(units, shared=identity.credit == "shared")
    if "groups" in kinds:
        tables = tables._replace(groups=sum_groups(units, credit, segment_ids, arms, half_life))
    if "users" in kinds:
        counts = resets.counts(units.records["user"], units.time)
        tables = tables._replace(users=sum_users(units, credit, counts, arms, half_life))
    if with_queries:
        queries = sum_queries(units, credit, arms, half_life, max_queries)
        tables = tables._replace(queries=queries)
    return tables


def read_beta(
    table: DecayedSums | LayeredSums, keys: NDArray[np.uint64], time: int, half_life_us: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return N, S, F and Q, shape (keys, arms) each.

    Where sum w^2 e is below `FAINTEST`, all four are 0, for N^2 / Q, the effective number of
    exposures, would overflow.
    """
    values = table.at(keys, time, half_life_us)
    blocks = values.reshape(len(keys), BLOCKS, values.shape[1] // BLOCKS)
    N, S, F, Q = (blocks[:, i] for i in range(BLOCKS))
    faint = Q < FAINTEST
    for part in (N, S, F, Q):
        part[faint] = 0.0
    return N, S, F, Q


def read_linear(
    table: DecayedSums, keys: NDArray[np.uint64], time: int, half_life_us: float, arms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return A, shape (keys, arms + 1, arms + 1), and b, shape (keys, arms + 1)."""
    values = table.at(keys, time, half_life_us)
    width = arms + 1
    return values[:, : width * width].reshape(len(keys), width, width), values[:, width * width :]


def realigned_beta(table: DecayedSums, codes: NDArray[np.int32], arms: int) -> DecayedSums:
    """Return the same counts for other arms; `codes` are the new places of the old ones."""
    before = table.values.reshape(len(table), BLOCKS, len(codes))
    after = np.zeros((len(table), BLOCKS, arms))
    known = codes >= 0
    after[:, :, codes[known]] = before[:, :, known]
    flat = after.reshape(len(table), BLOCKS * arms)
    return DecayedSums(table.keys, table.times, flat, squared=3 * arms)


def _realigned_linear(table: DecayedSums, codes: NDArray[np.int32], arms: int) -> DecayedSums:
    """Move coordinates; the intercept stays the last one."""
    width = len(codes) + 1
    A = table.values[:, : width * width].reshape(len(table), width, width)
    b = table.values[:, width * width :]
    before = np.append(np.flatnonzero(codes >= 0), width - 1)
    after = np.append(codes[codes >= 0], arms)
    new_A = np.zeros((len(table), arms + 1, arms + 1))
    new_b = np.zeros((len(table), arms + 1))
    new_A[:, after[:, None], after[None, :]] = A[:, before[:, None], before[None, :]]
    new_b[:, after] = b[:, before]
    square = new_A.reshape(len(table), (arms + 1) ** 2)
    flat = np.concatenate([square, new_b], axis=1)
    return DecayedSums(table.keys, table.times, flat, squared=flat.shape[1])
