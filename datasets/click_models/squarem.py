"""Fixed points of expectation-maximisation, reached in fewer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

T = TypeVar("T")

MIN_PROBABILITY = 1e-6
MAX_STRIDE = 30.0


def accelerated_step(
    step: Callable[[NDArray[np.float64]], NDArray[np.float64]], current: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Extrapolate two steps on the log-odds scale, then stabilise the result by a third.

    SQUAREM, scheme S3 (Varadhan and Roland, Scandinavian Journal of Statistics 2008), on
    probabilities.
    """
    once = step(current)
    twice = step(once)
    origin = _log_odds(current)
    first = _log_odds(once) - origin
    change = _log_odds(twice) - origin - 2 * first
    length = float(np.linalg.norm(change))
    if length == 0.0:
        return twice
    stride = float(np.clip(np.linalg.norm(first) / length, 1.0, MAX_STRIDE))
    return step(clip_probability(_chance(origin + 2 * stride * first + stride**2 * change)))


def converge(
    step: Callable[[T], T],
    start: T,
    moved: Callable[[T, T], float],
    tolerance: float,
    max_iterations: int,
) -> tuple[T, int]:
    """Repeat a step until it moves by less than the tolerance; return where, and the steps."""
    current = start
    for iteration in range(1, max_iterations + 1):
        before, current = current, step(current)
        if moved(before, current) < tolerance:
            return current, iteration
    return current, max_iterations


def clip_probability(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep probabilities off 0 and 1, which expectation-maximisation cannot leave."""
    return np.clip(chance, MIN_PROBABILITY, 1 - MIN_PROBABILITY)


def _log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(chance) - np.log1p(-chance)


def _chance(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(odds, -40, 40)))  # beyond, the result rounds to 0 or 1
