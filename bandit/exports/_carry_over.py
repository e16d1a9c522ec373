"""What holds for every engine: numbers that are checked, weights that may not carry over."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ...errors import InvalidInputError
from .._normalise import check_method

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._normalise import FusionMethod


class CarryOverWarning(UserWarning):
    """The engine will not rank as the weights were learnt to rank."""


def check_counts(**counts: int) -> None:
    """Raise unless each is a whole number >= 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            msg = f"{name}: expected a whole number >= 1, got {count!r}"
            raise InvalidInputError(msg)


def check_candidates(candidates: int, size: int) -> None:
    """Raise unless the channels are asked for at least as many documents as are shown."""
    check_counts(candidates=candidates, size=size)
    if candidates < size:
        msg = f"candidates: got {candidates}, expected at least the size of {size}"
        raise InvalidInputError(msg)


def check_expressible(
    method: FusionMethod, expressible: tuple[FusionMethod, ...], engine: str
) -> None:
    """Raise unless the engine can fuse by the method."""
    check_method(method)
    if method not in expressible:
        ways = " or ".join(repr(each) for each in expressible)
        msg = (
            f"method: {engine} cannot fuse by {method!r}; learn the weights with method={ways} and "
            f"export those, or fuse in your own service with rankloom.bandit.fuse"
        )
        raise InvalidInputError(msg)


def say_whether_weights_carry_over(
    weights: Mapping[str, float], method: FusionMethod, learnt_with: FusionMethod
) -> None:
    """Warn where the method is not the one with which the weights were learnt.

    Equal weights hold nothing that was learnt, so there is nothing to warn about.
    """
    check_method(learnt_with, "learnt_with")
    if method == learnt_with or equal(weights):
        return
    ranks = "rrf" in {method, learnt_with}
    why = (
        "weights learnt for score fusion do not carry over to rank fusion, nor the other way round"
        if ranks
        else "a weight is tied to the scale of the scores that it multiplies"
    )
    warn(
        f"weights were learnt with {learnt_with!r} and are exported for {method!r}: {why}. Learn "
        f"them with fuse(..., method={method!r}) and pass learnt_with={method!r}"
    )


def equal(weights: Mapping[str, float]) -> bool:
    """Return whether all channels weigh the same."""
    return len(set(weights.values())) == 1


def warn(message: str) -> None:
    """Warn at the line that called the exporter."""
    warnings.warn(message, CarryOverWarning, stacklevel=4)
