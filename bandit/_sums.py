"""Decayed sums of evidence, all at one reference time: what the posteriors read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sums:
    """Decayed sums of closed and open units, all at one reference time.

    With decay w = 2^(-(time - first display) / half-life), times the share of the credit that the
    arm has in the unit:

    Attributes
    ----------
    arms : tuple of str
        feature_uris in the order of declaration.
    contexts : tuple of tuple of str, or None
        What the rows are: ``()`` is global, ``("segment", *values)`` a segment and
        ``("user", user_id)`` a user; None where the caller knows.
    time : int
        The reference time, in microseconds of UTC since 1970.
    N : ndarray of float64, shape (contexts, arms)
        sum w e: exposures, each counted with the examination e of its position.
    S : ndarray of float64, shape (contexts, arms)
        sum w r+: positive rewards, scaled so that the highest counts one success.
    F : ndarray of float64, shape (contexts, arms)
        sum w r-: the size of negative rewards, on the same scale.
    Q : ndarray of float64, shape (contexts, arms)
        sum w^2 e; the effective number of exposures is N^2 / Q.
    A : ndarray of float64, shape (contexts, arms + 1, arms + 1), or None
        sum w e z z', z = (x, 1), x the arms' scores as fused; here w is the decay alone. None
        where no scores were logged or the contexts are users.
    b : ndarray of float64, shape (contexts, arms + 1), or None
        sum w z c, c = r+ - r-.
    """

    arms: tuple[str, ...]
    contexts: tuple[tuple[str, ...], ...] | None
    time: int
    N: NDArray[np.float64]
    S: NDArray[np.float64]
    F: NDArray[np.float64]
    Q: NDArray[np.float64]
    A: NDArray[np.float64] | None = None
    b: NDArray[np.float64] | None = None
