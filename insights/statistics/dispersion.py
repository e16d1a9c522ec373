"""How much more counts of groups vary because one person makes several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ...datasets.counts.cells import index_cells, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_STEPS: Final = 20
_LEAST_SEEN: Final = 0.1
"""Groups that show less of their variance, for one person makes nearly all trials, do not count."""


@dataclass(frozen=True)
class Persons:
    """Observations of n_groups groups by cell: a person's observations of one group.

    Attributes
    ----------
    cell : ndarray of int64, shape (n,)
        Of every observation.
    group : ndarray of int64, shape (c,)
        Of every cell.
    n_groups : int
    """

    cell: Integers
    group: Integers
    n_groups: int

    @classmethod
    def of(cls, group: NDArray[np.integer], person: NDArray[np.integer], n_groups: int) -> Persons:
        """Return the cells of observations.

        `group` and `person`, shape (n,): codes of at least 0.

        >>> Persons.of(np.array([0, 0, 1]), np.array([5, 5, 5]), 2).counts.tolist()
        [1, 1]
        """
        packed = person.astype(np.uint64) * np.uint64(n_groups) + group.astype(np.uint64)
        cell, first = index_cells(packed)
        return cls(cell, group[first].astype(np.int64), n_groups)

    @property
    def counts(self) -> Integers:
        """Persons of every group; shape (n_groups,)."""
        return np.bincount(self.group, minlength=self.n_groups)

    def sums(self, values: NDArray[np.generic]) -> Floats:
        """Return the sum of values over every cell; shape (c,)."""
        return sum_by(self.cell, values.astype(np.float64), len(self.group))

    def group_sums(self, of_cells: Floats) -> Floats:
        """Return the sum of cells' values over every group; shape (n_groups,)."""
        return sum_by(self.group, of_cells, self.n_groups)

    def dispersion_of_counts(self, observed: Floats, expected: Floats) -> Floats:
        """Return variance over mean of every group's count, at least 1; shape (n_groups,).

        `observed`, `expected`, shape (c,): counts of cells; only ratios of the latter matter. A
        person's rate in a group varies around the group's with a variance of t times its square, so
        the count of a group of mean M has the variance ``M + t M^2 H``, with H the sum of squares
        of the cells' shares h: the many searches of one person count little more than one. With
        r the deviation of a cell from the group's own rate, t solves

            sum (r^2 - O h (1 - h)) = t sum O (O - 1) (h^2 (1 - 2 h) + h^2 H) / (1 + t H)

        over the cells of groups of several persons, O the group's count (moments, both sides of the
        same mean). M is the larger one of what was observed and expected: the dispersion of a group
        whose count is low by chance must not be.

        >>> cells = Persons.of(np.repeat(0, 4), np.arange(4), 1)
        >>> cells.dispersion_of_counts(np.array([9.0, 0, 9, 0]), np.full(4, 4.5)).round(2).tolist()
        [8.5]
        >>> cells.dispersion_of_counts(np.array([4.0, 5, 4, 5]), np.full(4, 4.5)).tolist()
        [1.0]
        """
        share, squares = self._shares(expected)
        count = self.group_sums(observed)
        residual = observed - count[self.group] * share
        poisson = count[self.group] * share * (1.0 - share)
        several = (self.counts > 1)[self.group]
        excess = float(np.sum((residual**2 - poisson)[several]))
        spread = self.group_sums(share**2 * (1.0 - 2.0 * share)) + squares**2
        common = np.where(self.counts > 1, count * np.maximum(count - 1.0, 0.0) * spread, 0.0)
        t = 0.0
        for _ in range(_STEPS):
            scale = float(np.sum(common / (1.0 + t * squares)))
            t = max(excess / scale, 0.0) if scale > 0 else 0.0
        due = self.group_sums(expected)
        due *= count.sum() / max(float(due.sum()), 1e-300)
        return 1.0 + t * np.maximum(count, due) * squares

    def dispersion_of_shares(self, observed: Floats, trials: Floats) -> Floats:
        """Return variance over binomial variance of every group's share, at least 1.

        Two trials of one person in a group have the correlation t, so that a group of N trials, n
        by each person, has the variance ``N p (1 - p) (1 + t k)`` with ``k = sum n (n - 1) / N``.
        t solves, with h the cells' shares of trials and v the group's p (1 - p),

            sum (r^2 - v n (1 - h)) = t sum v (n (n - 1) (1 - 2 h) + h^2 N k)

        where v is the observed one over ``1 - (1 + t k) / N``, which is its expectation over v.
        """
        share, _ = self._shares(trials)
        tries = np.maximum(self.group_sums(trials), 1e-300)
        mean = self.group_sums(observed) / tries
        common = trials * np.maximum(trials - 1.0, 0.0)
        k = self.group_sums(common) / tries
        of_binomial = self.group_sums(trials * (1.0 - share))
        of_common = self.group_sums(common * (1.0 - 2.0 * share)) + (
            self.group_sums(share**2) * tries * k
        )
        squares = self.group_sums((observed - trials * mean[self.group]) ** 2)
        several = np.bincount(self.group[trials > 0], minlength=self.n_groups) > 1
        t = 0.0
        for _ in range(_STEPS):
            seen = np.maximum(1.0 - (1.0 + t * k) / tries, 0.0)
            used = several & (seen > _LEAST_SEEN)
            v = mean[used] * (1.0 - mean[used]) / seen[used]
            scale = float(v @ of_common[used])
            excess = float(np.sum(squares[used] - v * of_binomial[used]))
            t = float(np.clip(excess / scale, 0.0, 1.0)) if scale > 0 else 0.0
        return 1.0 + t * k

    def _shares(self, sizes: Floats) -> tuple[Floats, Floats]:
        """Return every cell's share of its group, and the sums of their squares by group."""
        total = np.maximum(self.group_sums(sizes), 1e-300)
        share = sizes / total[self.group]
        return share, self.group_sums(share**2)
