"""Beta posteriors of every arm's success rate, and draws from them with fixed noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .noise import STEPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .noise import Noise

    Floats = NDArray[np.float64]

_STEPS = np.arange(float(STEPS))[:, None, None]
_MAX_LOG_ODDS = 650.0  # exp() of it, times a ratio of quantiles, does not overflow


@dataclass(frozen=True)
class BetaPosterior:
    """Success rate theta of every arm ~ Beta(strength mean, strength (1 - mean)).

    Given the parent's mean m and the strength k of the prior, successes S, negative rewards F and
    exposures N give Beta(k m + S, k (1 - m) + F + max(N - S, 0)): the conjugate update of
    Bernoulli trials (Gelman et al., "Bayesian Data Analysis", 3rd ed., 2.4), where a document that
    was examined with probability e counts e trials. Its mean is (k m + S) / (k + n), with
    n = max(N, S) + F, and its strength k + n.

    A child inherits the mean as its prior's, but not all of the prior's width: that width says
    how contexts differ, and drawing from it for a context of which nothing is known would shake
    everybody's results. With B = n / (n + k) the strength s of a child is

        1 / s = (1 - B)^2 / s_parent + B / (k + n)

    in words: the parent's uncertainty, weighted by the parent's part in the child's mean, plus the
    sampling error of the child's own evidence. Without evidence s = s_parent, with much
    s = k + n, and nothing jumps in between.

    >>> import numpy as np
    >>> parent = BetaPosterior(np.array([0.2]), np.array([1000.0]))
    >>> child = parent.child(N=np.array([30.0]), S=np.array([12.0]), F=np.zeros(1), k=10.0)
    >>> child.mean
    array([0.35])
    """

    mean: Floats  # shape (arms,): in (0, 1)
    strength: Floats  # shape (arms,): exposures that the belief is worth, the prior among them

    def child(self, N: Floats, S: Floats, F: Floats, k: float) -> BetaPosterior:
        """Return the posterior of a context below this one; arrays of shape (arms,).

        `N`, `S`, `F`, shape (arms,): exposures, successes and negative rewards of the child, see
        `Sums`. `k`: strength of the prior, see `hierarchy.between_strength`.
        """
        n = np.maximum(N, S) + F
        known = n > 0
        if not known.any():
            return self
        total = k + n
        mean = (k * self.mean + S) / total
        strength = total * total / (k * k / self.strength + n)
        return BetaPosterior(
            np.where(known, mean, self.mean), np.where(known, strength, self.strength)
        )

    def draw(self, noise: Noise) -> Floats:
        """Return one draw with fixed noise; shape (arms,)."""
        return self._variates.draw(noise)

    @cached_property
    def _variates(self) -> _BetaVariates:
        success = self.mean * self.strength
        return _BetaVariates.of(success, self.strength - success)


def beta_draw(a: Floats, b: Floats, noise: Noise) -> Floats:
    """Return Beta(a, b) variates that never fall with a and never rise with b; shape (arms,).

    `a`, `b`, shape (arms,): positive. `noise`: fixed numbers; the same numbers and parameters give
    the same variates.

    A beta variate is G(a) / (G(a) + G(b)) with independent gamma variates (Devroye,
    "Non-Uniform Random Variate Generation", 1986, IX.3). A gamma variate with fixed noise is

        log G(a) = log Q(a + 7, z) - sum over i < 7 of E_i / (a + i)

    because G(a) = G(a + 1) U^(1/a) in distribution (ibid.), where Q(c, z) is the quantile of
    Gamma(c) at Phi(z), from the expansion of its cube root in powers of 1 / sqrt(c), whose first
    terms are those of Wilson and Hilferty (1931):

        (Q / c)^(1/3) = 1 + z / (3 c^(1/2)) - 1 / (9 c) + (3 z - z^3) / (324 c^(3/2))
                          + (4 z^2 + z^4 - 7) / (1215 c^2) + ...

    At c >= 7 this is off by at most 2e-4 in probability. Each term of the sum and Q rise with a,
    so an additional success moves a draw up, whatever the noise. The inverse distribution function
    of the beta itself has the same property. In scipy it takes at most half as long for 2 to 5
    arms, and up to twice as long for 25; but importing scipy alone takes a service 150 ms.
    """
    return _BetaVariates.of(a, b).draw(noise)


class _BetaVariates(NamedTuple):
    """What a draw needs of its parameters; first axis: a, b."""

    boosted: Floats
    h: Floats
    steps: Floats

    @classmethod
    def of(cls, a: Floats, b: Floats) -> _BetaVariates:
        parameter = np.array((a, b))
        boosted = parameter + STEPS
        return cls(boosted, 1.0 / np.sqrt(boosted), parameter + _STEPS)

    def draw(self, noise: Noise) -> Floats:
        z, h = noise.normal, self.h
        square = z * z
        root = h * ((square * (square + 4.0) - 7.0) * (1 / 1215)) + z * (3.0 - square) * (1 / 324)
        root = 1.0 + h * (z * (1 / 3) + h * (h * root - 1 / 9))
        quantile = self.boosted * root * root * root
        lost = np.add.reduce(noise.exponential / self.steps, axis=0)
        odds = quantile[1] / quantile[0] * np.exp(np.minimum(lost[0] - lost[1], _MAX_LOG_ODDS))
        return np.asarray(1.0 / (1.0 + odds))
