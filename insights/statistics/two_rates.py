"""Whether one of two rates is higher, by the exact conditional test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .tails import binomial_at_least, binomial_at_most

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def rate_above(
    events: Floats, exposure: Floats, other_events: Floats, other_exposure: Floats, ratio: float
) -> Floats:
    """Return p of a rate being at most `ratio` times another.

    For ``C ~ Poisson(E r)`` and ``C' ~ Poisson(E' r')``, C given ``C + C' = n`` is binomial with
    the share ``ratio E / (ratio E + E')`` where ``r = ratio r'`` (Przyborowski and Wilenski,
    Biometrika 1940). NaN without exposure on either side. All of shape (m,).

    >>> one = np.array([1.0])
    >>> rate_above(np.array([2.0]), one, np.array([0.0]), one, 1.0).tolist()
    [0.25]
    """
    share = ratio * exposure / np.maximum(ratio * exposure + other_exposure, 1e-300)
    p = binomial_at_least(events, events + other_events, share)
    return np.where((exposure > 0) & (other_exposure > 0), p, np.nan)


def rate_below(
    events: Floats, exposure: Floats, other_events: Floats, other_exposure: Floats, ratio: float
) -> Floats:
    """Return p of a rate being at least another one over `ratio`; see `rate_above`.

    >>> one = np.array([1.0])
    >>> rate_below(np.array([0.0]), one, np.array([2.0]), one, 1.0).tolist()
    [0.25]
    """
    share = exposure / np.maximum(exposure + ratio * other_exposure, 1e-300)
    p = binomial_at_most(events, events + other_events, share)
    return np.where((exposure > 0) & (other_exposure > 0), p, np.nan)
