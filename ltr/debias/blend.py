"""The scores of several models blended into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray

    from ..boosting.trainer import Trainer

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One model of a blend."""

    name: str
    weight: float  # in the blend
    booster: lightgbm.Booster
    # Of its scores on the documents it was blended on: scores of different models have different
    # units
    mean: float
    spread: float

    def standardised(self, X: NDArray[np.float32], threads: int) -> Floats:
        """Return its scores less their mean, over their spread."""
        scores = self.booster.predict(X, raw_score=True, num_threads=threads)
        return self.scaled(np.asarray(scores, dtype=np.float64))

    def scaled(self, scores: Floats) -> Floats:
        """Return scores less the mean, over the spread."""
        return (scores - self.mean) / self.spread


def blend_of(
    boosters: Mapping[str, lightgbm.Booster],
    weights: Mapping[str, float],
    X: NDArray[np.float32],
    trainer: Trainer,
) -> tuple[list[Member], Floats]:
    """Return the models on one scale, and their blended scores of the documents; see `blended`."""
    members, scaled = [], []
    for name, booster in boosters.items():
        scores = trainer.predict(booster, X)
        spread = float(scores.std())
        member = Member(
            name, weights[name], booster, float(scores.mean()), spread if spread > 0 else 1.0
        )
        members.append(member)
        scaled.append(member.scaled(scores))
    return members, _weighted(members, scaled)


def blended(members: Sequence[Member], X: NDArray[np.float32], threads: int = 1) -> Floats:
    """Return the weighted mean of the members' standardised scores; shape (n,).

    `X` has shape (n, n_features).
    """
    return _weighted(members, [member.standardised(X, threads) for member in members])


def _weighted(members: Sequence[Member], scaled: Sequence[Floats]) -> Floats:
    weights = [member.weight for member in members]
    return np.asarray(np.average(scaled, axis=0, weights=weights), dtype=np.float64)
