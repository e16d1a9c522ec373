"""Sums of a set of units by global context, segment and user, and of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ._contexts import FAINTEST, DecayedSums
from ._credit import (
    BLOCKS,
    UnitBatch,
    credits_of,
    shown_units,
    sum_groups,
    sum_linear,
    sum_users,
)
from ._sums import Sums

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ._epochs import Epochs
    from .identity import Identity
    from .rewards import RewardTable


KINDS: Final = ("groups", "users", "linear")
"""What there are tables of."""


class Tables(NamedTuple):
    """Decayed sums by context: groups are the global context and the segments."""

    groups: DecayedSums
    users: DecayedSums
    linear: DecayedSums

    @classmethod
    def empty(cls, arms: int) -> Tables:
        """Return the sums of nothing."""
        beta = DecayedSums.empty(BLOCKS * arms, squared=3 * arms)
        width = (arms + 1) * (arms + 2)
        return cls(beta, beta, DecayedSums.empty(width, squared=width))

    def add(self, other: Tables, half_life_us: float, kinds: Collection[str] = KINDS) -> Tables:
        """Return the sums of both, for the kinds asked for."""
        return self._replace(
            **{kind: getattr(self, kind).add(getattr(other, kind), half_life_us) for kind in kinds}
        )

    def realigned(self, codes: NDArray[np.int32], arms: int) -> Tables:
        """Return the same sums for other arms; `codes` are the new places of the old ones."""
        return Tables(
            _realigned_beta(self.groups, codes, arms),
            _realigned_beta(self.users, codes, arms),
            _realigned_linear(self.linear, codes, arms),
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
    epochs: Epochs,
    kinds: Collection[str] = KINDS,
) -> Tables:
    """Add up units; tables of other kinds than those asked for stay empty."""
    shown = shown_units(batch, identity, rewards.positive, rewards.negative)
    tables = Tables.empty(arms)
    if not len(shown.time):
        return tables
    half_life = identity.half_life_us
    if "linear" in kinds:
        tables = tables._replace(linear=sum_linear(shown, segment_ids, arms, half_life))
    if "groups" not in kinds and "users" not in kinds:
        return tables
    given = credits_of(shown, shared=identity.credit == "shared")
    if "groups" in kinds:
        tables = tables._replace(groups=sum_groups(shown, given, segment_ids, arms, half_life))
    if "users" in kinds:
        counts = epochs.counts(shown.records["user"], shown.time)
        tables = tables._replace(users=sum_users(shown, given, counts, arms, half_life))
    return tables


def read_beta(
    table: DecayedSums, keys: NDArray[np.uint64], time: int, half_life_us: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return N, S, F and Q, shape (keys, arms) each.

    Where sum w^2 e has all but vanished, so have the others: the effective number of exposures
    N^2 / Q stays a number.
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


def make_sums(
    tables: Tables,
    keys: NDArray[np.uint64],
    is_user: NDArray[np.bool_],
    *,
    arms: tuple[str, ...],
    contexts: tuple[tuple[str, ...], ...] | None,
    time: int,
    half_life_us: float,
) -> Sums:
    """Look contexts up; A and b are there if scores were logged and no context is a user."""
    N, S, F, Q = read_beta(
        tables.users if is_user.all() else tables.groups, keys, time, half_life_us
    )
    if is_user.any() and not is_user.all():
        of_users = read_beta(tables.users, keys[is_user], time, half_life_us)
        for part, values in zip((N, S, F, Q), of_users, strict=True):
            part[is_user] = values
    A = b = None
    if len(tables.linear) and not is_user.all():
        A, b = read_linear(tables.linear, keys, time, half_life_us, len(arms))
        A[is_user], b[is_user] = 0.0, 0.0
    return Sums(arms, contexts, time, N, S, F, Q, A, b)


def _realigned_beta(table: DecayedSums, codes: NDArray[np.int32], arms: int) -> DecayedSums:
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
    kept = np.append(np.flatnonzero(codes >= 0), width - 1)
    to = np.append(codes[codes >= 0], arms)
    after_A = np.zeros((len(table), arms + 1, arms + 1))
    after_b = np.zeros((len(table), arms + 1))
    after_A[:, to[:, None], to[None, :]] = A[:, kept[:, None], kept[None, :]]
    after_b[:, to] = b[:, kept]
    square = after_A.reshape(len(table), (arms + 1) ** 2)
    flat = np.concatenate([square, after_b], axis=1)
    return DecayedSums(table.keys, table.times, flat, squared=flat.shape[1])
