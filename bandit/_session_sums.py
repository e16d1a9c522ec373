"""Sums of a session's few units, of all contexts that are asked for at once.

They are those that `tables_of` and `make_sums` give; these take twenty times as long for a few
units, because every table is made, searched and moved in time for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._context_keys import keys_of
from ._contexts import FAINTEST, GLOBAL
from ._decay import decay
from ._sums import Sums
from ._unit import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._context_keys import Context
    from ._epochs import Epochs
    from ._session_units import SessionUnits
    from .identity import Identity
    from .rewards import RewardTable

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SessionSums:
    """What one session says of itself.

    Attributes
    ----------
    arms : tuple of str
    units : int
        Live, open units of the last hour.
    N, S, F : ndarray of float64, shape (arms,)
        Their sums, as in `Sums`.
    own : Sums or None
        What these units contribute to the sums of the contexts that were asked for, as these
        stood when those were read: subtract it before the posterior is formed, and nothing is
        counted twice. None where they contribute nothing.
    """

    arms: tuple[str, ...]
    units: int
    N: Floats
    S: Floats
    F: Floats
    own: Sums | None = None


class Meaning(NamedTuple):
    """What the codes of a session's units are worth, and whose units count for them."""

    identity: Identity
    rewards: RewardTable
    epochs: Epochs


def session_sums(
    session: SessionUnits,
    meaning: Meaning,
    *,
    since: int,
    contexts: Sequence[Context],
    time: int,
    revision: int | None,
) -> SessionSums:
    """Return what a session says, and what of it is counted in some contexts.

    Parameters
    ----------
    session : SessionUnits
    meaning : Meaning
    since : int
        Units first shown after it count.
    contexts, time, revision
        As of `Evidence.session_sums`.
    """
    now, then = _chosen(session, since, revision)
    if not len(now):
        zeros = np.zeros(len(session.arms))
        return SessionSums(session.arms, 0, zeros, zeros, zeros)
    keys, is_user = keys_of(contexts, meaning.identity.segment_by)
    counted = np.zeros((1 + len(keys), session.used))
    counted[0, now] = 1.0
    counted[1:, then] = 1.0
    _count(counted[1:], session.records, keys, is_user, meaning.epochs)
    parts = _Parts.of(session, meaning, time)
    N, S, F, Q = parts.sums(counted)
    own = None
    if len(keys) and len(then):
        A = b = None
        if not is_user.all():
            A, b = _linear(session, parts, then, np.where(is_user[:, None], 0.0, counted[1:]))
        named = tuple(tuple(each) for each in contexts)
        own = Sums(session.arms, named, time, N[1:], S[1:], F[1:], Q[1:], A, b)
    return SessionSums(session.arms, len(now), N[0], S[0], F[0], own)


def _chosen(
    session: SessionUnits, since: int, revision: int | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of the units first shown after a time: as they are, and at a revision."""
    now = session.rows()
    recent = session.records["time"][now] > since
    then = now[recent] if revision is None else session.rows(revision)[recent]
    return now[recent], then[then >= 0]


class _Parts(NamedTuple):
    """What each version of a unit adds: exposure, rewards, every arm's share of its weight."""

    shown: NDArray[np.bool_]
    exposure: Floats
    plus: Floats
    minus: Floats
    weight: Floats
    shares: Floats

    @classmethod
    def of(cls, session: SessionUnits, meaning: Meaning, time: int) -> _Parts:
        records, identity = session.records, meaning.identity
        weight = decay(records["time"], time, identity.half_life_us)
        shared = identity.credit == "shared"
        return cls(
            (records["flags"] & SHOWN) != 0,
            identity.examine(records["position"]),
            np.array(meaning.rewards.positive)[records["plus"]],
            np.array(meaning.rewards.negative)[records["minus"]],
            weight,
            _credit(session, shared=shared) * weight[:, None],
        )

    def sums(self, counted: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return N, S, F and Q of contexts, `counted` says which units are theirs."""
        counted = counted * self.shown
        exposed = counted * self.exposure
        Q = exposed @ (self.shares * self.shares)
        known = Q >= FAINTEST
        parts = exposed, counted * self.plus, counted * self.minus
        N, S, F = (part @ self.shares for part in parts)
        if known.all():
            return N, S, F, Q
        return N * known, S * known, F * known, Q * known


def _credit(session: SessionUnits, *, shared: bool) -> Floats:
    """Return the share of every arm in each version of a unit, as `credits_of`."""
    share = np.zeros((session.used, len(session.arms) + 1))
    # The last column takes what names no channel.
    share[np.arange(session.used), session.records["arm"]] = 1.0
    share = share[:, :-1]
    if not shared or session.scores is None:
        return share
    parts = np.fmax(session.scores[:, 1], 0.0)
    total = parts.sum(axis=1)
    known = total > 0
    share[known] = parts[known] / total[known][:, None]
    return share


def _count(
    counted: Floats,
    records: NDArray[np.void],
    keys: NDArray[np.uint64],
    is_user: NDArray[np.bool_],
    epochs: Epochs,
) -> None:
    """Take out of every context, one row each, what does not count for it."""
    for row, (key, user) in enumerate(zip(keys.tolist(), is_user.tolist(), strict=True)):
        if key != GLOBAL:
            counted[row] *= records["user" if user else "segment"] == key
        since = epochs.since(key) if user else None
        if since is not None:
            counted[row] *= records["time"] >= since


def _linear(
    session: SessionUnits, parts: _Parts, rows: NDArray[np.intp], counted: Floats
) -> tuple[Floats | None, Floats | None]:
    """Return A and b of contexts, as `sum_linear`; None where none of the rows has scores."""
    if session.scores is None:
        return None, None
    scores = session.scores[:, 0]
    known = parts.shown & ~np.isnan(scores).all(axis=1)
    if not known[rows].any():
        return None, None
    z = np.column_stack([np.nan_to_num(scores), np.ones(len(known))])
    weight = counted * (known * parts.weight)
    A = (z.T * (weight * parts.exposure)[:, None, :]) @ z
    return A, (weight * (parts.plus - parts.minus)) @ z
