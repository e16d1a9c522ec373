"""Control of false discoveries among many tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.checks import checked_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def adjusted_p_values(p: ArrayLike) -> NDArray[np.float64]:
    """Return the lowest rate of false discoveries at which each test is a discovery.

    Parameters
    ----------
    p : array-like of float, shape (m,)
        A p-value for each test; NaN where nothing was tested.

    Returns
    -------
    ndarray of float64, shape (m,)
        ``min over j >= i of p_(j) m / j``, at most 1, with p_(1) <= ... <= p_(m) in order; NaN
        where p is NaN, which does not count towards m.

    Notes
    -----
    Calling a discovery what is at most q keeps the expected share of false discoveries at q or
    below where tests are independent or positively dependent [1]_, and where a p-value under the
    null hypothesis is at most u with a probability of at most u.

    References
    ----------
    .. [1] Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", Journal of the
       Royal Statistical Society B 57 (1995); Y. Benjamini and D. Yekutieli, "The Control of the
       False Discovery Rate in Multiple Testing under Dependency", Annals of Statistics 29 (2001).

    Examples
    --------
    >>> adjusted_p_values([0.01, 0.5, 0.02, float("nan")]).tolist()
    [0.03, 0.5, 0.03, nan]
    """
    from scipy import stats

    given = np.asarray(p, np.float64)
    adjusted = np.full(len(given), np.nan)
    tested = ~np.isnan(given)
    adjusted[tested] = stats.false_discovery_control(given[tested])
    return adjusted


def discoveries(p: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Return which tests are discoveries at a rate of false ones (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p : array-like of float, shape (m,)
        NaN where nothing was tested.
    rate : float
        Between 0 and 1.

    Returns
    -------
    ndarray of bool, shape (m,)

    Examples
    --------
    >>> discoveries([0.01, 0.5, 0.02], rate=0.05).tolist()
    [True, False, True]
    """
    checked_number("rate", rate, 0, 1, between=True)
    return np.asarray(adjusted_p_values(p) <= rate)
