"""The strength of the prior that a context has from the one above it, estimated from the evidence.

Empirical Bayes by moments: the more contexts differ beyond the noise of their own evidence, the
weaker the prior. No context is cut off at a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .beta import BetaPosterior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.sums import Sums

    Floats = NDArray[np.float64]

COLD_MEAN: Final = 0.1
"""Success rate expected of arms of which nothing is known."""

COLD_STRENGTH: Final = 10.0
"""Worth of that guess, in exposures."""

COLD_PRIOR_STRENGTH: Final = 50.0
"""Strength of the prior of segments and users while the evidence does not identify it."""

_MIN_STRENGTH, _MAX_STRENGTH = 2.0, 1e4


@dataclass(frozen=True)
class Moments:
    """Sums of squares: how far contexts lie from their parents; those of parts add up."""

    # Sum n_eff (r - m)^2, with the success rate r of a context's arm and m of its parent's
    squares: float = 0.0
    noise: float = 0.0  # expectation of `squares` if contexts did not differ
    spread: float = 0.0  # what `squares` gains per unit of intra-class correlation
    freedom: float = 0.0  # degrees of freedom

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.squares + other.squares,
            self.noise + other.noise,
            self.spread + other.spread,
            self.freedom + other.freedom,
        )

    @classmethod
    def of(cls, mean: Floats, sums: Sums, parent_exposures: Floats) -> Moments:
        """Compare contexts with their parent.

        `mean`: success rates of the parent. `sums`: of the contexts. `parent_exposures`: evidence
        of the parent, the contexts' own among it. Shapes: `mean`, `parent_exposures` (arms,), or
        (contexts, arms).

        A context that makes up the part f of its parent's evidence deviates from it by (1 - f)
        as much. The noise of a rate is taken as m / n_eff, as of Poisson counts: a document that
        is rarely examined is clicked rarely and independently, and rewards below a success vary
        less.
        """
        n = trials(sums)
        exposures = effective(sums)
        known = (exposures > 0) & (n > 0)
        rate = np.divide(sums.S, n, out=np.zeros_like(n), where=known)
        part = np.divide(n, parent_exposures, out=np.ones_like(n), where=parent_exposures > 0)
        own = np.where(known, 1.0 - np.minimum(part, 1.0), 0.0)
        variance = mean * (1.0 - mean)
        return cls(
            float((exposures * np.where(known, rate - mean, 0.0) ** 2).sum()),
            float((own * mean).sum()),
            float((own * exposures * variance).sum()),
            float((own * variance**2).sum()),
        )

    def strength(self, cold: float) -> float:
        """Return the strength k of the prior, between 2 and 10,000 exposures.

        `cold`: the guess that the estimate is shrunk to, as far as it is uncertain.

        Beta-binomial rates have the variance m (1 - m) rho + noise, rho = 1 / (k + 1), hence
        rho = (squares - noise) / spread (Kleinman, "Proportions with Extraneous Variance", JASA
        1973). With d degrees of freedom its variance under equal contexts is about
        2 sum (m (1 - m))^2 / spread^2; it is weighed against the guess rho_0, held to be uncertain
        by its own size.
        """
        guess = 1.0 / (cold + 1.0)
        if self.spread <= 0.0:
            return cold
        found = (self.squares - self.noise) / self.spread
        certainty = guess**2 / (guess**2 + 2.0 * self.freedom / self.spread**2)
        rho = certainty * found + (1.0 - certainty) * guess
        return float(np.clip(1.0 / max(rho, 1e-12) - 1.0, _MIN_STRENGTH, _MAX_STRENGTH))


def trials(sums: Sums) -> Floats:
    """Return n = max(N, S) + F, the trials that a Beta posterior counts; same shape."""
    return np.asarray(np.maximum(sums.N, sums.S) + sums.F)


def effective(sums: Sums) -> Floats:
    """Return the effective exposures N^2 / Q, 0 without evidence; same shape."""
    return np.divide(sums.N**2, sums.Q, out=np.zeros_like(sums.N), where=sums.Q > 0)


def top_posterior(sums: Sums) -> BetaPosterior:
    """Return the Beta posterior of the global context.

    `sums`: one row.

    The prior's mean is the rate of all arms together, on top of a guess of 1 success in 10
    exposures; its strength comes from how far the arms lie apart. While their differences are
    within the noise, the arms stay equal: what cannot be distinguished is not sharpened (Efron
    and Morris, "Data Analysis Using Stein's Estimator", JASA 1975). Without exposures this is the
    guess itself, the same for all arms.
    """
    n = trials(sums)
    guess = COLD_STRENGTH * COLD_MEAN
    pooled = np.full(len(sums.arms), (guess + sums.S.sum()) / (COLD_STRENGTH + n.sum()))
    moments = Moments.of(pooled, sums, np.full(len(sums.arms), n.sum()))
    k = moments.strength(COLD_STRENGTH)
    total = k + n[0]
    return BetaPosterior((k * pooled + sums.S[0]) / total, total)
