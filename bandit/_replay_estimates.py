"""What weights would have been worth, with standard errors over users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._replay_pools import Pools

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


PRIOR: Final = 1.0
"""Examinations that the mean of all documents is worth, where a document's own rate is modelled."""


class Target(NamedTuple):
    """What a gain counts where some weights, or those that were served, put it.

    Attributes
    ----------
    document : ndarray of float64, shape (m,)
        Discount of every document of a pool, the mean over the pool's lists.
    display : ndarray of float64, shape (n,), or None
        Discount of every display, where the lists of one pool differ.
    """

    document: Floats
    display: Floats | None = None


class Contributions(NamedTuple):
    """A mean over lists, and what each list adds to its deviation."""

    value: float
    influence: Floats


def contributions(pools: Pools, execution: Integers, gain: Floats, target: Target) -> Contributions:
    """Estimate the value of a target: sum over documents of discount x gain per examination.

    Parameters
    ----------
    pools : Pools
    execution : ndarray of int64, shape (n,)
        List of every display.
    gain : ndarray of float64, shape (n,)
    target : Target

    Notes
    -----
    The estimate is a doubly robust one whose model m is the document's own rate, so that the two
    coincide (Oosterhuis, "Doubly-Robust Estimation for Correcting Position-Bias in Click Feedback
    for Unbiased Learning to Rank", TOIS 2023). The influence of list i takes m from the other
    lists, leaning on the mean of all documents with the weight of one examination:
    sum_d discount(d) m(d) + sum over its displays of discount / propensity * (c - e m).
    """
    lists = len(pools.of_list)
    documents = len(pools.pool)
    total = np.bincount(pools.of_row, weights=gain, minlength=documents).astype(np.float64)
    worth = total / pools.seen
    others = _worth_elsewhere(pools, total, gain)
    lever = (target.document / pools.propensity)[pools.of_row]
    parts = lever * (gain - pools.examination * others)
    if target.display is None:
        smooth = _smooth(total, pools.seen, total.sum() / pools.seen.sum())
        parts += target.document[pools.of_row] * (others - smooth[pools.of_row])
        value = _mean_of_pools(pools, target.document * worth).mean()
        base = _mean_of_pools(pools, target.document * smooth)
    else:
        parts += target.display * others
        shown = target.display * worth[pools.of_row]
        value = np.bincount(execution, weights=shown, minlength=lists).mean()
        base = np.zeros(lists)
    influence = base + np.bincount(execution, weights=parts, minlength=lists)
    return Contributions(float(value), influence - influence.mean())


def _mean_of_pools(pools: Pools, worth: Floats) -> Floats:
    """Return the sum over a pool's documents, for every list."""
    total = np.bincount(pools.pool, weights=worth, minlength=len(pools.lists))
    return np.asarray(total[pools.of_list], np.float64)


def _worth_elsewhere(pools: Pools, total: Floats, gain: Floats) -> Floats:
    """Return what a document is worth by all displays but this one; shape (n,).

    A residual against an estimate that knows the display itself is too small, and 0 for a document
    that was shown once.
    """
    overall = float(total.sum() / pools.seen.sum())
    left = np.maximum(pools.seen[pools.of_row] - pools.examination, 0.0)
    return _smooth(total[pools.of_row] - gain, left, overall)


def _smooth(total: Floats, seen: Floats, overall: float) -> Floats:
    return np.asarray((total + PRIOR * overall) / (seen + PRIOR))


@dataclass(frozen=True)
class Spread:
    """Standard errors of means over lists whose clusters are independent.

    Attributes
    ----------
    cluster : ndarray of int64, shape (e,)
        From 0 on.
    """

    cluster: Integers

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(np.unique(self.cluster))

    def error(self, influence: Floats) -> float:
        """Return the standard error of a mean over lists.

        sqrt(G / (G - 1) sum_g (sum_{i in g} influence_i)^2) / e (Liang and Zeger, "Longitudinal
        Data Analysis Using Generalized Linear Models", Biometrika 1986).
        """
        count = self.count
        if count < 2:
            return float("nan")
        sums = np.bincount(self.cluster, weights=influence)
        return float(np.sqrt(count / (count - 1) * np.sum(sums**2))) / len(influence)

    def reach(self, one_sided: float) -> float:
        """Return how many standard errors a one-sided bound lies below (Student's t)."""
        from scipy import stats

        return float(stats.t.ppf(one_sided, max(self.count - 1, 1)))

    def p_value(self, value: float, error: float) -> float:
        """Return the two-sided p of a mean, by Student's t."""
        from scipy import stats

        if not error > 0:
            return 1.0 if value == 0 else 0.0
        return float(2.0 * stats.t.sf(abs(value) / error, max(self.count - 1, 1)))


def effective_displays(pools: Pools, target: Target) -> float:
    """Return (sum a)^2 / sum a^2 over displays, a = discount / propensity (Kish 1965)."""
    lever = (target.document / pools.propensity)[pools.of_row]
    square = float((lever**2).sum())
    return float(lever.sum()) ** 2 / square if square else 0.0
