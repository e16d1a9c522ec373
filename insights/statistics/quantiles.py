"""Quantiles by group, such as the latency of retrievers, with errors clustered by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .clustered_means import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .clustered_means import GroupedClusters

    Floats = NDArray[np.float64]


def grouped_quantile(sample: GroupedClusters, values: Floats, quantile: float) -> list[Estimate]:
    """Return a quantile of every group.

    The error is that of the share of values up to the quantile, carried over by the quantiles that
    lie one error below and above (Woodruff, "Confidence Intervals for Medians and Other Position
    Measures", 1952).

    `values`, shape (n,): NaN where there is none. `quantile`: between 0 and 1.

    >>> from rankloom.insights.statistics.clustered_means import GroupedClusters
    >>> n = np.arange(1000)
    >>> (median,) = grouped_quantile(GroupedClusters(n * 0, n, 1), n.astype(float), 0.5)
    >>> median.value, round(median.error, 1)
    (499.5, 15.8)
    """
    return [_quantile(sample, values, quantile, group) for group in range(sample.groups)]


def quantile_difference(estimate: Estimate, baseline: Estimate) -> Estimate:
    """Return the difference of the quantiles of two groups, as if they were independent.

    Users who have both are slow or fast in both, so that the error is rather too large.
    """
    return Estimate(
        estimate.value - baseline.value,
        float(np.hypot(estimate.error, baseline.error)),
        min(estimate.degrees, baseline.degrees),
    )


def _quantile(sample: GroupedClusters, values: Floats, quantile: float, group: int) -> Estimate:
    known = (sample.group == group) & ~np.isnan(values)
    if not known.any():
        return Estimate(float("nan"), float("nan"), 1.0)
    ordered = np.sort(values[known])
    value = float(np.quantile(ordered, quantile))
    below = np.where(known, values <= value, np.nan)
    share = sample.means(below).mean(group)
    if np.isnan(share.error):
        return Estimate(value, float("nan"), 1.0)
    ends = np.clip([quantile - share.error, quantile + share.error], 0.0, 1.0)
    low, high = np.quantile(ordered, ends)
    return Estimate(value, float(high - low) / 2.0, share.degrees)
