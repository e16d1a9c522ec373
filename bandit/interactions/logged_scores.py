"""The channels' scores and the served weights that were logged with an interaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_SCORE: Final = 1e6
"""Largest score or weight: the sums hold squares, and one row must not overflow them for ever."""


def scores_of(features: Any) -> dict[str, Any] | None:
    """Return the score of every channel from ``metadata.features``; None where there are none."""
    if not isinstance(features, Mapping):
        return None
    scores = {
        str(uri): value["score"]
        for uri, value in features.items()
        if isinstance(value, dict | Mapping) and "score" in value
    }
    return scores or None


def weights_of(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the served weights from ``metadata.fusion.weights``; None where there are none."""
    fusion = metadata.get("fusion")
    weights = fusion.get("weights") if isinstance(fusion, Mapping) else None
    return weights if isinstance(weights, Mapping) else None


def usable(value: Any) -> float:
    """Return a score or weight, or NaN where it is no number or beyond `MAX_SCORE`."""
    if type(value) is float:
        return value if abs(value) <= MAX_SCORE else math.nan
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) <= MAX_SCORE else math.nan


class ScoreMatrix:
    """Scores and served weights of the rows that have them, by channel.

    Attributes
    ----------
    bad, unknown : int
        Scores or weights that are no usable numbers, and scores of channels that are no arm.
    """

    def __init__(self, arms: Sequence[str]) -> None:
        self.arms = tuple(arms)
        self._codes = {uri: i for i, uri in enumerate(arms)}
        self._missing = [math.nan] * len(self.arms)
        self._scores: list[list[float]] = []
        self._weights: list[list[float]] = []
        self.bad = self.unknown = 0

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, scores: Mapping[str, Any], weights: Mapping[str, Any] | None) -> None:
        """Append one row."""
        self._scores.append(self._row(scores, unknown=True))
        self._weights.append(self._row(weights, unknown=False) if weights else self._missing)

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return scores and weights, shape (rows, arms) each; NaN where missing."""
        shape = (len(self._scores), len(self.arms))
        return np.array(self._scores).reshape(shape), np.array(self._weights).reshape(shape)

    def _row(self, values: Mapping[str, Any], *, unknown: bool) -> list[float]:
        row = self._missing.copy()
        for uri, value in values.items():
            at = self._codes.get(uri)
            if at is None:
                self.unknown += unknown
                continue
            row[at] = usable(value)
            self.bad += math.isnan(row[at])
        return row
