"""Probabilities of counts as large, or as small, as those observed.

Counts may be fractions: a count over its dispersion is tested like a count of its own (quasi
likelihood; McCullagh and Nelder, "Generalized Linear Models", 1989, chapter 9). SciPy's incomplete
functions exceed 1 by rounding; what is returned does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def poisson_at_least(count: Floats, mean: Floats) -> Floats:
    """Return P(X >= count) for Poisson counts with these means.

    >>> poisson_at_least(np.array([0.0, 1.0]), np.array([2.0, 2.0])).round(4).tolist()
    [1.0, 0.8647]
    """
    from scipy.special import gammainc

    at_least = np.minimum(gammainc(np.maximum(count, 1e-300), mean), 1.0)
    return np.where(count > 0, at_least, 1.0)


def poisson_at_most(count: Floats, mean: Floats) -> Floats:
    """Return P(X <= count) for Poisson counts with these means.

    >>> poisson_at_most(np.array([0.0]), np.array([2.0])).round(4).tolist()
    [0.1353]
    """
    from scipy.special import gammaincc

    return np.asarray(np.minimum(gammaincc(count + 1.0, mean), 1.0))


def binomial_at_least(count: Floats, trials: Floats, share: Floats) -> Floats:
    """Return P(X >= count) for binomial counts.

    >>> half = np.array([0.5])
    >>> binomial_at_least(np.array([2.0]), np.array([2.0]), half).round(4).tolist()
    [0.25]
    """
    from scipy.special import betainc

    rest = np.maximum(trials - count, 0.0) + 1.0
    at_least = betainc(np.maximum(count, 1e-300), rest, np.clip(share, 0.0, 1.0))
    return np.where(count > 0, np.minimum(at_least, 1.0), 1.0)


def binomial_at_most(count: Floats, trials: Floats, share: Floats) -> Floats:
    """Return P(X <= count) for binomial counts.

    >>> half = np.array([0.5])
    >>> binomial_at_most(np.array([0.0]), np.array([2.0]), half).round(4).tolist()
    [0.25]
    """
    return binomial_at_least(trials - count, trials, 1.0 - np.asarray(share))
