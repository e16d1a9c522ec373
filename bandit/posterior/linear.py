"""Linear Thompson sampling on the arms' scores as fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .noise import Noise

    Floats = NDArray[np.float64]

STRENGTH: Final = 50.0
"""Precision lambda of the prior, in examined documents with a score of 1."""

SLOPES: Final = 0.3
"""Sum s of the slopes that the prior expects."""

INTERCEPT: Final = 0.05
"""Intercept b0 that the prior expects."""

NOISE: Final = 0.1
"""Standard deviation v of a draw at a precision of 1."""


@dataclass(frozen=True)
class LinearPosterior:
    """Slopes of the arms' scores ~ N(mean, root root').

    A document with scores x that is examined with probability e is clicked with probability
    e theta'z, z = (x, 1). Weighted least squares with a Gaussian prior gives (Agrawal and Goyal,
    "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013, section 2.2; here
    exposures are the weights and the prior has a mean):

        P = lambda I + A,   A = sum w e z z',   b = sum w z c
        theta ~ N(P^-1 (lambda m0 + b), v^2 P^-1),   m0 = (s u, b0)

    with the parent's weights u. The intercept is drawn with the slopes and then left out. Evidence
    decays, the prior does not.

    The prior of a child are its parent's slopes, scaled so that the positive ones sum to s, with
    their uncertainty V. Of the prior's own width only that part is drawn from which comes from
    the child's evidence, as in `BetaPosterior`:

        covariance = M V M' + v^2 P^-1 A P^-1,   M = lambda P^-1

    Without evidence this is V, with much evidence v^2 A^-1, and nothing jumps in between.

    >>> import numpy as np
    >>> top = LinearPosterior.top(np.array([0.5, 0.5]), np.zeros((3, 3)), np.zeros(3))
    >>> top.mean
    array([0.15, 0.15])
    >>> top.root.round(4)
    array([[0.0141, 0.    ],
           [0.    , 0.0141]])
    """

    mean: Floats  # shape (arms,): may be negative; see `positive_slopes`
    # shape (arms, arms): symmetric square root of the covariance: it does not depend on the order
    # of the arms
    root: Floats
    intercept: float = INTERCEPT  # mean of the reward of an examined document without scores

    @property
    def coefficients(self) -> Floats:
        """Slopes and, last, the intercept; shape (arms + 1,)."""
        return np.append(self.mean, self.intercept)

    @classmethod
    def top(
        cls,
        weights: Floats,
        A: Floats,
        b: Floats,
        *,
        strength: float = STRENGTH,
        noise: float = NOISE,
    ) -> LinearPosterior:
        """Return the posterior of the global context.

        `weights`, shape (arms,): u, summing to 1.
        `b`, shape (arms + 1,): see `Sums`.
        `strength`, `noise`: lambda and v.
        `A` has shape (arms + 1, arms + 1).
        """
        inverse = _inverse(A, strength)
        mean = inverse @ (strength * np.append(SLOPES * weights, INTERCEPT) + b)
        root = symmetric_root(noise**2 * inverse[:-1, :-1])
        return cls(mean[:-1], root, float(mean[-1]))

    def child(
        self, A: Floats, b: Floats, *, strength: float = STRENGTH, noise: float = NOISE
    ) -> LinearPosterior:
        """Return the posterior of a context below this one; parameters as of `top`."""
        if not A.any() and not b.any():
            return self
        positive = np.maximum(self.mean, 0.0).sum()
        scale = SLOPES / positive if positive > 0.0 else 1.0
        equal = np.full_like(self.mean, SLOPES / len(self.mean))
        slopes = scale * self.mean if positive > 0.0 else equal
        inverse = _inverse(A, strength)
        mean = inverse @ (strength * np.append(slopes, INTERCEPT) + b)
        of_prior = (strength * scale) * inverse[:-1, :-1] @ self.root
        of_evidence = noise**2 * (inverse @ A @ inverse)[:-1, :-1]
        root = symmetric_root(of_prior @ of_prior.T + of_evidence)
        return LinearPosterior(mean[:-1], root, float(mean[-1]))

    def draw(self, noise: Noise) -> Floats:
        """Return one draw of the slopes with fixed noise; shape (arms,)."""
        return np.asarray(self.mean + self.root @ noise.normal[0])


def positive_slopes(slopes: Floats) -> Floats:
    """Return the slopes with 0 for negative ones; all equal where none is positive.

    >>> import numpy as np
    >>> positive_slopes(np.array([0.3, -0.1]))
    array([0.3, 0. ])
    """
    positive = np.maximum(slopes, 0.0)
    return np.asarray(positive if positive.any() else np.ones_like(slopes))


def _inverse(A: Floats, strength: float) -> Floats:
    return np.asarray(np.linalg.inv(A + strength * np.eye(len(A))), dtype=np.float64)


def symmetric_root(covariance: Floats) -> Floats:
    """Return the symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
