"""Scores of many result lists brought to one scale, all lists in one pass.

Every method maps the scores of one list (one channel's answer to one query) to numbers x >= 0 that
rise with the score, so that 0 is left for the documents that the channel did not find: a document
that was found never counts less than one that was missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

FusionMethod = Literal["min_max", "z_score", "distribution", "rrf"]
METHODS: tuple[FusionMethod, ...] = get_args(FusionMethod)


def check_method(method: str, parameter: str = "method") -> None:
    """Raise unless the text names a method of fusion."""
    if method not in METHODS:
        msg = f"{parameter}: got {method!r}, expected one of {', '.join(METHODS)}."
        raise InvalidInputError(msg + did_you_mean(str(method), METHODS))


@dataclass(frozen=True)
class Runs:
    """Neighbouring rows that belong together: the rows of one list, or of one document."""

    start: Integers  # shape (runs,): first row of each run; none is empty
    of_row: Integers  # shape (rows,): the run of each row

    @classmethod
    def of(cls, *keys: NDArray[Any]) -> Runs:
        """Return the runs of rows that agree in all keys."""
        opens = np.ones(len(keys[0]), dtype=np.bool_)
        opens[1:] = keys[0][1:] != keys[0][:-1]
        for key in keys[1:]:
            opens[1:] |= key[1:] != key[:-1]
        return cls(np.flatnonzero(opens), np.cumsum(opens) - 1)

    def sums(self, values: Floats) -> Floats:
        """Add up the values of each run, from its first row to its last."""
        return np.asarray(np.bincount(self.of_row, weights=values), dtype=np.float64)

    def places(self) -> Integers:
        """Return the number of each row within its run, from 0."""
        return np.arange(len(self.of_row)) - self.start[self.of_row]


def normalise(scores: Floats, lists: Runs, method: FusionMethod, rank_constant: float) -> Floats:
    """Return x >= 0 for each score, by the scores of its own list.

    Lists without two different scores get 1, or 0.5 by "distribution".

    Raises InvalidInputError if the scores of a list lie further apart than a float64 can say.
    """
    if method == "rrf":
        return _reciprocal_ranks(scores, lists, rank_constant)
    unit, flat = _min_max(scores, lists)
    if method == "min_max":
        return unit
    count = np.bincount(lists.of_row)
    deviation = unit - (lists.sums(unit) / count)[lists.of_row]
    variance = lists.sums(deviation * deviation) / np.maximum(count - 1, 1)
    sigma = np.where(flat, 1.0, np.sqrt(variance))[lists.of_row]
    if method == "z_score":
        return unit / sigma
    return np.maximum(0.5 + deviation / (6.0 * sigma), 0.0)


def _min_max(scores: Floats, lists: Runs) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (score - lowest) / (highest - lowest), and which lists hold one score only."""
    if len(scores) == 0:
        return scores, np.zeros(0, dtype=np.bool_)
    lowest = np.minimum.reduceat(scores, lists.start)
    with np.errstate(over="ignore"):
        width = np.maximum.reduceat(scores, lists.start) - lowest
    if not np.isfinite(width).all():
        msg = "score: the scores of one list lie further apart than a float64 can say; scale them"
        raise InvalidInputError(msg)
    flat = width == 0
    above = np.where(flat[lists.of_row], 1.0, scores - lowest[lists.of_row])
    return above / np.where(flat, 1.0, width)[lists.of_row], flat


def _reciprocal_ranks(scores: Floats, lists: Runs, rank_constant: float) -> Floats:
    best_first = np.lexsort((-scores, lists.of_row))
    ties = Runs.of(lists.of_row, scores[best_first])
    # Tied documents share the rank of the first of them.
    place = lists.places()[ties.start][ties.of_row]
    x = np.empty(len(scores))
    x[best_first] = (rank_constant + 1.0) / (rank_constant + 1.0 + place)
    return x
