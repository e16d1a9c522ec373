"""From a ranker's score to P(click | examined), and what the log says of each position.

``P(click on d at k) = a_k e_k p(s)``: p is a monotone function of the score s, e_k the assumed
examination, and a_k one factor for each position. With the factors the log's clicks at every
position are those that the scores of the documents shown there lead to expect, so a document is
compared with documents of like scores at like positions: an assumed curve that is too steep does
not make all documents at low positions look relevant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .kernels import sum_by_bin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 30
_PSEUDO_EXPOSURE = 5.0
_PSEUDO_CLICKS = 20.0
_MAX_FACTOR = 4.0
_STEPS = 4
_SLOPE = 0.01
_LEAST = 1e-6
_SAMPLE = 200_000


@dataclass(frozen=True)
class Calibration:
    """P(click | examined) by the score of the prior, and a factor of examination by position."""

    score: Floats  # shape (b,): mean score of every bin, ascending
    probability: Floats  # shape (b,): not descending
    factor: Floats  # shape (positions,)
    mean: float  # P(click | examined) over all scores

    def __call__(self, score: NDArray[np.floating]) -> Floats:
        """Return P(click | examined) of scores, strictly increasing; the mean for NaN.

        Between the bins it is linear, and beyond them constant but for a slope of 1 %, which keeps
        the order of the scores.
        """
        s = np.asarray(score, dtype=np.float64)
        span = max(float(self.score[-1] - self.score[0]), 1e-12)
        t = (s - self.score[0]) / span
        p = np.interp(s, self.score, self.probability) * (1 + _SLOPE * t / (1 + np.abs(t)))
        return np.asarray(np.where(np.isnan(s), self.mean, p))

    def factor_at(self, position: NDArray[np.integer]) -> Floats:
        """Return the factor of positions; beyond the last one, its factor."""
        return np.asarray(self.factor[np.minimum(position, len(self.factor) - 1)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "score": self.score.tolist(),
            "probability": self.probability.tolist(),
            "factor": self.factor.tolist(),
            "mean": self.mean,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        names = ("score", "probability", "factor")
        score, probability, factor = (np.array(values[name], dtype=np.float64) for name in names)
        return cls(score, probability, factor, float(values["mean"]))


def calibrate(
    score: NDArray[np.floating],
    position: NDArray[np.integer],
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
) -> Calibration:
    """Fit p and a by turns, each given the other; arrays of shape (n,), NaN for unknown scores.

    p is an isotonic regression over quantile bins of the score, weighted by examination (Zadrozny
    and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD
    2002).
    """
    edges = _edges(score)
    n_bins, n_positions = len(edges) + 1, int(position.max(initial=0)) + 1
    clicks, exposure = np.zeros((2, n_bins, n_positions))
    score_sum, count = np.zeros((2, n_bins))
    sum_by_bin(score, edges, position, gain, examination, clicks, exposure, score_sum, count)
    mean_score = score_sum / np.maximum(count, 1)
    filled = count > 0
    clicks, exposure, mean_score = clicks[filled], exposure[filled], mean_score[filled]
    exposures = max(float(examination.sum(dtype=np.float64)), 1e-12)
    mean = max(float(gain.sum(dtype=np.float64)) / exposures, _LEAST)
    factor, probability = np.ones(n_positions), np.full(len(clicks), mean)
    for _ in range(_STEPS if len(clicks) else 0):
        probability = _monotone(clicks.sum(1), (exposure * factor).sum(1), mean)
        expected = probability @ exposure
        factor = (clicks.sum(0) + _PSEUDO_CLICKS) / (expected + _PSEUDO_CLICKS)
        factor = np.clip(factor, 1 / _MAX_FACTOR, _MAX_FACTOR)
    if not len(clicks):
        mean_score, probability = np.zeros(1), np.array([mean])
    return Calibration(mean_score, probability, factor, mean)


def _edges(score: NDArray[np.floating]) -> Floats:
    """Return the inner limits of the quantile bins; a bin ends with its limit."""
    sample = score[:: max(len(score) // _SAMPLE, 1)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return np.zeros(0)
    quantiles = np.unique(np.quantile(sample, np.linspace(0, 1, BINS + 1)[1:], method="lower"))
    return quantiles[:-1]


def _monotone(clicks: Floats, exposure: Floats, mean: float) -> Floats:
    """Return non-descending click rates by pooling adjacent violators, a little shrunk."""
    weight = exposure + _PSEUDO_EXPOSURE
    blocks: list[tuple[float, float, int]] = []
    rates = (clicks + _PSEUDO_EXPOSURE * mean) / weight
    for rate, w in zip(rates.tolist(), weight.tolist(), strict=True):
        blocks.append((rate, w, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, v, n), (b, u, m) = blocks[-2:]
            blocks[-2:] = [((a * v + b * u) / (v + u), v + u, n + m)]
    values, _, sizes = zip(*blocks, strict=True)
    return np.repeat(np.array(values), sizes)
