"""Sums over rows, and shares that lean on a common mean where evidence is thin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._squarem import inside

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sums(index: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sum values by an index from 0 to size - 1."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64, copy=False)


def leaning_shares(
    hits: NDArray[np.float64],
    trials: NDArray[np.float64],
    prior_mean: float | None,
    prior_strength: float,
) -> tuple[NDArray[np.float64], float]:
    """Return (hits + mean * strength) / (trials + strength), Beta posterior means, and the mean.

    Parameters
    ----------
    hits, trials : ndarray of float64, shape (m,)
    prior_mean : float or None
        None for all hits by all trials. Without trials and strength a share is that mean.
    prior_strength : float

    Examples
    --------
    >>> shares, mean = leaning_shares(np.array([3.0, 0.0]), np.array([4.0, 0.0]), 0.5, 4.0)
    >>> shares.tolist(), mean
    ([0.625, 0.5], 0.5)
    """
    mean = float(hits.sum() / max(trials.sum(), 1e-300)) if prior_mean is None else prior_mean
    strength = np.where(trials > 0, prior_strength, 1.0)
    return inside((hits + mean * strength) / (trials + strength)), mean
