"""Weights of one query: how far its own evidence leads away from the weights of the level above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .hierarchy import COLD_PRIOR_STRENGTH, Moments, trials
from .linear import NOISE, positive_slopes, symmetric_root

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..base.sums import QuerySums, Sums
    from .beta import BetaPosterior
    from .linear import LinearPosterior
    from .noise import Noise

    Floats = NDArray[np.float64]

MIN_STRENGTH: Final = 50.0
"""Least strength of the prior that the success rates of a query have."""

MIN_SLOPE_STRENGTH: Final = 30.0
"""Least strength of the prior that the slopes of a query have."""

_STRENGTHS: Final = np.geomspace(MIN_SLOPE_STRENGTH, 1e6, 46)
_MAX_COMPARED: Final = 2_000
"""Queries by which a strength is estimated; their keys are hashes, so the first are any."""


@dataclass(frozen=True)
class QueryLevel:
    """How strongly queries are shrunk to the level above them: on everybody's, or the segment's.

    With slopes, the deviation of a query's from its parent's slopes m is estimated from the
    residuals of the parent's fit on the query's own evidence,

        d = (lambda I + A)^-1 (b - A m),     weights = positive(w + d / s),

    w the parent's weights and s the sum of its positive slopes. Starting from the parent's own fit
    takes out what biases both alike, such as a wrong examination curve; adding it to the parent's
    weights keeps what these know beyond the slopes. A draw adds noise of the covariance
    v^2 (lambda I + A)^-1 A (lambda I + A)^-1: without evidence there is none.

    With success rates alone, weights are multiplied by (theta_query / theta)^(gamma / 2), where
    theta_query is the Beta posterior with the parent's mean as prior (`BetaPosterior.child`). Half
    the exponent, for one query has far less evidence than gamma was made for.

    Both strengths are estimated by empirical Bayes: where queries do not differ beyond the noise of
    their clicks, they grow until no query differs from its parent.
    """

    strength: float  # k, of the success rates, in exposures
    slope_strength: float | None = None  # lambda, of the slopes; None where there are none

    @classmethod
    def estimate(
        cls, top: Sums, queries: Sums, beta: BetaPosterior, linear: LinearPosterior | None
    ) -> QueryLevel:
        """Estimate both strengths from the sums of many queries.

        `top`: one row, the global context, with its posteriors `beta` and `linear`.
        """
        k = Moments.of(beta.mean, queries, trials(top)[0]).strength(COLD_PRIOR_STRENGTH)
        if linear is None:
            return cls(max(k, MIN_STRENGTH))
        return cls(max(k, MIN_STRENGTH), _slope_strength(top, queries, linear))

    def rates(self, query: QuerySums, beta: BetaPosterior) -> BetaPosterior:
        """Return the success rates of a query under a parent's; the parent without evidence."""
        return beta.child(query.N, query.S, query.F, self.strength)

    def deviation(
        self, query: QuerySums, linear: LinearPosterior, noise: Noise | None = None
    ) -> Floats | None:
        """Return d, at the mean or drawn; shape (arms,), None without evidence."""
        if self.slope_strength is None or query.A is None or query.b is None or not query.A.any():
            return None
        inverse = np.linalg.inv(query.A + self.slope_strength * np.eye(len(query.b)))
        deviation = (inverse @ (query.b - query.A @ linear.coefficients))[:-1]
        if noise is not None:
            covariance = NOISE**2 * (inverse @ query.A @ inverse)[:-1, :-1]
            # The first normal numbers are those of the parent's draw.
            deviation += symmetric_root(covariance) @ noise.normal[1]
        return np.asarray(deviation)

    def moved(
        self, weights: Floats, query: QuerySums, linear: LinearPosterior, noise: Noise | None
    ) -> Floats:
        """Return a parent's weights moved by the slopes of a query; themselves without evidence."""
        deviation = self.deviation(query, linear, noise)
        if deviation is None:
            return weights
        scale = positive_slopes(linear.mean).sum()
        changed = np.maximum(weights + deviation / scale, 0.0)
        total = changed.sum()
        return np.asarray(changed / total) if total > 0.0 else weights


def _slope_strength(top: Sums, queries: Sums, linear: LinearPosterior) -> float:
    """Return the strength under which the clicks of the queries are likeliest.

    With rewards as Poisson counts of the global rate r (as `score_direction` has them) and the
    slopes of queries around the parent's with covariance r / lambda, the residuals b - A m of a
    query have the covariance r (A + A A / lambda): the marginal likelihood of a random-effects
    regression (Laird and Ware, "Random-Effects Models for Longitudinal Data", Biometrics 1982), in
    the axes of A.
    """
    if top.A is None or top.b is None or queries.A is None or queries.b is None:
        return float(_STRENGTHS[-1])
    A, b = queries.A[:_MAX_COMPARED], queries.b[:_MAX_COMPARED]
    rate = float(top.b[0, -1] / top.A[0, -1, -1])
    values, axes = np.linalg.eigh(A)
    values = np.maximum(values, 0.0)
    known = values > 1e-9 * values.max(initial=0.0)
    residuals = np.einsum("qij,qi->qj", axes, b - A @ linear.coefficients)[known]
    values = values[known]
    if rate <= 0.0 or not len(values):
        return float(_STRENGTHS[-1])
    variance = rate * (values + values**2 / _STRENGTHS[:, None])
    likelihood = -(np.log(variance) + residuals**2 / variance).sum(axis=1)
    return float(_STRENGTHS[int(np.argmax(likelihood))])
