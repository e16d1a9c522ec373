"""Whether more of a channel's score goes with more reward, as the weights take it to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.sums import Sums

    Floats = NDArray[np.float64]

_ERRORS: Final = 4.0
"""Standard errors below 0 that a slope must be: one channel in 30,000 is by chance."""


def descending_channels(sums: Sums) -> tuple[str, ...]:
    """Return the channels whose higher scores clearly go with less reward, as distances do.

    The slope of a channel in the least-squares fit theta = A^-1 b of the reward of an examined
    document, beside the other channels and the intercept and also by itself, is more than four
    standard errors below 0. Rewards count as Poisson counts of rate r = b_0 / A_00, those of the
    intercept, so that the covariance of b is at most r A, and that of theta r A^-1.

    Parameters
    ----------
    sums : Sums
        Of one context, the first one counts.

    Examples
    --------
    >>> from rankloom.bandit import Evidence
    >>> rows = []
    >>> for n in range(200):
    ...     types = ["impression", "click"] if n % 2 else ["impression"]
    ...     x = {"near": {"score": n % 3 * 0.4}, "far": {"score": 1 - n % 2 * 0.8}}
    ...     rows.append({"execution_id": f"e{n}", "feature_id": "d", "position": 0,
    ...                  "interaction_type": types, "timestamp": "2026-01-31",
    ...                  "metadata": {"features": x}})
    >>> evidence = Evidence(["near", "far"])
    >>> _ = evidence.update(rows)
    >>> descending_channels(evidence.sums())
    ('far',)
    """
    if sums.A is None or sums.b is None or not sums.b[0, -1] > 0.0:
        return ()
    A, b = sums.A[0], sums.b[0]
    rate = b[-1] / A[-1, -1]
    together = _is_descending(A, b, rate)[:-1]
    alone = [
        _is_descending(A[np.ix_([j, -1], [j, -1])], b[[j, -1]], rate)[0]
        for j in range(len(sums.arms))
    ]
    return tuple(np.array(sums.arms)[together & np.array(alone)].tolist())


def direction_note(channels: tuple[str, ...]) -> str:
    """Return what to say of channels whose higher scores go with less reward."""
    names = ", ".join(map(repr, channels))
    return (
        f"higher scores of {names} clearly go with fewer rewards, but weights take higher scores "
        "as better. If they are distances, log similarities instead, such as 1 / (1 + distance)"
    )


def _is_descending(A: Floats, b: Floats, rate: float) -> NDArray[np.bool_]:
    # Channels that were never logged, or always the same, leave A singular.
    inverse = np.linalg.pinv(A, hermitian=True)
    error = np.sqrt(np.maximum(rate * np.diag(inverse), 0.0))
    return np.asarray((error > 0.0) & (inverse @ b < -_ERRORS * error))
