"""Decayed sums by context: each with its own time, so that they merge in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..base.timestamps import NO_TIME, decay

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL_PART: Final = 0.125
"""Share of contexts up to which few are added to many."""

ROUNDING: Final = 1e-13
"""Share of what was subtracted that may be left of nothing."""


@dataclass(frozen=True)
class DecayedSums:
    """Sums of several contexts, each decayed to the time of its own newest unit.

    Two sums (v1, t1) and (v2, t2) of a context add up to
    (v1 2^((t1 - T) / h) + v2 2^((t2 - T) / h), T) with T = max(t1, t2): commutative and
    associative, and no power above 1 ever occurs, so nothing overflows.

    Attributes
    ----------
    keys : ndarray of uint64, shape (n,)
        Ids of the contexts, ascending.
    times : ndarray of int64, shape (n,)
        Microseconds.
    values : ndarray of float64, shape (n, k)
    squared : int
        From this column on values are sums of squared weights and decay twice as fast.
    """

    keys: NDArray[np.uint64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    squared: int

    @classmethod
    def empty(cls, width: int, squared: int) -> DecayedSums:
        """Return no context at all."""
        none = np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, width))
        return cls(*none, squared)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.keys.nbytes + self.times.nbytes + self.values.nbytes

    def add(self, other: DecayedSums, half_life_us: float) -> DecayedSums:
        """Return the sums of both."""
        if not len(other):
            return self
        if not len(self):
            return other
        if len(other) < SMALL_PART * len(self):
            return self._with_few(other, half_life_us)
        keys = np.union1d(self.keys, other.keys)
        places = [np.searchsorted(keys, part.keys) for part in (self, other)]
        times = np.full(len(keys), NO_TIME, np.int64)
        for part, at in zip((self, other), places, strict=True):
            times[at] = np.maximum(times[at], part.times)
        values = np.zeros((len(keys), self.values.shape[1]))
        for part, at in zip((self, other), places, strict=True):
            values[at] += part.decayed_to(times[at], half_life_us)
        return DecayedSums(keys, times, values, self.squared)

    def _with_few(self, other: DecayedSums, half_life_us: float) -> DecayedSums:
        """Add few contexts: as `add`, without a look at the contexts that stay as they are."""
        made, at = self._with_places(other)
        latest = np.maximum(made.times[at], other.times)
        before = made.select(at)
        made.times[at] = latest
        made.values[at] = before.decayed_to(latest, half_life_us)
        made.values[at] += other.decayed_to(latest, half_life_us)
        return made

    def replaced(self, other: DecayedSums) -> DecayedSums:
        """Return the sums with those of other contexts, in place of those of the same keys."""
        if not len(other):
            return self
        if not len(self):
            return other
        made, at = self._with_places(other)
        made.times[at], made.values[at] = other.times, other.values
        return made

    def _with_places(self, other: DecayedSums) -> tuple[DecayedSums, NDArray[np.intp]]:
        """Return a copy with the contexts of others too, whose new sums are 0, and where they are.

        There has to be one context at least.
        """
        at, known = self.find(other.keys)
        new = ~known
        keys = np.insert(self.keys, at[new], other.keys[new])
        times = np.insert(self.times, at[new], other.times[new])
        values = np.insert(self.values, at[new], 0.0, axis=0)
        return DecayedSums(keys, times, values, self.squared), keys.searchsorted(other.keys)

    def negated(self) -> DecayedSums:
        """Return what takes these sums away where it is added."""
        return DecayedSums(self.keys, self.times, -self.values, self.squared)

    def without_rounding(self, taken: DecayedSums, half_life_us: float) -> DecayedSums:
        """Return sums that are counts, some of which others were taken from.

        None is negative by rounding then, and a context of which only rounding is left goes.
        """
        at = np.searchsorted(self.keys, taken.keys)
        rows = self.values[at] = np.maximum(self.values[at], 0.0)
        before = taken.decayed_to(self.times[at], half_life_us)[:, self.squared :].sum(axis=1)
        is_empty = rows[:, self.squared :].sum(axis=1) <= ROUNDING * before
        return self.without(taken.keys[is_empty]) if is_empty.any() else self

    def decayed_to(
        self, times: NDArray[np.int64] | int, half_life_us: float
    ) -> NDArray[np.float64]:
        """Return the values decayed to other times, shape (n, k)."""
        factor = decay(self.times, times, half_life_us)[:, None]
        with np.errstate(under="ignore"):
            values = self.values * factor
            values[:, self.squared :] *= factor
        return values

    def at(self, keys: NDArray[np.uint64], time: int, half_life_us: float) -> NDArray[np.float64]:
        """Return the values of some contexts at one time, 0 for a context without sums."""
        if len(keys) == len(self) and (keys == self.keys).all():
            return self.decayed_to(time, half_life_us)
        values = np.zeros((len(keys), self.values.shape[1]))
        at, known = self.find(keys)
        if known.any():
            values[known] = self.select(at[known]).decayed_to(time, half_life_us)
        return values

    def get(self, key: np.uint64) -> DecayedSums | None:
        """Return one context, without a copy; None where there is none."""
        row = int(self.keys.searchsorted(key))
        if row == len(self) or self.keys[row] != key:
            return None
        return self.select(slice(row, row + 1))

    def find(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return where contexts are or would be, and whether they are there."""
        at = self.keys.searchsorted(keys)
        if not len(self):
            return at, np.zeros(len(keys), np.bool_)
        return at, self.keys[np.minimum(at, len(self) - 1)] == keys

    def select(self, chosen: NDArray[np.integer] | NDArray[np.bool_] | slice) -> DecayedSums:
        """Return some contexts; indices must ascend where the result is to be searched."""
        return DecayedSums(self.keys[chosen], self.times[chosen], self.values[chosen], self.squared)

    def without(self, keys: NDArray[np.uint64]) -> DecayedSums:
        """Return the other contexts."""
        return self.select(~np.isin(self.keys, keys)) if len(keys) else self

    def newest(self, number: int) -> DecayedSums:
        """Return the contexts with the latest evidence, at most so many."""
        if len(self) <= number:
            return self
        order = np.lexsort((self.keys, self.times))
        return self.select(np.sort(order[len(self) - number :]))
