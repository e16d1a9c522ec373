"""What a document's features say of its relevance, before its own clicks are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._trainer import LEAST_CURVATURE

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from ._trainer import Trainer

    Floats = NDArray[np.float64]

_ROUNDS = 100
_CLICK_STRENGTH = 4.0


@dataclass(frozen=True)
class FeaturePrior:
    """Relevance as a function of features: ``prior(X)``, an array of shape (n,)."""

    booster: lightgbm.Booster
    start: float
    trainer: Trainer

    def __call__(self, X: NDArray[np.float32]) -> Floats:
        """Return the relevance of documents with these features."""
        return np.exp(self.start + self.trainer.predict(self.booster, X))


def relevance_from_features(
    trainer: Trainer, X: NDArray[np.float32], clicks: Floats, exposure: Floats
) -> FeaturePrior:
    """Boost log relevance f(x) under ``clicks ~ Poisson(exposure exp(f(x)))``.

    The Poisson likelihood is that of clicks with a known offset log(exposure): its maximum is the
    ratio of clicks to exposure where features are alike, however they are spread over documents
    (McCullagh and Nelder, "Generalized Linear Models", 1989, chapter 6).

    Parameters
    ----------
    trainer : Trainer
    X : ndarray of float32, shape (m, n_features)
    clicks, exposure : ndarray of float64, shape (m,)
    """
    start = float(np.log(max(clicks.sum(), 1.0) / exposure.sum()))

    def objective(scores: Floats, _: Any) -> tuple[Floats, Floats]:
        expected = exposure * np.exp(start + scores)
        return expected - clicks, expected + LEAST_CURVATURE

    gentle = trainer.default(lambda_l2=1.0, min_sum_hessian_in_leaf=5.0).capped(_ROUNDS)
    return FeaturePrior(gentle.under(objective, X), start, trainer)


def gain_per_click(
    trainer: Trainer, X: NDArray[np.float32], clicks: Floats, gains: Floats
) -> Floats:
    """Return the expected gain of a click on every document: its own, shrunk to its features'.

    ``(G + 4 h(x)) / (C + 4)`` with G the sum of the gains of its C clicks and h(x) a boosted
    regression of the gain of a click on the features. Where all clicks gain the same, that.

    Parameters
    ----------
    trainer : Trainer
    X : ndarray of float32, shape (m, n_features)
    clicks, gains : ndarray of float64, shape (m,)
    """
    clicked = clicks > 0
    if not clicked.any():
        return np.ones(len(clicks))
    mean = gains[clicked] / clicks[clicked]
    if np.ptp(mean) <= 1e-9 * np.abs(mean).max():
        return np.full(len(clicks), mean[0])
    gentle = trainer.capped(_ROUNDS)
    booster = gentle.regress(X[clicked], mean, weight=clicks[clicked])
    told = np.clip(trainer.predict(booster, X), mean.min(), mean.max())
    return (gains + _CLICK_STRENGTH * told) / (clicks + _CLICK_STRENGTH)
