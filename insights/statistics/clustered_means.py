"""Means by group, such as retriever, and their differences, with errors clustered by user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.clustered import ClusteredErrors, effective_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]


class Estimate(NamedTuple):
    """A number with its standard error.

    `degrees`: of freedom of Student's t: the effective number of clusters less one.
    """

    value: float
    error: float
    degrees: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the lower and upper end; NaN where there is no error."""
        from scipy import stats

        half = float(stats.t.ppf((1 + confidence) / 2, self.degrees)) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p-value of the hypothesis that the true value is 0; NaN without an error."""
        from scipy import stats

        if not self.error > 0:
            return float("nan")
        return float(2.0 * stats.t.sf(abs(self.value) / self.error, self.degrees))


def estimate_of(value: float, influence: Floats, sizes: Floats) -> Estimate:
    """Return an estimate from the influence of every cluster on it.

    `influence`, shape (clusters,): sums to about 0; the variance is
    ``(G - 1) / G sum_g influence_g^2`` (the jackknife). `sizes`, shape (clusters,): share of
    the observations; degrees of freedom follow from Kish's effective number of them, because few
    large clusters are worth as few clusters (Carter, Schnepel and Steigerwald, "Asymptotic
    Behavior of a t-Test Robust to Cluster Heterogeneity", 2017).
    """
    with_data = np.flatnonzero(sizes)
    n = len(with_data)
    errors = ClusteredErrors(np.arange(n))
    # That of plain influences has the factor G / (G - 1).
    error = errors.standard_error(influence[with_data] * (n - 1)) if n else float("nan")
    return Estimate(value, error, max(effective_size(sizes) - 1.0, 1.0))


def _sums(index: Codes, values: Floats, length: int) -> Floats:
    """Return the sum of the values of each index below `length`."""
    return np.asarray(np.bincount(index, weights=values, minlength=length), np.float64)


@dataclass(frozen=True)
class GroupedClusters:
    """Observations in groups and clusters; a cluster may have observations in several groups.

    Examples
    --------
    >>> sample = GroupedClusters(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), 2)
    >>> means = sample.means(np.array([1.0, 3.0, 4.0, 6.0]))
    >>> means.difference(1, 0).value
    3.0
    """

    # shape (n,): group of every observation, -1 where it has none
    group: Codes
    # shape (n,): cluster of every observation, numbers >= 0, best without gaps
    cluster: Codes
    groups: int

    @cached_property
    def clusters(self) -> int:
        """Number of clusters."""
        return int(self.cluster.max(initial=-1)) + 1

    @cached_property
    def _cells(self) -> tuple[Codes, Codes]:
        """Pairs of cluster and group that occur, and that of every observation with a group."""
        kept = self.group >= 0
        key = self.cluster[kept] * self.groups + self.group[kept]
        cells, index = np.unique(key, return_inverse=True)
        return cells, index

    def means(self, values: Floats) -> GroupMeans:
        """Return the mean of every group; `values`, shape (n,), NaN where there is none."""
        known = ~np.isnan(values)
        return self.ratios(np.where(known, values, 0.0), known.astype(np.float64))

    def ratios(self, numerator: Floats, denominator: Floats) -> GroupMeans:
        """Return the ratio of sums of every group; both of shape (n,), without NaN."""
        cells, index = self._cells
        kept = self.group >= 0
        return GroupMeans(
            cells // self.groups,
            cells % self.groups,
            _sums(index, numerator[kept], len(cells)),
            _sums(index, denominator[kept], len(cells)),
            self.groups,
            self.clusters,
        )


@dataclass(frozen=True)
class GroupMeans:
    """Means of groups as ratios of sums over cells, the pairs of a cluster and a group.

    The influence of a cluster on the mean m of a group is its effect when it is left out,
    ``(s_g - m n_g) / (N - n_g)`` (the jackknife; MacKinnon and Webb, "Wild Bootstrap Inference for
    Wildly Different Cluster Sizes", 2017, compare it with others for unequal clusters).
    """

    cluster: Codes  # shape (cells,)
    group: Codes  # shape (cells,)
    total: Floats  # shape (cells,)
    size: Floats  # shape (cells,): observations
    groups: int
    clusters: int

    @cached_property
    def sizes(self) -> Floats:
        """Observations of every group, shape (groups,)."""
        return _sums(self.group, self.size, self.groups)

    @cached_property
    def values(self) -> Floats:
        """Mean of every group, shape (groups,); NaN where it has no observation."""
        total = _sums(self.group, self.total, self.groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(total / self.sizes)

    @cached_property
    def _effects(self) -> Floats:
        """Influence of every cell on the mean of its group, shape (cells,)."""
        rest = self.sizes[self.group] - self.size
        with np.errstate(invalid="ignore", divide="ignore"):
            effect = (self.total - self.values[self.group] * self.size) / rest
        # The only cluster of a group leaves nothing behind: its effect is unknown, as is the error.
        effect[(rest <= 0) & (self.size > 0)] = np.nan
        effect[self.size == 0] = 0.0
        return effect

    def mean(self, group: int) -> Estimate:
        """Return the mean of a group."""
        of_group = self.group == group
        return estimate_of(float(self.values[group]), self._effects[of_group], self.size[of_group])

    def means(self) -> list[Estimate]:
        """Return the mean of every group."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], np.arange(self.groups + 1))
        parts = [order[starts[i] : starts[i + 1]] for i in range(self.groups)]
        return [
            estimate_of(float(self.values[i]), self._effects[part], self.size[part])
            for i, part in enumerate(parts)
        ]

    def difference(self, group: int, baseline: int) -> Estimate:
        """Return the mean of a group minus that of the baseline."""
        return self.contrast([group, baseline], [1.0, -1.0])

    def relative(self, group: int, baseline: int) -> Estimate:
        """Return the mean of a group over that of the baseline, minus 1, by the delta method."""
        of_group, of_baseline = float(self.values[group]), float(self.values[baseline])
        if not of_baseline > 0:
            return Estimate(float("nan"), float("nan"), 1.0)
        ratio = of_group / of_baseline
        found = self.contrast([group, baseline], [1.0 / of_baseline, -ratio / of_baseline])
        return found._replace(value=ratio - 1.0)

    def contrast(self, groups: list[int], factors: list[float]) -> Estimate:
        """Return a weighted sum of the means of some groups."""
        influence, share = np.zeros(self.clusters), np.zeros(self.clusters)
        for group, factor in zip(groups, factors, strict=True):
            at = np.flatnonzero(self.group == group)
            # A cluster has one cell in a group, so that no index repeats.
            influence[self.cluster[at]] += factor * self._effects[at]
            share[self.cluster[at]] += self.size[at] / max(self.sizes[group], 1.0)
        value = float(np.dot(self.values[groups], factors))
        return estimate_of(value, influence, share)
