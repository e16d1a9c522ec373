"""Shares drawn towards a common mean where evidence is thin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .squarem import clip_probability

if TYPE_CHECKING:
    from numpy.typing import NDArray


def beta_means(
    hits: NDArray[np.float64],
    trials: NDArray[np.float64],
    prior_mean: float | None,
    prior_strength: float,
) -> tuple[NDArray[np.float64], float]:
    """Return (hits + mean * strength) / (trials + strength), Beta posterior means, and the mean.

    `prior_mean`: None for all hits by all trials. Without trials and strength a share is that mean.
    Shapes: `hits`, `trials` (m,).

    >>> shares, mean = beta_means(np.array([3.0, 0.0]), np.array([4.0, 0.0]), 0.5, 4.0)
    >>> shares.tolist(), mean
    ([0.625, 0.5], 0.5)
    """
    mean = float(hits.sum() / max(trials.sum(), 1e-300)) if prior_mean is None else prior_mean
    strength = np.where(trials > 0, prior_strength, 1.0)
    return clip_probability((hits + mean * strength) / (trials + strength)), mean
