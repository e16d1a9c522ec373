"""The prior of a document's relevance: a function of its features, fitted to all clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boosting.trainer import MIN_CURVATURE
from .relevance import prior_means, spread_over_variants

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from ..boosting.trainer import Trainer

    Floats = NDArray[np.float64]

MAX_ROUNDS = 100
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

    Shapes: `X` (m, n_features); `clicks`, `exposure` (m,).
    """
    start = float(np.log(max(clicks.sum(), 1.0) / exposure.sum()))

    def objective(scores: Floats, _: Any) -> tuple[Floats, Floats]:
        expected = exposure * np.exp(start + scores)
        return expected - clicks, expected + MIN_CURVATURE

    return FeaturePrior(regularised(trainer).with_objective(objective, X), start, trainer)


def regularised(trainer: Trainer) -> Trainer:
    """Return a trainer of few rounds and large leaves: a prior must not follow single clicks."""
    larger = trainer.with_defaults(lambda_l2=1.0, min_sum_hessian_in_leaf=5.0)
    return larger.with_rounds_up_to(MAX_ROUNDS)


def gain_per_click(
    trainer: Trainer,
    X: NDArray[np.float32],
    clicks: Floats,
    gains: Floats,
    document: NDArray[np.int64],
) -> Floats:
    """Return the expected gain of a click on every variant: its document's, shrunk to a prior.

    ``(G + 4 h(x)) / (C + 4)`` with G the sum of the gains of a document's C clicks and h(x) a
    boosted regression of the gain of a click on the features; one value where all clicks gain the
    same. See `spread_over_variants` for documents with several variants.

    `document`, shape (v,): document of every variant, ascending, from 0. Shapes: `X` (v,
    n_features); `clicks`, `gains` (v,).
    """
    clicked = clicks > 0
    if not clicked.any():
        return np.ones(len(clicks))
    own = gains[clicked] / clicks[clicked]
    if np.ptp(own) <= 1e-9 * np.abs(own).max():
        return np.full(len(clicks), own[0])
    few_rounds = trainer.with_rounds_up_to(MAX_ROUNDS)
    booster = few_rounds.regress(X[clicked], own, weight=clicks[clicked])
    prior = np.clip(trainer.predict(booster, X), own.min(), own.max())
    mean = prior_means(document, prior, clicks)
    total, clicks_on = (np.bincount(document, weights=each) for each in (gains, clicks))
    of_document = (total + _CLICK_STRENGTH * mean) / (clicks_on + _CLICK_STRENGTH)
    return spread_over_variants(document, of_document, prior, mean)
