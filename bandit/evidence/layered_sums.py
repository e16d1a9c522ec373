"""Sums of very many contexts, of which few change at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from .decayed_sums import DecayedSums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..units.array_memory import ArrayMemory

MOST_RECENT: Final = 4_096
"""Contexts that may lie above the base in any case: some 0.7 MB with five channels."""

RECENT_SHARE: Final = 0.125
"""Share of the base that may lie above it: for each that changes, some eight are rewritten."""

AT_ONCE: Final = 20_000
"""Contexts of the base that are looked at together."""


@dataclass(frozen=True)
class LayeredSums:
    """Decayed sums in two layers, so that a change copies few of them.

    Neither layer ever changes: a change makes the small one anew, which lies above the large one.
    Once it has grown, both become one. So who reads the sums as they were needs no copy.

    Attributes
    ----------
    base : DecayedSums
        Its values may lie on disk, see `ArrayMemory`.
    recent : DecayedSums
        What came or changed since, in place of the base's sums of the same contexts.
    memory : ArrayMemory
        Where the values of the next base will lie.
    """

    base: DecayedSums
    recent: DecayedSums
    memory: ArrayMemory

    @classmethod
    def of(cls, sums: DecayedSums, memory: ArrayMemory) -> LayeredSums:
        """Return sums as they are, without a copy."""
        return cls(sums, sums.select(slice(0)), memory)

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Ids of the contexts, ascending."""
        at, known = self.base.find(self.recent.keys)
        return np.insert(self.base.keys, at[~known], self.recent.keys[~known])

    def exchange(self, added: DecayedSums, taken: DecayedSums, half_life_us: float) -> LayeredSums:
        """Return the sums with others, and without some that are in them; all are counts.

        Raises
        ------
        StoreError
            If the disk is full.
        """
        change = added.add(taken.negated(), half_life_us)
        if not len(change):
            return self
        recent = self._recent_with(change.keys).add(change, half_life_us)
        gone = recent.keys[:0]
        if len(taken):
            kept = recent.without_rounding(taken, half_life_us)
            gone, recent = np.setdiff1d(recent.keys, kept.keys), kept
        made = replace(self, recent=recent)
        is_large = len(recent) > max(MOST_RECENT, RECENT_SHARE * len(self.base))
        return made.as_one(gone) if is_large or self.base.find(gone)[1].any() else made

    def as_one(self, gone: NDArray[np.uint64]) -> LayeredSums:
        """Return both layers as a base, without some contexts of it."""
        keys = np.setdiff1d(self.keys, gone, assume_unique=True)
        times = np.empty(len(keys), np.int64)
        values = self.memory.zeros((len(keys), self.base.values.shape[1]), np.float64)
        start = 0
        for every in self.parts():
            part = every.without(gone)
            end = start + len(part)
            times[start:end], values[start:end] = part.times, part.values
            start = end
        self.memory.give_back(values)
        return self.of(DecayedSums(keys, times, values, self.base.squared), self.memory)

    def get(self, key: np.uint64) -> DecayedSums | None:
        """Return one context, without a copy; None where there is none."""
        found = self.recent.get(key)
        return self.base.get(key) if found is None else found

    def at(self, keys: NDArray[np.uint64], time: int, half_life_us: float) -> NDArray[np.float64]:
        """Return the values of some contexts at one time, 0 for a context without sums."""
        values = self.base.at(keys, time, half_life_us)
        known = self.recent.find(keys)[1]
        if known.any():
            values[known] = self.recent.at(keys[known], time, half_life_us)
        return values

    def parts(self) -> Iterator[DecayedSums]:
        """Yield all sums, some at a time, by ascending keys."""
        base, first = self.base, 0
        for start in range(0, len(base), AT_ONCE):
            end = start + AT_ONCE
            is_last = end >= len(base)
            last = len(self.recent) if is_last else self.recent.keys.searchsorted(base.keys[end])
            part = base.select(slice(start, end))
            yield part.replaced(self.recent.select(slice(first, int(last))))
            first = int(last)
        if not len(base) and len(self.recent):
            yield self.recent
        self.memory.give_back(base.values)

    def _recent_with(self, keys: NDArray[np.uint64]) -> DecayedSums:
        """Return the upper layer with the contexts of the base that are about to change."""
        missing = keys[~self.recent.find(keys)[1]]
        at, known = self.base.find(missing)
        return self.recent.replaced(self.base.select(at[known]))
