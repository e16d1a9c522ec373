"""Fixed points of expectation-maximisation, reached in fewer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

T = TypeVar("T")

LOWEST = 1e-6
LONGEST_STRIDE = 30.0


def accelerated_step(
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]], here: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Extrapolate two steps on the log-odds scale, then steady the result by a third.

    SQUAREM, scheme S3 (Varadhan and Roland, Scandinavian Journal of Statistics 2008), on
    probabilities.
    """
    once = step(here)
    twice = step(once)
    origin = _log_odds(here)
    first = _log_odds(once) - origin
    change = _log_odds(twice) - origin - 2 * first
    length = float(np.linalg.norm(change))
    if length == 0.0:
        return twice
    stride = float(np.clip(np.linalg.norm(first) / length, 1.0, LONGEST_STRIDE))
    return step(inside(_chance(origin + 2 * stride * first + stride**2 * change)))


def converge(
    step: Callable[[T], T],
    start: T,
    moved: Callable[[T, T], float],
    tolerance: float,
    max_iterations: int,
) -> tuple[T, int]:
    """Repeat a step until it moves by less than the tolerance; return where, and the steps."""
    here = start
    for iteration in range(1, max_iterations + 1):
        before, here = here, step(here)
        if moved(before, here) < tolerance:
            return here, iteration
    return here, max_iterations


def inside(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep probabilities off 0 and 1, which expectation-maximisation cannot leave."""
    return np.clip(chance, LOWEST, 1 - LOWEST)


def _log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(chance) - np.log1p(-chance)


def _chance(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(odds, -40, 40)))
