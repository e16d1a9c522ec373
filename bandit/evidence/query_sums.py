"""Sums by query: of exposures and rewards as of a user, and of scores as of a segment."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID
from ..base.sums import FAINTEST, Sums
from ..base.timestamps import NO_TIME, decay
from .decayed_sums import DecayedSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .credit import CreditShares, ExposedUnits

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]


class QueryLayout(NamedTuple):
    """Where the sums of a query stand in its row.

    One row a query, so that a limit of queries drops all that there is of one. A is symmetric: only
    its upper triangle is stored.
    """

    counts: Places  # shape (4, arms): of N, S, F and Q, which decays twice as fast and comes last
    A: Places  # shape (arms + 1, arms + 1)
    b: Places  # shape (arms + 1,)
    width: int

    @property
    def squared(self) -> int:
        """Where Q begins."""
        return int(self.counts[3, 0])

    def empty(self) -> DecayedSums:
        """Return the sums of no query."""
        return DecayedSums.empty(self.width, self.squared)


@lru_cache(maxsize=64)
def layout(arms: int) -> QueryLayout:
    """Return the layout for a number of channels."""
    d = arms + 1
    triangle = d * (d + 1) // 2
    A = np.empty((d, d), np.intp)
    rows, columns = np.triu_indices(d)
    A[rows, columns] = A[columns, rows] = 3 * arms + np.arange(triangle)
    b = 3 * arms + triangle + np.arange(d)
    counts = np.arange(4 * arms).reshape(4, arms)
    counts[3] += triangle + d
    return QueryLayout(counts, A, b, 4 * arms + triangle + d)


def distinct_queries(units: ExposedUnits) -> DecayedSums:
    """Return the queries of units, each with the time of its newest unit and without sums."""
    keys, codes = np.unique(units.records["query"], return_inverse=True)
    times = np.full(len(keys), NO_TIME, np.int64)
    np.maximum.at(times, codes, units.time)
    found = DecayedSums(keys, times, np.empty((len(keys), 0)), squared=0)
    return found.select(keys != NO_ID)


def sum_queries(
    units: ExposedUnits, credit: CreditShares, arms: int, half_life_us: float, most: int
) -> DecayedSums:
    """Add units up by query, for the `most` queries with the newest units."""
    places = layout(arms)
    chosen = distinct_queries(units).newest(most)
    if not len(chosen):
        return places.empty()
    at = np.minimum(np.searchsorted(chosen.keys, units.records["query"]), len(chosen) - 1)
    row = np.where(chosen.keys[at] == units.records["query"], at, -1)
    weight = decay(units.time, chosen.times[at], half_life_us)
    values = np.zeros((len(chosen), places.width))
    _add_credits(values, places, units, credit, row, weight)
    _add_scores(values, places, units, row, weight)
    return DecayedSums(chosen.keys, chosen.times, values, places.squared)


def _add_credits(
    values: Floats,
    places: QueryLayout,
    units: ExposedUnits,
    credit: CreditShares,
    row: NDArray[np.int64],
    weight: Floats,
) -> None:
    inside = row[credit.unit] >= 0
    unit, arm = credit.unit[inside], credit.arm[inside]
    weight = credit.share[inside] * weight[unit]
    exposures = weight * units.exposure[unit]
    arms = places.counts.shape[1]
    parts = exposures, weight * units.plus[unit], weight * units.minus[unit], weight * exposures
    for block, part in zip(places.counts, parts, strict=True):
        added = np.bincount(row[unit] * arms + arm, weights=part, minlength=len(values) * arms)
        values[:, block] = added.reshape(len(values), arms)


def _add_scores(
    values: Floats,
    places: QueryLayout,
    units: ExposedUnits,
    row: NDArray[np.int64],
    weight: Floats,
) -> None:
    """Add w e z z' and w z c, z = (x, 1), over the units whose scores are known."""
    unit = np.flatnonzero((units.records["scored"] >= 0) & (row >= 0))
    x = units.scores[units.records["scored"][unit]]
    known = ~np.isnan(x).all(axis=1)
    unit, x = unit[known], x[known]
    if not len(unit):
        return
    z = np.column_stack([np.nan_to_num(x), np.ones(len(unit))])
    exposures = weight[unit] * units.exposure[unit]
    rewards = weight[unit] * (units.plus - units.minus)[unit]
    for i, place in enumerate(places.b):
        parts = {place: rewards * z[:, i]}
        parts |= {places.A[i, j]: exposures * z[:, i] * z[:, j] for j in range(i, z.shape[1])}
        for column, part in parts.items():
            values[:, column] = np.bincount(row[unit], weights=part, minlength=len(values))


def read_queries(table: DecayedSums, arms: tuple[str, ...], time: int, half_life_us: float) -> Sums:
    """Return the sums of every query of a table, in its order, decayed to one time.

    A query that is newer than the time counts as of its own.
    """
    values = table.decayed_to(np.maximum(table.times, time), half_life_us)
    places = layout(len(arms))
    N, S, F, Q = (values[:, block] for block in places.counts)
    faint = Q < FAINTEST
    for part in (N, S, F, Q):
        part[faint] = 0.0
    return Sums(arms, None, time, N, S, F, Q, values[:, places.A], values[:, places.b])


def realigned_queries(table: DecayedSums, codes: NDArray[np.int32], arms: int) -> DecayedSums:
    """Return the same sums for other arms; `codes` are the new places of the old ones."""
    old, new = layout(len(codes)), layout(arms)
    left = np.flatnonzero(codes >= 0)
    before, after = np.append(left, len(codes)), np.append(codes[left], arms)
    values = np.zeros((len(table), new.width))
    for source, target in zip(old.counts, new.counts, strict=True):
        values[:, target[codes[left]]] = table.values[:, source[left]]
    values[:, new.A[np.ix_(after, after)]] = table.values[:, old.A[np.ix_(before, before)]]
    values[:, new.b[after]] = table.values[:, old.b[before]]
    return DecayedSums(table.keys, table.times, values, new.squared)
