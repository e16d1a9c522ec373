"""Rates of events by exposure, drawn towards the rate of all where evidence is thin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.checks import checked_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MAX_STRENGTH: Final = 1e6
"""Exposure that the prior counts as where the groups' rates do not differ."""

MIN_STRENGTH: Final = 0.5

_STEPS: Final = 60


@dataclass(frozen=True)
class ShrunkRates:
    """Posterior of each group's rate.

    Attributes
    ----------
    rate, lower, upper : ndarray of float64, shape (m,)
        Mean and equal-tailed credible interval.
    mean : ndarray of float64, shape (m,)
        Of the prior.
    strength : float
        Exposure that the prior counts as.
    """

    rate: Floats
    lower: Floats
    upper: Floats
    mean: Floats
    strength: float


def shrunk_rates(
    events: ArrayLike,
    exposure: ArrayLike,
    *,
    mean: ArrayLike | None = None,
    strength: float | None = None,
    confidence: float = 0.9,
) -> ShrunkRates:
    """Return rates of events by exposure with credible intervals.

    Parameters
    ----------
    events, exposure : array-like of float, shape (m,)
        Of every group: such as clicks, and examination summed over displays.
    mean : array-like of float, shape (m,) or (), optional
        What is expected of each group's rate; None: all events by all exposure.
    strength : float, optional
        Exposure that the prior counts as; None: see `prior_strength`.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    ShrunkRates

    Notes
    -----
    With ``C ~ Poisson(E r)`` and ``r ~ Gamma(k m, k)`` the posterior is ``Gamma(k m + C, k + E)``,
    of mean ``(C + k m) / (E + k)`` (Gelman et al., "Bayesian Data Analysis", section 2.6).

    Examples
    --------
    >>> found = shrunk_rates([3, 0], [10, 0], mean=0.1, strength=10)
    >>> found.rate.tolist(), bool(found.lower[0] > found.lower[1])
    ([0.2, 0.1], True)
    """
    from scipy.special import gammaincinv

    checked_number("confidence", confidence, 0, 1, between=True)
    events, exposure = np.asarray(events, np.float64), np.asarray(exposure, np.float64)
    if mean is None:
        mean = events.sum() / max(exposure.sum(), 1e-300)
    prior = np.maximum(np.broadcast_to(np.asarray(mean, np.float64), events.shape), 1e-12)
    k = prior_strength(events, exposure, prior) if strength is None else strength
    shape, scale = k * prior + events, k + exposure
    tail = (1.0 - confidence) / 2.0
    return ShrunkRates(
        rate=shape / scale,
        lower=gammaincinv(shape, tail) / scale,
        upper=gammaincinv(shape, 1.0 - tail) / scale,
        mean=prior,
        strength=k,
    )


def shrunk_shares(events: ArrayLike, trials: ArrayLike, *, confidence: float = 0.9) -> ShrunkRates:
    """Return shares of trials with credible intervals, drawn towards the share of all groups.

    Parameters
    ----------
    events, trials : array-like of float, shape (m,)
        Of every group; fractions are possible.
    confidence : float
        Of the interval, between 0 and 1.

    Returns
    -------
    ShrunkRates

    Notes
    -----
    With ``X ~ Binomial(n, p)`` and ``p ~ Beta(k m, k (1 - m))`` the posterior is
    ``Beta(k m + X, k (1 - m) + n - X)``. The strength k is ``1 / t - 1``, with t such that
    ``sum ((X - n m)^2 / (n m (1 - m) (1 + (n - 1) t)) - 1) = 0``.

    Examples
    --------
    >>> found = shrunk_shares([5, 0, 0], [5, 5, 0])
    >>> found.mean.tolist(), bool(found.rate[0] > 0.5 > found.rate[1]), found.rate[2].round(6)
    ([0.5, 0.5, 0.5], True, np.float64(0.5))
    """
    from scipy.special import betaincinv

    checked_number("confidence", confidence, 0, 1, between=True)
    events, trials = np.asarray(events, np.float64), np.asarray(trials, np.float64)
    mean = float(np.clip(events.sum() / max(trials.sum(), 1e-300), 1e-6, 1 - 1e-6))
    k = _strength_of_shares(events, trials, mean)
    a, b = k * mean + events, k * (1.0 - mean) + np.maximum(trials - events, 0.0)
    tail = (1.0 - confidence) / 2.0
    return ShrunkRates(
        rate=a / (a + b),
        lower=np.asarray(betaincinv(a, b, tail), np.float64),
        upper=np.asarray(betaincinv(a, b, 1.0 - tail), np.float64),
        mean=np.full(len(events), mean),
        strength=k,
    )


def _strength_of_shares(events: Floats, trials: Floats, mean: float) -> float:
    used = trials > 1
    events, trials = events[used], trials[used]
    own = trials * mean * (1.0 - mean)

    def excess(t: float) -> float:
        return float(np.sum((events - trials * mean) ** 2 / (own * (1 + (trials - 1) * t)) - 1.0))

    if len(events) < 2 or excess(0.0) <= 0:
        return MAX_STRENGTH
    t = _root(excess, 0.0, 1.0)
    return float(np.clip(1.0 / t - 1.0, MIN_STRENGTH, MAX_STRENGTH))


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is 0, or the end of the interval that is nearer to it."""
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def prior_strength(events: Floats, exposure: Floats, mean: Floats) -> float:
    """Return the exposure that the prior counts as, by empirical Bayes.

    The spread of the groups' rates beyond chance: with ``Var C = E m + (E m)^2 v``, v is where
    ``sum ((C - E m)^2 / (E m + (E m)^2 v) - 1) = 0`` (moments, weighed by their variances), and
    ``k = 1 / (v m)`` with the mean of m; `MAX_STRENGTH` where there is no spread.

    >>> events, exposure, mean = (np.array(pair) for pair in ([50, 150], [1e3, 1e3], [0.1, 0.1]))
    >>> round(prior_strength(events, exposure, mean), 1)
    41.7
    """
    expected = exposure * mean
    used = expected > 0
    expected, events, mean = expected[used], events[used], mean[used]

    def excess(v: float) -> float:
        return float(np.sum((events - expected) ** 2 / (expected + expected**2 * v) - 1.0))

    if len(expected) < 2 or excess(0.0) <= 0:
        return MAX_STRENGTH
    high = 1.0
    while excess(high) > 0 and high < 1e9:
        high *= 4.0
    typical = float(np.average(mean, weights=expected))
    return min(1.0 / (_root(excess, 0.0, high) * typical), MAX_STRENGTH)
