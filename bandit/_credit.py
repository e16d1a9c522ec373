"""Which channels get the credit of a unit, and the sums that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._contexts import GLOBAL, DecayedSums
from ._decay import NO_TIME, decay
from ._ids import NO_ID
from ._unit import SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .identity import Identity

BLOCKS = 4
"""N, S, F and Q, one after the other in every row of sums."""


class UnitBatch(NamedTuple):
    """Units with their scores: the `Units` of a state, or some of them."""

    records: NDArray[np.void]
    scores: NDArray[np.float64]
    contributions: NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """Units that were shown, as numbers.

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


class Credits(NamedTuple):
    """Who gets how much: of unit ``unit`` the arm ``arm`` gets ``share``."""

    unit: NDArray[np.int64]
    arm: NDArray[np.int64]
    share: NDArray[np.float64]


def shown_units(
    batch: UnitBatch,
    identity: Identity,
    positive: tuple[float, ...],
    negative: tuple[float, ...],
) -> Shown:
    """Choose the units that were shown; the others add nothing."""
    records = batch.records
    is_shown = (records["flags"] & SHOWN) != 0
    if not is_shown.all():
        records = records[is_shown]
    return Shown(
        records,
        np.ascontiguousarray(records["time"]),
        identity.examine(records["position"]),
        np.array(positive)[records["plus"]],
        np.array(negative)[records["minus"]],
        batch.scores,
        batch.contributions,
    )


def credits_of(shown: Shown, *, shared: bool) -> Credits:
    """Share every unit's credit.

    Where contributions w x are known, each channel gets its part of their sum (a negative
    contribution earns nothing); else the named channel gets all. A winner that took all would
    grow on its own successes, as a Polya urn does.
    """
    arm = shown.records["arm"].astype(np.int64)
    by_share = np.zeros(len(arm), np.bool_)
    unit = np.empty(0, np.int64)
    channel = np.empty(0, np.int64)
    share = np.empty(0)
    if shared and len(shown.contributions):
        has = np.flatnonzero(shown.records["scored"] >= 0)
        parts = np.fmax(shown.contributions[shown.records["scored"][has]], 0.0)
        total = parts.sum(axis=1)
        has, parts, total = has[total > 0], parts[total > 0], total[total > 0]
        by_share[has] = True
        row, channel = np.nonzero(parts)
        unit, share = has[row], parts[row, channel] / total[row]
    named = np.flatnonzero((arm >= 0) & ~by_share)
    return Credits(
        np.concatenate([named, unit]),
        np.concatenate([arm[named], channel]),
        np.concatenate([np.ones(len(named)), share]),
    )


def sum_credits(
    shown: Shown,
    given: Credits,
    context: NDArray[np.integer],
    keys: NDArray[np.uint64],
    arms: int,
    half_life_us: float,
) -> DecayedSums:
    """Add credits up by context and arm, each context at the time of its newest unit.

    Parameters
    ----------
    context : ndarray of int, shape (len(shown.time),)
        Index into `keys` of every unit; below 0: none.
    keys : ndarray of uint64, shape (c,)
        In any order, all different; every one should have a unit with credit.
    """
    of_credit = context[given.unit]
    if len(of_credit) and of_credit.min() < 0:
        inside = of_credit >= 0
        given = Credits(given.unit[inside], given.arm[inside], given.share[inside])
        of_credit = of_credit[inside]
    time = shown.time[given.unit]
    times = np.full(len(keys), NO_TIME, np.int64)
    np.maximum.at(times, of_credit, time)
    weight = given.share * decay(time, times[of_credit], half_life_us)
    cell = of_credit * arms + given.arm
    exposed = weight * shown.exposure[given.unit]
    values = np.empty((len(keys), BLOCKS, arms))
    for block, column in enumerate(
        (
            exposed,
            weight * shown.plus[given.unit],
            weight * shown.minus[given.unit],
            weight * exposed,
        )
    ):
        added = np.bincount(cell, weights=column, minlength=len(keys) * arms)
        values[:, block] = added.reshape(len(keys), arms)
    sums = DecayedSums(keys, times, values.reshape(len(keys), BLOCKS * arms), squared=3 * arms)
    if (times == NO_TIME).any():
        sums = sums.select(times != NO_TIME)
    return sums if (sums.keys[1:] > sums.keys[:-1]).all() else sums.select(np.argsort(sums.keys))


def sum_groups(
    shown: Shown, given: Credits, segment_ids: NDArray[np.uint64], arms: int, half_life_us: float
) -> DecayedSums:
    """Add up the global context and the segments."""
    everything = np.zeros(len(shown.time), np.int64)
    whole = sum_credits(shown, given, everything, np.array([GLOBAL], np.uint64), arms, half_life_us)
    if not len(segment_ids):
        return whole
    segment = shown.records["segment"].astype(np.int64)
    parts = sum_credits(shown, given, segment, segment_ids, arms, half_life_us)
    return whole.add(parts, half_life_us)


def sum_users(
    shown: Shown,
    given: Credits,
    counts: NDArray[np.bool_],
    arms: int,
    half_life_us: float,
) -> DecayedSums:
    """Add up by user the units that count for their users."""
    user = np.ascontiguousarray(shown.records["user"])
    counts = counts & (user != NO_ID)
    keys, codes = np.unique(user[counts], return_inverse=True)
    context = np.full(len(user), -1, np.int64)
    context[counts] = codes
    return sum_credits(shown, given, context, keys, arms, half_life_us)


def sum_linear(
    shown: Shown, segment_ids: NDArray[np.uint64], arms: int, half_life_us: float
) -> DecayedSums:
    """Add up w e z z' and w z c, z = (x, 1), over the units whose scores are known."""
    has = np.flatnonzero(shown.records["scored"] >= 0)
    width = arms + 1
    size = width * (width + 1)
    if not len(has):
        return DecayedSums.empty(size, squared=size)
    x = shown.scores[shown.records["scored"][has]]
    known = ~np.isnan(x).all(axis=1)
    has = has[known]
    z = np.column_stack([np.nan_to_num(x[known], copy=False), np.ones(len(has))])
    segment = shown.records["segment"][has]
    contexts = {GLOBAL: np.arange(len(has))} if len(has) else {}
    contexts |= {int(segment_ids[s]): np.flatnonzero(segment == s) for s in _present(segment)}
    keys = sorted(contexts)
    times = np.empty(len(keys), np.int64)
    values = np.empty((len(keys), size))
    for i, key in enumerate(keys):
        rows = contexts[key]
        unit = has[rows]
        times[i] = shown.time[unit].max()
        weight = decay(shown.time[unit], times[i], half_life_us)
        A = (z[rows] * (weight * shown.exposure[unit])[:, None]).T @ z[rows]
        b = z[rows].T @ (weight * (shown.plus - shown.minus)[unit])
        values[i] = np.concatenate([A.ravel(), b])
    return DecayedSums(np.array(keys, np.uint64), times, values, squared=size)


def _present(segment: NDArray[np.int32]) -> list[int]:
    return [int(s) for s in np.unique(segment) if s >= 0]
