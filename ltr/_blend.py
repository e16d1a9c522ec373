"""Several models' scores made one, and one model taught to give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray

    from ._trainer import Trainer

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One model of a blend.

    Attributes
    ----------
    name : str
    weight : float
        In the blend.
    booster : lightgbm.Booster
    mean, spread : float
        Of its scores on the documents it was blended on: scores of different models have
        different units.
    """

    name: str
    weight: float
    booster: lightgbm.Booster
    mean: float
    spread: float

    def standardised(self, X: NDArray[np.float32], threads: int) -> Floats:
        """Return its scores less their mean, over their spread."""
        scores = np.asarray(self.booster.predict(X, raw_score=True, num_threads=threads))
        return (scores - self.mean) / self.spread


def members_of(
    boosters: Mapping[str, lightgbm.Booster],
    weights: Mapping[str, float],
    X: NDArray[np.float32],
    trainer: Trainer,
) -> list[Member]:
    """Return the models with their weights and the scale of their scores on the documents."""
    found = []
    for name, booster in boosters.items():
        scores = trainer.predict(booster, X)
        spread = float(scores.std())
        mean = float(scores.mean())
        found.append(Member(name, weights[name], booster, mean, spread if spread > 0 else 1.0))
    return found


def blended(members: Sequence[Member], X: NDArray[np.float32], threads: int = 1) -> Floats:
    """Return the weighted mean of the members' standardised scores.

    Parameters
    ----------
    members : sequence of Member
    X : ndarray of float32, shape (n, n_features)
    threads : int

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    total = sum(member.weight for member in members)
    scores = sum(member.weight * member.standardised(X, threads) for member in members)
    return np.asarray(scores / total, dtype=np.float64)
