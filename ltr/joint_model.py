"""A relevance function and a reading of positions, learnt together from clicks.

Where positions never varied, no comparison of positions can tell examination from relevance. What
is left is that relevance is a function of the features: documents of different queries that look
alike and stood at different positions. This model boosts that function while it re-estimates
examination and false clicks, and says nothing of single documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.click_models.counts import click_counts
from ._trainer import LEAST_CURVATURE

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from ..datasets.click_models.counts import ClickCounts
    from ..datasets.training_pairs import TrainingPairs
    from ._trainer import Trainer

    Floats = NDArray[np.float64]

_ROUNDS = 100
_START = -1.0
_STATE_SHOWN = 2.0
_FALSE_CLICKS, _FALSE_SHOWN = 1.0, 20.0
_LEAST = 1e-6


class JointObjective:
    """Custom objective: P(click) = theta[state] (r + e[position] (1 - r)), r = logistic(f(x)).

    Every round takes a gradient step in f, after one step of expectation-maximisation in theta
    (examination by position and last click above) and in e (clicks on examined documents that are
    not relevant; Agarwal et al., "Addressing Trust Bias for Unbiased Learning-to-Rank", WWW 2019).

    Parameters
    ----------
    counts : ClickCounts
        By "last_click".

    Attributes
    ----------
    theta : ndarray of float64, shape (n_states,)
    false_clicks : ndarray of float64, shape (n_positions,)
    """

    def __init__(self, counts: ClickCounts) -> None:
        self.counts = counts
        self.position = counts.position_of_state[counts.state]
        self.missed = counts.shown - counts.clicks
        self.theta = 1 / np.sqrt(1.0 + counts.position_of_state)
        self.false_clicks = np.full(counts.n_positions, 0.05)
        self._shown = counts.by_state(counts.shown)

    def __call__(self, scores: Floats, _: Any) -> tuple[Floats, Floats]:
        """Learn the reading at the given relevance, then return gradient and hessian in f."""
        relevance = 1 / (1 + np.exp(-(scores + _START)))
        self._learn(relevance)
        examined, false = self.theta[self.counts.state], self.false_clicks[self.position]
        chance = _sure(examined * (relevance + false * (1 - relevance)))
        slope = examined * (1 - false) * relevance * (1 - relevance)
        gradient = -(self.counts.clicks / chance - self.missed / (1 - chance)) * slope
        hessian = self.counts.shown * slope**2 / (chance * (1 - chance))
        return gradient, hessian + LEAST_CURVATURE

    def _learn(self, relevance: Floats) -> None:
        counts = self.counts
        examined, false = self.theta[counts.state], self.false_clicks[self.position]
        attracted = relevance + false * (1 - relevance)
        unclicked = self.missed * examined * (1 - attracted) / (1 - _sure(examined * attracted))
        seen = counts.by_state(counts.clicks + unclicked)
        self.theta = np.clip(
            (seen + _STATE_SHOWN * self.theta) / (self._shown + _STATE_SHOWN), 1e-3, 0.999
        )
        wrong = counts.clicks * (1 - relevance / attracted)
        size = counts.n_positions
        clicked = np.bincount(self.position, weights=wrong, minlength=size)
        judged = np.bincount(self.position, weights=wrong + unclicked, minlength=size)
        self.false_clicks = np.clip((clicked + _FALSE_CLICKS) / (judged + _FALSE_SHOWN), 1e-4, 0.9)


def train_joint(pairs: TrainingPairs, trainer: Trainer) -> tuple[lightgbm.Booster, JointObjective]:
    """Train the joint model on the log's counts; its raw scores are log-odds of relevance."""
    counts = click_counts(pairs, "last_click")
    state = JointObjective(counts)

    # LightGBM copies its parameters deeply; a function stays one and the same.
    def objective(scores: Floats, data: Any) -> tuple[Floats, Floats]:
        return state(scores, data)

    gentle = trainer.default(lambda_l2=1.0, min_sum_hessian_in_leaf=5.0).capped(_ROUNDS)
    return gentle.under(objective, pairs.X[counts.row[counts.document]]), state


def _sure(chance: Floats) -> Floats:
    return np.clip(chance, _LEAST, 1 - _LEAST)
