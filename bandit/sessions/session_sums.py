"""What units add to exposures and rewards, for one session and for its user without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ..base.sums import ArmSums
from ..base.timestamps import NO_TIME, decay
from ..units.channel_sets import expanded
from ..units.record import SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.identity import Identity
    from ..base.rewards import RewardTable
    from ..base.sums import QuerySums
    from ..units.user_resets import UserResets
    from .session_units import SessionUnits

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SessionSums:
    """What one session adds to its own weights.

    Attributes
    ----------
    arms : tuple of str
    units : int
        Live, open units of the last hour that count for their users.
    N, S, F : ndarray of float64, shape (arms,)
        Their sums, as in `Sums`.
    of_user : ArmSums or None
        The part of them that the sums of a given user hold too. Take it out of these, and nothing
        is counted twice. None where no user was given.
    """

    arms: tuple[str, ...]
    units: int
    N: Floats
    S: Floats
    F: Floats
    of_user: ArmSums | None = None

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        rows = zip(self.arms, self.N, self.S, self.F, strict=True)
        return Summary(
            f"SessionSums: {self.units:,} units",
            [Table.of(["feature_uri", "exposures", "successes", "negatives"], rows)],
        )


class PersonalSums(NamedTuple):
    """What is known of user, session and query of a request, see `FusionPosterior.mean`."""

    user: ArmSums | None = None  # of the user, without the units that the session's sums hold
    session: ArmSums | None = None  # of the session's live units of the last hour
    session_units: int = 0  # how many these are
    query: QuerySums | None = None  # of the query, of all its searches


class CountingRules(NamedTuple):
    """What units are worth, and from when on they count for their users."""

    identity: Identity
    rewards: RewardTable
    resets: UserResets


def counted(records: NDArray[np.void], resets: UserResets) -> NDArray[np.bool_]:
    """Return which of a few units count for their users: those shown since a reset.

    A lookup each, for there may be any number of resets, and another thread may add one.
    """
    if not len(resets):
        return np.ones(len(records), np.bool_)
    since = [resets.since(user) or NO_TIME for user in records["user"].tolist()]
    return np.asarray(records["time"] >= np.array(since, np.int64))


class UnitContributions(NamedTuple):
    """What each of some units adds to the sums of every arm, but for its decay."""

    times: NDArray[np.int64]  # shape (n,)
    # shape (3, n): exposure, positive and negative reward; 0 for a unit that was not shown
    worth: Floats
    shares: Floats  # shape (n, arms): the share of every arm in a unit's credit
    half_life_us: float

    @classmethod
    def of(
        cls, records: NDArray[np.void], contributions: Floats, rules: CountingRules
    ) -> UnitContributions:
        """Compute them from records and the contributions that these name by ``scored``."""
        identity, rewards = rules.identity, rules.rewards
        worth = (
            identity.examine(records["position"]),
            np.array(rewards.positive)[records["plus"]],
            np.array(rewards.negative)[records["minus"]],
        )
        return cls(
            records["time"],
            np.array(worth) * ((records["flags"] & SHOWN) != 0),
            credit_shares(records, contributions, shared=identity.credit == "shared"),
            identity.half_life_us,
        )

    def sums(self, chosen: NDArray[np.bool_], time: int) -> ArmSums:
        """Return the sums of some units, as `Evidence.sums` gives them for a context of just these.

        `time`: reference time of the decay; a unit that is newer counts as one of this time.
        `chosen` has shape (n,).
        """
        # Without the minimum a unit far newer than the reference would overflow its weight.
        weight = decay(np.minimum(self.times, time), time, self.half_life_us)
        return ArmSums(*(self.worth * (weight * chosen) @ self.shares))


def credit_shares(records: NDArray[np.void], contributions: Floats, *, shared: bool) -> Floats:
    """Return the share of every arm in each unit, as `credits_of`; shape (n, arms)."""
    shares = np.zeros((len(records), contributions.shape[1]))
    shares[expanded(records["arm"])] = 1.0
    if not shared or not len(contributions):
        return shares
    scored = np.flatnonzero(records["scored"] >= 0)
    parts = np.fmax(contributions[records["scored"][scored]], 0.0)
    total = parts.sum(axis=1)
    has = total > 0
    shares[scored[has]] = parts[has] / total[has][:, None]
    return shares


def session_sums(
    session: SessionUnits,
    rules: CountingRules,
    *,
    since: int,
    now: int,
    user: int | None = None,
    time: int | None = None,
) -> SessionSums:
    """Return what a session adds; see `Evidence.session_sums`.

    `since`, `now`: units first shown after the one count, decayed to the other. `user`: the key of
    the user whose part to return. `time`: reference time of that part; `now` if None.
    """
    records = session.records
    chosen = counted(records, rules.resets) & (records["time"] > since)
    units = UnitContributions.of(records, session.contributions, rules)
    of_user = None
    if user is not None:
        reference = now if time is None else time
        of_user = units.sums(chosen & (records["user"] == np.uint64(user)), reference)
    return SessionSums(session.arms, int(chosen.sum()), *units.sums(chosen, now), of_user=of_user)


def aligned(sums: ArmSums, arms: tuple[str, ...], wanted: tuple[str, ...]) -> ArmSums:
    """Return sums in the order of other arms, 0 for those that have none.

    >>> sums = ArmSums(np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.zeros(2))
    >>> aligned(sums, ("text", "image"), ("video", "image")).N
    array([0., 2.])
    """
    if arms == wanted:
        return sums
    place = {arm: at for at, arm in enumerate(arms)}
    at = np.array([place.get(arm, len(arms)) for arm in wanted], np.intp)
    return ArmSums(*(np.append(part, 0.0)[at] for part in sums))
