"""Two estimates of one log curve, from swaps and from features, weighted by their precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95

_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Combination:
    """The precision-weighted mean of two estimates: weights that stay the same in replicates.

    k is the number of positions. The estimates are of log examination, of which only differences
    count; `swaps` may leave some positions, or groups of them, open.
    """

    swaps: Floats  # shape (k, k): information; its rows sum to 0
    features: Floats  # shape (k - 1, k - 1): information on positions 1 to k - 1, relative to 0
    spread: float  # variance of log examination that features miss, by their distance to swaps
    contradicted: bool = False  # whether they are further apart than errors explain, at 95 %
    # shape (k - 1,): one more error of the features, the same in all positions but for its size
    unlearnt: Floats | None = None

    @classmethod
    def of(
        cls,
        swaps: Floats,
        features: Floats,
        from_swaps: Floats,
        from_features: Floats,
        unlearnt: Floats | None = None,
    ) -> Combination:
        """Estimate how much further the two are apart than their errors explain.

        The excess becomes a variance of the features' estimate (Paule and Mandel, Journal of
        Research of the National Bureau of Standards 87, 1982): a document's features do not tell
        all of its relevance, and their own errors do not know it.
        """
        from scipy import stats

        difference = (from_swaps - from_features)[1:] - (from_swaps - from_features)[0]
        freedom = int(np.linalg.matrix_rank(swaps[1:, 1:], hermitian=True))

        def excess(spread: float) -> float:
            return cls(swaps, features, spread, unlearnt=unlearnt).distance(difference) - freedom

        if freedom == 0 or excess(0.0) <= 0:
            return cls(swaps, features, 0.0, unlearnt=unlearnt)
        contradicted = excess(0.0) + freedom > float(stats.chi2.ppf(CONFIDENCE, freedom))
        low, high = 0.0, 1.0
        while excess(high) > 0 and high < 100:
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) > 0 else (low, middle)
        return cls(swaps, features, high, contradicted, unlearnt)

    def distance(self, difference: Floats) -> float:
        """Return d' (V_swaps + V_features)^-1 d over what swaps identify; chi-squared if alike."""
        swaps = self.swaps[1:, 1:]
        pulled = swaps @ difference
        return float(difference @ pulled - pulled @ np.linalg.solve(self._total(), pulled))

    def log_curve(self, from_swaps: Floats, from_features: Floats) -> Floats:
        """Return the mean of two log curves, 0 at position 0; shape (k,)."""
        pull = (self.swaps @ from_swaps)[1:]
        pull += self._features() @ (from_features[1:] - from_features[0])
        return np.append(0.0, np.linalg.solve(self._total(), pull))

    def shares(self) -> dict[str, Floats]:
        """Return how much of the precision of every position is owed to each; shape (k,).

        The share of the estimate's variance: ``[P^-1 P_s P^-1]_kk / [P^-1]_kk`` with P = P_s + P_f.
        Position 0 is the reference and owes nothing to either.
        """
        covariance = np.linalg.inv(self._total())
        share = np.diag(covariance @ self.swaps[1:, 1:] @ covariance) / np.diag(covariance)
        swaps = np.append(np.nan, np.clip(share, 0.0, 1.0))
        return {"swaps": swaps, "features": 1 - swaps}

    def covariance_of_features(self) -> Floats:
        """Return the covariance of the features' log curve; shape (k - 1, k - 1)."""
        return np.linalg.inv(self.features) + self._beyond_sampling()

    def errors_beyond_sampling(self) -> Floats:
        """Return standard errors of the joint log curve that no resampling shows; shape (k,)."""
        pull = np.linalg.solve(self._total(), self._features())
        variance = np.diag(pull @ self._beyond_sampling() @ pull.T)
        return np.append(0.0, np.sqrt(np.maximum(variance, 0.0)))

    def draw_beyond_sampling(self, rng: np.random.Generator, number: int) -> Floats:
        """Return random errors of the features beyond their own; shape (number, k - 1)."""
        size = len(self.features)
        errors = rng.normal(scale=np.sqrt(self.spread), size=(number, size + 1))
        common = rng.normal(size=(number, 1))
        unlearnt = np.zeros(size) if self.unlearnt is None else self.unlearnt
        return np.asarray(errors[:, 1:] - errors[:, :1] + common * unlearnt)

    def _beyond_sampling(self) -> Floats:
        size = len(self.features)
        unlearnt = np.zeros(size) if self.unlearnt is None else self.unlearnt
        return np.asarray(self.spread * (1 + np.eye(size)) + np.outer(unlearnt, unlearnt))

    def _features(self) -> Floats:
        if not self.spread and self.unlearnt is None:
            return self.features
        return np.asarray(np.linalg.inv(self.covariance_of_features()), dtype=np.float64)

    def _total(self) -> Floats:
        return np.asarray(self.swaps[1:, 1:] + self._features())
