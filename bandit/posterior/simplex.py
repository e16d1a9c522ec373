"""From success rates to weights: sharpen, then hold floors, caps and the sum of 1 together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_SHARPNESS: Final = 8.0
"""Exponent of success rates with unlimited evidence."""

MAX_SLOPE_SHARPNESS: Final = 2.0
"""Exponent of slopes with unlimited evidence."""

HALFWAY: Final = 1000.0
"""Effective exposures n0 at which exponents are half-way between 1 and their maximum."""

ROUNDING: Final = 1e-12
_SMALLEST = 1e-300


def sharpness(exposures: float, most: float = MAX_SHARPNESS, halfway: float = HALFWAY) -> float:
    """Return the exponent gamma = 1 + (most - 1) n / (n + n0), n the effective exposures.

    It acts as an inverse temperature: weights are a softmax of gamma times log success rates.
    Success rates of channels lie close together, because channels find the same good documents;
    and slopes are flattened, because the fused score chose what was shown. Fused rankings gain
    from weights further apart. An exponent that is high from the start sharpens noise instead.

    >>> sharpness(0.0), sharpness(1000.0)
    (1.0, 4.5)
    """
    return 1.0 + (most - 1.0) * exposures / (exposures + halfway)


def sharpen(theta: Floats, gamma: float) -> Floats:
    """Return weights proportional to theta^gamma that sum to 1.

    Taken relative to the largest, so that nothing overflows; `theta` needs one positive value.

    >>> import numpy as np
    >>> sharpen(np.array([0.2, 0.4]), 2.0)
    array([0.2, 0.8])
    """
    powers = (theta / theta.max()) ** gamma
    return np.asarray(powers / powers.sum())


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest weight of an arm.

    >>> import numpy as np
    >>> Bounds.of(5)
    Bounds(floor=0.05, cap=0.95)
    >>> Bounds.of(5, cap=0.4).project(np.array([0.9, 0.04, 0.03, 0.02, 0.01])).round(3)
    array([0.4 , 0.24, 0.18, 0.12, 0.06])
    """

    floor: float
    cap: float

    @classmethod
    def of(cls, arms: int, *, floor: float | None = None, cap: float | None = None) -> Bounds:
        """Return bounds for a number of arms, checked.

        `floor`: by default min(0.05, 1 / (4 arms)). `cap`: by default max(0.95, 1 - (arms - 1)
        floor). Raises InvalidInputError if no weights within the bounds sum to 1.
        """
        lowest = min(0.05, 0.25 / arms) if floor is None else float(floor)
        highest = max(0.95, 1.0 - (arms - 1) * lowest) if cap is None else float(cap)
        if not 0.0 <= lowest <= 1.0 / arms + ROUNDING:
            msg = (
                f"floor: got {lowest:g}, expected between 0 and 1 / {arms} = {1 / arms:g}: "
                f"{arms} weights of at least {lowest:g} cannot sum to 1. Lower the floor"
            )
            raise InvalidInputError(msg)
        if not 1.0 / arms - ROUNDING <= highest <= 1.0:
            msg = (
                f"cap: got {highest:g}, expected between 1 / {arms} = {1 / arms:g} and 1: "
                f"{arms} weights of at most {highest:g} cannot sum to 1. Raise the cap"
            )
            raise InvalidInputError(msg)
        return cls(lowest, highest)

    def project(self, weights: Floats) -> Floats:
        """Return the weights clip(t w, floor, cap), with the t that makes them sum to 1.

        Weights strictly inside the bounds keep their ratios; weights that hold everything already
        come back unchanged.

        `weights`, shape (arms,): not negative, with a positive sum.
        """
        values = weights.tolist()
        total = math.fsum(values)
        if abs(total - 1.0) <= ROUNDING and min(values) >= self.floor and max(values) <= self.cap:
            return weights
        return np.array(_water_filling(values, self.floor, self.cap))


def _water_filling(weights: list[float], floor: float, cap: float) -> list[float]:
    """Scale to sum 1 and hold arms at their bounds, round by round.

    In every round the side that is violated more in sum is fixed: what it takes from the others,
    or gives them, can only push more arms beyond that side. In plain numbers, because a dozen
    array operations on five arms take longer than drawing them.
    """
    placed = [0.0] * len(weights)
    left, free = 1.0, [(arm, max(weight, _SMALLEST)) for arm, weight in enumerate(weights)]
    while free:
        scale = left / math.fsum(weight for _, weight in free)
        low = high = 0.0
        for arm, weight in free:
            share = weight * scale
            placed[arm] = min(max(share, floor), cap)
            low += max(floor - share, 0.0)
            high += max(share - cap, 0.0)
        if low == high:
            break
        bound = floor if low > high else cap
        held = [arm for arm, _ in free if placed[arm] == bound]
        left -= bound * len(held)
        free = [(arm, weight) for arm, weight in free if placed[arm] != bound]
    return placed
