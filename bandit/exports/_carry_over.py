"""Checks of all exports: numbers in range, and whether weights carry over to the search engine."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import InvalidInputError
from ..fusion.normalise import check_method

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fusion.normalise import FusionMethod


class CarryOverWarning(UserWarning):
    """The search engine will not rank as the weights were learnt to rank."""


@dataclass(frozen=True)
class Limits:
    """The largest numbers that a search engine takes."""

    engine: str
    rank_constant: int
    candidates: int

    def check(self, *, size: int, candidates: int, rank_constant: int, hint: str = "") -> None:
        """Raise unless all are whole numbers from 1 on and the search engine takes them.

        `size`, `candidates`, `rank_constant`: every channel must contribute at least as many
        documents as are returned. `hint`: how more candidates can be had.
        """
        check_count("size", size)
        check_count("candidates", candidates)
        check_count("rank_constant", rank_constant)
        if candidates < size:
            msg = f"candidates: got {candidates}, expected at least the size of {size}"
            raise InvalidInputError(msg)
        if candidates > self.candidates:
            msg = f"candidates: {self.engine} takes at most {self.candidates}, got {candidates}"
            raise InvalidInputError(msg + hint)
        if rank_constant > self.rank_constant:
            most = self.rank_constant
            msg = (
                f"rank_constant: {self.engine} takes at most {most}, got {rank_constant}; learn "
                "the weights with that one, or fuse in your own service with rankloom.bandit.fuse"
            )
            raise InvalidInputError(msg)


def check_count(name: str, count: int) -> None:
    """Raise unless a parameter is a whole number from 1 on."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        msg = f"{name}: expected a whole number >= 1, got {count!r}"
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


def warn_unless_carried_over(
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
        f"them with fuse(..., method={method!r}) and pass learnt_with={method!r}",
        depth=2,
    )


def equal(weights: Mapping[str, float]) -> bool:
    """Return whether all channels weigh the same."""
    return len(set(weights.values())) == 1


def warn(message: str, *, depth: int = 1) -> None:
    """Warn at the line that called the exporter, which lies `depth` calls above this one."""
    warnings.warn(message, CarryOverWarning, stacklevel=depth + 2)
