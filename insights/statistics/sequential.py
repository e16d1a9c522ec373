"""Tests that hold however often the data are looked at while they come in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .clustered_means import Estimate

MIN_DEGREES: Final = 20.0
"""Fewer clusters do not make an estimate normal: there is no verdict before."""


def sequential_p(estimate: Estimate, scale: float) -> float:
    """Return a p-value of the hypothesis of 0 that may be looked at as often as one wants.

    With z = estimate / error and the information I = 1 / error^2,

        p = min(1, sqrt(1 + s^2 I) exp(-z^2 s^2 I / (2 (1 + s^2 I)))),

    the inverse of the mixture likelihood ratio with a normal mixture of standard deviation `scale`
    over the true value (Robbins 1970; Johari, Koomen, Pekelis and Walsh, "Always Valid Inference:
    Continuous Monitoring of A/B Tests", Operations Research 2022). Under the hypothesis it falls
    below alpha at any time with a probability of at most alpha, if estimates at successive looks
    have the covariance of the later one; for means over clusters this holds asymptotically
    (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform Central Limit Theory and
    Asymptotic Confidence Sequences", Annals of Statistics 2024).

    `scale`: size of a usual effect, in the unit of the estimate; chosen before the data, above 0.
    It decides when the test is most powerful, not whether it holds.

    >>> from rankloom.insights.statistics.clustered_means import Estimate
    >>> round(sequential_p(Estimate(0.02, 0.005, 5000.0), scale=0.02), 4)
    0.0022
    """
    if not estimate.error > 0 or not scale > 0:
        return float("nan")
    if estimate.degrees < MIN_DEGREES:
        return 1.0
    precision = (scale / estimate.error) ** 2
    exponent = 0.5 * math.log1p(precision) - 0.5 * _normal(estimate) ** 2 * precision / (
        1 + precision
    )
    return math.exp(min(exponent, 0.0))


def sequential_interval(estimate: Estimate, scale: float, confidence: float) -> tuple[float, float]:
    """Return an interval that holds the true value at all looks together.

    All values whose `sequential_p` is above 1 - confidence: the estimate plus or minus

        error sqrt((1 + s^2 I) / (s^2 I) (log(1 + s^2 I) + 2 log(1 / (1 - confidence)))),

    with the normal quantile of this width replaced by that of Student's t.

    >>> from rankloom.insights.statistics.clustered_means import Estimate
    >>> low, high = sequential_interval(Estimate(0.02, 0.005, 5000.0), 0.02, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.0047, 0.0353)
    """
    if not estimate.error > 0 or not scale > 0:
        return float("nan"), float("nan")
    if estimate.degrees < MIN_DEGREES:
        return -math.inf, math.inf
    precision = (scale / estimate.error) ** 2
    square = (
        (1 + precision) / precision * (math.log1p(precision) - 2.0 * math.log(1.0 - confidence))
    )
    half = estimate.error * _student(math.sqrt(square), estimate.degrees)
    return estimate.value - half, estimate.value + half


def _normal(estimate: Estimate) -> float:
    """Return the normal deviate that is as unlikely as the estimate's t."""
    from scipy import special, stats

    tail = stats.t.logsf(abs(estimate.value) / estimate.error, estimate.degrees)
    return float(-special.ndtri_exp(tail))


def _student(deviate: float, degrees: float) -> float:
    """Return the t that is as unlikely as a normal deviate."""
    from scipy import stats

    return float(-stats.t.ppf(stats.norm.sf(deviate), degrees)) if deviate < 37 else math.inf
