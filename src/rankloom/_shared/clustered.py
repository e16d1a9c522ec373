"""Standard errors of means over dependent observations, and what unequal weights are worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClusteredErrors:
    """Standard errors of means over observations whose clusters are independent.

    >>> errors = ClusteredErrors(np.array([0, 0, 1, 2]))
    >>> round(errors.standard_error(np.array([-1.0, 0.0, 0.0, 1.0])), 4)
    0.433
    """

    # shape (n,): cluster of every observation, such as its user; numbers >= 0, best without gaps
    cluster: NDArray[np.int64]

    @cached_property
    def count(self) -> int:
        """Number of clusters that have an observation."""
        return int(np.count_nonzero(np.bincount(self.cluster)))

    def standard_error(self, influence: Floats) -> float:
        """Return the standard error of a mean from the influence of every observation on it.

        sqrt(G / (G - 1) sum_g (sum_{i in g} influence_i)^2) / n, over G clusters (Liang and Zeger,
        "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 1986); NaN for
        less than two clusters. The influence of an observation on a plain mean is its deviation.
        """
        if self.count < 2:
            return float("nan")
        sums = np.bincount(self.cluster, weights=influence)
        variance = self.count / (self.count - 1) * float(np.sum(sums**2))
        return float(np.sqrt(variance)) / len(influence)

    def t_quantile(self, probability: float) -> float:
        """Return the quantile of Student's t with one degree of freedom less than clusters."""
        from scipy import stats

        return float(stats.t.ppf(probability, max(self.count - 1, 1)))

    def p_value(self, value: float, error: float) -> float:
        """Return the two-sided p of a mean with this standard error, by Student's t."""
        from scipy import stats

        if not error > 0:
            return 1.0 if value == 0 else 0.0
        return float(2.0 * stats.t.sf(abs(value) / error, max(self.count - 1, 1)))


def effective_size(weight: Floats) -> float:
    """Return (sum w)^2 / sum w^2: as many equal weights would tell as much (Kish 1965).

    0 without any weight above 0.

    >>> effective_size(np.array([1.0, 1.0, 2.0])).__round__(4)
    2.6667
    """
    squares = float(np.sum(weight**2))
    return float(np.sum(weight)) ** 2 / squares if squares > 0 else 0.0
