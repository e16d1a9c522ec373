"""Which channels get the credit of a unit, and the sums of the credits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID
from ..base.contexts import GLOBAL_KEY
from ..base.timestamps import NO_TIME, decay
from ..units.channel_sets import NO_CHANNEL, expanded
from ..units.record import SHOWN
from .decayed_sums import DecayedSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.identity import Identity
    from ..units.record import UnitBatch

BLOCKS = 4
"""N, S, F and Q, one after the other in every row of sums."""


@dataclass(frozen=True)
class ExposedUnits:
    """Units that were units, as numbers.

    Attributes
    ----------
    records : ndarray of UNIT, shape (n,)
    time : ndarray of int64, shape (n,)
    exposure, plus, minus : ndarray of float64, shape (n,)
        Examination of the position, and the scaled rewards.
    scores, contributions : ndarray of float64, shape (m, arms)
    """

    records: NDArray[np.void]
    time: NDArray[np.int64]
    exposure: NDArray[np.float64]
    plus: NDArray[np.float64]
    minus: NDArray[np.float64]
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]


class CreditShares(NamedTuple):
    """Shares of credit: of unit ``unit`` the arm ``arm`` gets ``share``."""

    unit: NDArray[np.int64]
    arm: NDArray[np.int64]
    share: NDArray[np.float64]


def exposed_units(
    batch: UnitBatch,
    identity: Identity,
    positive: tuple[float, ...],
    negative: tuple[float, ...],
) -> ExposedUnits:
    """Choose the units that were displayed; the others add nothing."""
    records = batch.records
    is_shown = (records["flags"] & SHOWN) != 0
    if not is_shown.all():
        records = records[is_shown]
    return ExposedUnits(
        records,
        np.ascontiguousarray(records["time"]),
        identity.examine(records["position"]),
        np.array(positive)[records["plus"]],
        np.array(negative)[records["minus"]],
        batch.scores,
        batch.contributions,
    )


def credit_shares(units: ExposedUnits, *, shared: bool) -> CreditShares:
    """Share every unit's credit.

    Where contributions w x are known, each channel gets its part of their sum (a negative
    contribution gets nothing); else every channel that is named gets all of it, for each found the
    document. If the channel with the highest contribution got all, it would grow by its own
    successes, as in a Polya urn.
    """
    by_share = np.zeros(len(units.time), np.bool_)
    unit = np.empty(0, np.int64)
    channel = np.empty(0, np.int64)
    share = np.empty(0)
    if shared and len(units.contributions):
        has = np.flatnonzero(units.records["scored"] >= 0)
        parts = np.fmax(units.contributions[units.records["scored"][has]], 0.0)
        total = parts.sum(axis=1)
        has, parts, total = has[total > 0], parts[total > 0], total[total > 0]
        by_share[has] = True
        row, channel = np.nonzero(parts)
        unit, share = has[row], parts[row, channel] / total[row]
    named, arm = expanded(np.where(by_share, NO_CHANNEL, units.records["arm"]))
    return CreditShares(
        np.concatenate([named, unit]),
        np.concatenate([arm, channel]),
        np.concatenate([np.ones(len(named)), share]),
    )


def sum_credits(
    units: ExposedUnits,
    credit: CreditShares,
    context: NDArray[np.integer],
    keys: NDArray[np.uint64],
    arms: int,
    half_life_us: float,
) -> DecayedSums:
    """Add credits up by context and arm, each context at the time of its newest unit.

    Parameters
    ----------
    context : ndarray of int, shape (len(units.time),)
        Index into `keys` of every unit; below 0: none.
    keys : ndarray of uint64, shape (c,)
        In any order, all different; every one should have a unit with credit.
    """
    of_credit = context[credit.unit]
    if len(of_credit) and of_credit.min() < 0:
        inside = of_credit >= 0
        credit = CreditShares(credit.unit[inside], credit.arm[inside], credit.share[inside])
        of_credit = of_credit[inside]
    time = units.time[credit.unit]
    times = np.full(len(keys), NO_TIME, np.int64)
    np.maximum.at(times, of_credit, time)
    weight = credit.share * decay(time, times[of_credit], half_life_us)
    cell = of_credit * arms + credit.arm
    exposures = weight * units.exposure[credit.unit]
    values = np.empty((len(keys), BLOCKS, arms))
    for block, column in enumerate(
        (
            exposures,
            weight * units.plus[credit.unit],
            weight * units.minus[credit.unit],
            weight * exposures,
        )
    ):
        added = np.bincount(cell, weights=column, minlength=len(keys) * arms)
        values[:, block] = added.reshape(len(keys), arms)
    sums = DecayedSums(keys, times, values.reshape(len(keys), BLOCKS * arms), squared=3 * arms)
    if (times == NO_TIME).any():
        sums = sums.select(times != NO_TIME)
    return sums if (sums.keys[1:] > sums.keys[:-1]).all() else sums.select(np.argsort(sums.keys))


def sum_groups(
    units: ExposedUnits,
    credit: CreditShares,
    segment_ids: NDArray[np.uint64],
    arms: int,
    half_life_us: float,
) -> DecayedSums:
    """Add up the global context and the segments."""
    everything = np.zeros(len(units.time), np.int64)
    whole = sum_credits(
        units, credit, everything, np.array([GLOBAL_KEY], np.uint64), arms, half_life_us
    )
    if not len(segment_ids):
        return whole
    segment = units.records["segment"].astype(np.int64)
    parts = sum_credits(units, credit, segment, segment_ids, arms, half_life_us)
    return whole.add(parts, half_life_us)


def sum_users(
    units: ExposedUnits,
    credit: CreditShares,
    counts: NDArray[np.bool_],
    arms: int,
    half_life_us: float,
) -> DecayedSums:
    """Add up by user the units that count for their users."""
    user = np.ascontiguousarray(units.records["user"])
    counts = counts & (user != NO_ID)
    keys, codes = np.unique(user[counts], return_inverse=True)
    context = np.full(len(user), -1, np.int64)
    context[counts] = codes
    return sum_credits(units, credit, context, keys, arms, half_life_us)


def sum_linear(
    units: ExposedUnits, segment_ids: NDArray[np.uint64], arms: int, half_life_us: float
) -> DecayedSums:
    """Add up w e z z' and w z c, z = (x, 1), over the units whose scores are known."""
    has = np.flatnonzero(units.records["scored"] >= 0)
    width = arms + 1
    size = width * (width + 1)
    if not len(has):
        return DecayedSums.empty(size, squared=size)
    x = units.scores[units.records["scored"][has]]
    known = ~np.isnan(x).all(axis=1)
    has = has[known]
    z = np.column_stack([np.nan_to_num(x[known], copy=False), np.ones(len(has))])
    segment = units.records["segment"][has]
    contexts = {GLOBAL_KEY: np.arange(len(has))} if len(has) else {}
    contexts |= {int(segment_ids[s]): np.flatnonzero(segment == s) for s in _present(segment)}
    keys = sorted(contexts)
    times = np.empty(len(keys), np.int64)
    values = np.empty((len(keys), size))
    for i, key in enumerate(keys):
        rows = contexts[key]
        unit = has[rows]
        times[i] = units.time[unit].max()
        weight = decay(units.time[unit], times[i], half_life_us)
        A = (z[rows] * (weight * units.exposure[unit])[:, None]).T @ z[rows]
        b = z[rows].T @ (weight * (units.plus - units.minus)[unit])
        values[i] = np.concatenate([A.ravel(), b])
    return DecayedSums(np.array(keys, np.uint64), times, values, squared=size)


def _present(segment: NDArray[np.int32]) -> list[int]:
    return [int(s) for s in np.unique(segment) if s >= 0]
