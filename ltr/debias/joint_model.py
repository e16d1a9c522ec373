"""Relevance as a function of features, learnt together with examination and false clicks.

Where positions never varied, no comparison of positions separates examination from relevance. What
is left is that relevance is a function of the features: documents of different queries with
similar features were shown at different positions. This model boosts that function while it
re-estimates examination and false clicks; it has no parameter of single documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets.counts.click_counts import click_counts
from ..boosting.trainer import MIN_CURVATURE
from .feature_prior import regularised

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from ...datasets.counts.click_counts import ClickCounts
    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..boosting.trainer import Trainer
    from ..exposure.feature_variants import FeatureVariants

    Floats = NDArray[np.float64]

_START = -1.0
_STATE_SHOWN = 2.0
_FALSE_CLICKS, _FALSE_SHOWN = 1.0, 20.0
_MIN_PROBABILITY = 1e-6


class JointObjective:
    """Custom objective: P(click) = theta[state] (r + e[position] (1 - r)), r = logistic(f(x)).

    Every round takes a gradient step in f, after one step of expectation-maximisation in theta
    (examination by position and last click above) and in e (clicks on examined documents that are
    not relevant; Agarwal et al., "Addressing Trust Bias for Unbiased Learning-to-Rank", WWW 2019).

    `counts`: by "last_click". Shapes: `theta` (n_states,); `false_clicks` (n_positions,).
    """

    def __init__(self, counts: ClickCounts) -> None:
        self.counts = counts
        self.position = counts.position_of_state[counts.state]
        self.missed = counts.shown - counts.clicks
        self.theta = 1 / np.sqrt(1.0 + counts.position_of_state)
        self.false_clicks = np.full(counts.n_positions, 0.05)
        self._shown = counts.by_state(counts.shown)

    def __call__(self, scores: Floats, _: Any) -> tuple[Floats, Floats]:
        """Take one step in theta and e, then return gradient and hessian in f."""
        relevance = 1 / (1 + np.exp(-(scores + _START)))
        self._learn(relevance)
        examined, false = self.theta[self.counts.state], self.false_clicks[self.position]
        clicked = _inside(examined * (relevance + false * (1 - relevance)))
        slope = examined * (1 - false) * relevance * (1 - relevance)
        gradient = -(self.counts.clicks / clicked - self.missed / (1 - clicked)) * slope
        hessian = self.counts.shown * slope**2 / (clicked * (1 - clicked))
        return gradient, hessian + MIN_CURVATURE

    def _learn(self, relevance: Floats) -> None:
        counts = self.counts
        examined, false = self.theta[counts.state], self.false_clicks[self.position]
        attracted = relevance + false * (1 - relevance)
        # Expected number of times that a document was examined and not clicked.
        unclicked = self.missed * examined * (1 - attracted) / (1 - _inside(examined * attracted))
        in_state = counts.by_state(counts.clicks + unclicked)
        self.theta = np.clip(
            (in_state + _STATE_SHOWN * self.theta) / (self._shown + _STATE_SHOWN), 1e-3, 0.999
        )
        wrong = counts.clicks * (1 - relevance / attracted)
        size = counts.n_positions
        clicked = np.bincount(self.position, weights=wrong, minlength=size)
        irrelevant = np.bincount(self.position, weights=wrong + unclicked, minlength=size)
        self.false_clicks = np.clip(
            (clicked + _FALSE_CLICKS) / (irrelevant + _FALSE_SHOWN), 1e-4, 0.9
        )


def train_joint(
    pairs: TrainingPairs, variants: FeatureVariants, trainer: Trainer
) -> tuple[lightgbm.Booster, JointObjective]:
    """Train the joint model on the log's counts; its raw scores are log-odds of relevance."""
    counts = click_counts(variants.as_documents(pairs), "last_click")
    state = JointObjective(counts)

    # LightGBM copies its parameters deeply: a function stays the same one, an object is copied.
    def objective(scores: Floats, data: Any) -> tuple[Floats, Floats]:
        return state(scores, data)

    X = pairs.X[counts.row[counts.document]]
    return regularised(trainer).with_objective(objective, X), state


def _inside(probability: Floats) -> Floats:
    """Return probabilities off 0 and 1, by which the gradients divide."""
    return np.clip(probability, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
