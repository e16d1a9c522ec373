"""From a ranker's score to P(click | examined), and what the log says of each position.

``P(click on d at k) = a_k e_k p(s)``: p is a monotone function of the score s, e_k the assumed
examination, and a_k one factor for each position. With the factors the log's clicks at every
position are those that the scores of the documents shown there lead to expect, so a document is
compared with documents of like scores at like positions: an assumed curve that is too steep does
not make all documents at low positions look relevant.

p is log-linear in the score, or an isotonic regression where that predicts the clicks of other
queries better. The former needs fewer clicks and keeps differences between scores that the latter
pools (Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning", ICML
2005, compare the two by the size of the sample).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from .kernels import sum_by_bin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 30
_PSEUDO_EXPOSURE = 5.0
_PSEUDO_CLICKS = 20.0
_MAX_FACTOR = 4.0
_STEPS = 4
_NEWTON_STEPS = 12
_MAX_STEP = 1.0
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

    def covers(self, score: NDArray[np.floating]) -> bool:
        """Return whether half of the scores lie no further outside the bins than these span."""
        span = max(float(self.score[-1] - self.score[0]), 1e-12)
        outside = (score < self.score[0] - span) | (score > self.score[-1] + span)
        return bool(2 * outside.sum() <= len(score))

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


class _Bins(NamedTuple):
    """Sums by b quantile bins of the score, and by position."""

    score: Floats  # shape (b,): means
    clicks: Floats  # shape (b, positions)
    exposure: Floats  # shape (b, positions)


def calibrate(
    score: NDArray[np.floating],
    position: NDArray[np.integer],
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    half: NDArray[np.uint8],
) -> Calibration:
    """Fit p and a by turns, each given the other; arrays of shape (n,), NaN for unknown scores.

    `half`, 0 or 1: of the row's query. What one half of the queries teaches has to predict the
    clicks of the other.
    """
    edges = _edges(score)
    n_bins, n_positions = len(edges) + 1, int(position.max(initial=0)) + 1
    clicks, exposure = np.zeros((2, 2, n_bins, n_positions))
    score_sum, count = np.zeros((2, n_bins))
    sum_by_bin(score, edges, position, gain, examination, half, clicks, exposure, score_sum, count)
    filled = count > 0
    mean_score = score_sum[filled] / count[filled]
    halves = [_Bins(mean_score, clicks[h, filled], exposure[h, filled]) for h in (0, 1)]
    both = _Bins(mean_score, clicks.sum(0)[filled], exposure.sum(0)[filled])
    exposures = max(float(examination.sum(dtype=np.float64)), 1e-12)
    mean = max(float(gain.sum(dtype=np.float64)) / exposures, _LEAST)
    if not len(mean_score):
        return Calibration(np.zeros(1), np.array([mean]), np.ones(n_positions), mean)
    straight = _held_out(_log_linear, halves, mean) >= _held_out(_monotone, halves, mean)
    probability, factor = _by_turns(_log_linear if straight else _monotone, both, mean)
    return Calibration(mean_score, probability, factor, mean)


def _by_turns(
    shape: Callable[[Floats, Floats, Floats, float], Floats], bins: _Bins, mean: float
) -> tuple[Floats, Floats]:
    """Return p of the bins, of a shape, and the factors of the positions."""
    score, clicks, exposure = bins
    factor = np.ones(clicks.shape[1])
    probability = np.full(len(score), mean)
    for _ in range(_STEPS):
        probability = shape(score, clicks.sum(1), exposure @ factor, mean)
        expected = probability @ exposure
        factor = (clicks.sum(0) + _PSEUDO_CLICKS) / (expected + _PSEUDO_CLICKS)
        factor = np.clip(factor, 1 / _MAX_FACTOR, _MAX_FACTOR)
    return probability, factor


def _held_out(
    shape: Callable[[Floats, Floats, Floats, float], Floats], halves: list[_Bins], mean: float
) -> float:
    """Return the log-likelihood of the clicks of each half by the other, but for a constant."""
    total = 0.0
    for learnt, held in (halves, halves[::-1]):
        probability, factor = _by_turns(shape, learnt, mean)
        rate = probability[:, None] * factor
        total += float((held.clicks * np.log(rate) - held.exposure * rate).sum())
    return total


def _edges(score: NDArray[np.floating]) -> Floats:
    """Return the inner limits of the quantile bins; a bin ends with its limit."""
    sample = score[:: max(len(score) // _SAMPLE, 1)].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return np.zeros(0)
    quantiles = np.unique(np.quantile(sample, np.linspace(0, 1, BINS + 1)[1:], method="lower"))
    return quantiles[:-1]


def _log_linear(score: Floats, clicks: Floats, exposure: Floats, mean: float) -> Floats:
    """Return click rates exp(a + b t) of standardised scores t, b at least 0, a little shrunk.

    Poisson regression by Newton's method (Platt's scaling, with a log link because clicks are
    counted over exposures).
    """
    weight = exposure + _PSEUDO_EXPOSURE
    centred = score - np.average(score, weights=weight)
    spread = float(np.sqrt(np.average(centred**2, weights=weight)))
    t = centred / spread if spread > 0 else centred
    a, b = float(np.log(mean)), 0.0
    for _ in range(_NEWTON_STEPS):
        expected = exposure * np.exp(a + b * t)
        missing = clicks - expected
        slopes = np.array([missing.sum() + mean, (missing * t).sum() - b])
        slopes[0] -= np.exp(a)
        curvature = np.array(
            [
                [expected.sum() + np.exp(a), (expected * t).sum()],
                [(expected * t).sum(), (expected * t * t).sum() + 1],
            ]
        )
        step = np.clip(np.linalg.solve(curvature, slopes), -_MAX_STEP, _MAX_STEP)
        a, b = a + step[0], max(b + step[1], 0.0)
    return np.asarray(np.exp(a + b * t))


def _monotone(_score: Floats, clicks: Floats, exposure: Floats, mean: float) -> Floats:
    """Return non-descending click rates by pooling adjacent violators, a little shrunk.

    Isotonic regression, weighted by examination (Zadrozny and Elkan, "Transforming classifier
    scores into accurate multiclass probability estimates", KDD 2002).
    """
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
