"""How much a grade by one source says of a document's relevance, by the clicks on judged documents.

Relevance r = P(click | examined) varies between documents, with mean m_0 and variance V. Among
documents with grade g the mean is m_g, and the grades explain the share ``rho = Var(m_g) / V``. In
terms of a Gamma prior (variance = mean / strength) the strength of what is known of every document
is ``K_0 = m_0 / V``, and with its grade ``K = K_0 / (1 - rho)``. So a grade says as much as

    k = K - K_0                 examinations
    c = K m_g - K_0 m_0         clicks

more than what is known anyway: the posterior after C clicks in E examinations is then that of the
Gamma prior of the grade. Where the source agrees with clicks, k is large; where grades are random,
rho and k are 0.

V is estimated without a distribution: displays of a document are clicked with probability e_i r, so
``C^2 - sum c_i`` has the mean ``r^2 (E^2 - sum e_i^2)``. (The highest likelihood of a Gamma prior
with Poisson clicks would not do: relevance is often high or low and seldom between, where it finds
too small a V, and a labeller that was right half of the time came out with K below K_0.)

Documents that were judged and not shown are less relevant than shown ones of the same grade, since
production chose what to show. Their rates are shrunk to the mean of their stratum, which their own
grades give (`rates_of_unshown`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DEFAULT_STRENGTH: Final = 4.0
"""k of a source where too few judged documents have clicks to estimate it."""

MIN_DOCUMENTS: Final = 30
"""Judged documents with at least one expected examination that an estimate needs."""

MIN_JUDGED_CLICKS: Final = 50

MAX_LEVELS: Final = 12
"""Different grades of one source; finer ones are binned by quantiles."""

MAX_STRENGTH: Final = 200.0
"""k of a source whose grades say all that clicks say."""

MIN_STRATUM: Final = 30
"""Judged documents that were not shown, from which their mean relevance is estimated."""

_SIGNIFICANCE = 0.05
_MIN_RATE = 1e-4
_STRENGTH, _STEPS = 4.0, 5


@dataclass(frozen=True)
class GradeEvidence:
    """What the grades of one source count as.

    Attributes
    ----------
    grades : ndarray of float64, shape (l,)
        Lowest grade of each level, ascending.
    rates : ndarray of float64, shape (l,)
        m_g: P(click | examined) of documents with that grade.
    strength : float
        k: examinations that a grade counts as.
    clicks : ndarray of float64, shape (l,)
        Clicks that it counts as.
    agreement : float or None
        rho: share of the variance of relevance between documents that the grades explain; None
        where it is not estimated.
    reason : str
        Why the strength is what it is, where it is not estimated or 0; else empty.
    """

    grades: Floats
    rates: Floats
    strength: float
    clicks: Floats
    agreement: float | None
    reason: str = ""

    def scaled(self, scale: float) -> GradeEvidence:
        """Return the evidence of grades that count so many times as much."""
        return replace(self, strength=scale * self.strength, clicks=scale * self.clicks)

    def clicks_of(self, level: NDArray[np.int64], exposure: Floats, stratum: Any) -> Floats:
        """Return the clicks that the grade of every document counts as; shape (d,).

        `stratum`, shape (d,): of documents that were not shown (`exposure` 0).
        """
        clicks = self.clicks[level]
        if not self.agreement:
            return clicks
        rates = self.rates[level]
        share = exposure / (exposure + self.strength)
        own = rates_of_unshown(rates, share, np.where(exposure > 0, -1, stratum), self.agreement)
        return np.maximum(clicks + self.strength * (own - rates), 0.0)


def levels_of(grade: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the level of every grade, and the lowest grade of each level.

    >>> levels_of(np.array([3.0, 0.0, 3.0]))
    (array([1, 0, 1]), array([0., 3.]))
    """
    values = np.unique(grade)
    if len(values) > MAX_LEVELS:
        values = np.unique(np.quantile(grade, np.arange(MAX_LEVELS) / MAX_LEVELS))
    return np.searchsorted(values, grade, side="right") - 1, values


@dataclass(frozen=True)
class Observed:
    """What the log says of documents; shape (d,) each, w being recency weights."""

    clicks: Floats  # C = sum w c
    exposure: Floats  # E = sum w e; 0 where a document was not shown
    click_squares: Floats  # sum w^2 c
    exposure_squares: Floats  # sum w^2 e^2

    def take(self, chosen: NDArray[Any]) -> Observed:
        """Return the chosen documents."""
        each = self.clicks, self.exposure, self.click_squares, self.exposure_squares
        return Observed(*(values[chosen] for values in each))


def grade_evidence(
    level: NDArray[np.int64], grades: Floats, log: Observed, overall: float
) -> GradeEvidence:
    """Estimate what the grades of one source count as; see the module.

    `level`, shape (d,): of the judged documents. `log`: what it says of these. `overall`:
    P(click | examined) over all documents of the log.
    """
    if len(grades) < 2:
        nothing = np.zeros(len(grades))
        return GradeEvidence(grades, nothing + overall, 0.0, nothing, None, "one grade throughout")
    observed = int((log.exposure >= 1).sum())
    clicked = float(log.clicks[log.exposure > 0].sum())
    between = _between_documents(log)
    if observed < MIN_DOCUMENTS or clicked < MIN_JUDGED_CLICKS or between is None:
        return _default(level, grades, overall, observed, clicked)
    mean, variance = between
    blind = mean / variance
    share = log.exposure / (log.exposure + blind)
    rates = _rates(level, len(grades), log.clicks / (log.exposure + blind), share)
    # C / E has the variance mean / (blind share), by the variance of relevance and of clicks.
    explained = _variance(rates[level], share)
    by_chance = (len(grades) - 1) * variance / share.sum()
    if explained * share.sum() * blind / mean <= _chi_squared(len(grades) - 1):
        reason = "its grades do not agree with clicks"
        return GradeEvidence(grades, rates, 0.0, np.zeros(len(grades)), 0.0, reason)
    agreement = max(explained - by_chance, 0.0) / variance
    agreement = min(agreement, MAX_STRENGTH / (MAX_STRENGTH + blind))
    strength = blind / (1 - agreement)
    counted = np.maximum(strength * rates - blind * mean, 0.0)
    return GradeEvidence(grades, rates, float(strength - blind), counted, float(agreement))


def _between_documents(log: Observed) -> tuple[float, float] | None:
    """Return mean and variance of relevance, of shown documents; None if they do not vary."""
    shown = log.take(log.exposure > 0)
    pairs = shown.exposure**2 - shown.exposure_squares
    strength, mean, variance = _STRENGTH, 0.0, 0.0
    for _ in range(_STEPS):
        certainty = (shown.exposure + strength) ** 2
        weight = np.maximum(pairs, 0.0) / certainty
        if not weight.any():
            return None
        mean = float(np.average(shown.clicks / shown.exposure, weights=weight))
        square = float(np.sum((shown.clicks**2 - shown.click_squares) / certainty) / weight.sum())
        variance = square - mean**2
        if variance <= _MIN_RATE * mean or mean <= 0:
            return None
        strength = mean / variance
    return mean, variance


def rates_of_unshown(
    rates: Floats, weight: Floats, stratum: NDArray[np.int64], agreement: float
) -> Floats:
    """Return P(click | examined) by grade, of documents in strata less the effect of selection.

    With y = m_g the rate by grade, relevance among shown documents is r = y + e, so that grades
    read as ``y = a + rho r + noise``, with rho = `agreement` and
    ``Var(noise) = (1 - rho) Var(y)``. If a source errs alike on all documents, then in a stratum

        E[r] = m_0 + (mean y - m_0) / rho
        E[r | y] = E[r] + (1 - Var(noise) / Var(y in the stratum)) / rho (y - mean y)

    the latter being the best linear estimate (Buehlmann's credibility), its slope kept within 0
    and 1.

    `weight`, shape (d,): of the shown documents, 0 for others. `stratum`, shape (d,): -1 for shown
    documents, whose rates stay; strata of fewer than `MIN_STRATUM` documents are one.
    """
    mean = float(np.average(rates, weights=weight))
    noise = (1 - agreement) * _variance(rates, weight)
    small = np.bincount(stratum[stratum >= 0], minlength=1) < MIN_STRATUM
    stratum = np.where((stratum >= 0) & small[stratum], len(small), stratum)
    adjusted = rates.copy()
    for each in np.unique(stratum[stratum >= 0]):
        chosen = stratum == each
        own = rates[chosen]
        if len(own) < MIN_STRATUM:
            continue
        slope = (1 - noise / own.var()) / agreement if own.var() > 0 else 0.0
        shrunk = min(max(slope, 0.0), 1.0) * (own - own.mean())
        adjusted[chosen] = np.clip(mean + (own.mean() - mean) / agreement + shrunk, 0.0, 1.0)
    return adjusted


def _default(
    level: NDArray[np.int64], grades: Floats, overall: float, observed: int, clicked: float
) -> GradeEvidence:
    """Let relevance rise evenly with the grade from 0, its mean that of the log."""
    height = (grades - grades[0]) / (grades[-1] - grades[0])
    rates = np.minimum(overall * height / height[level].mean(), 1.0)
    reason = (
        f"only {observed:,} of its documents were examined once or more, with {clicked:,.0f} "
        f"clicks (an estimate needs {MIN_DOCUMENTS} and {MIN_JUDGED_CLICKS}): the default strength"
    )
    clicks = DEFAULT_STRENGTH * rates
    return GradeEvidence(grades, rates, DEFAULT_STRENGTH, clicks, None, reason)


def _rates(level: NDArray[np.int64], size: int, gained: Floats, weight: Floats) -> Floats:
    """Return the mean of every level, rising with it, shrunk to that of all by one document.

    Documents count ``E / (E + K_0)``: of one that was examined often only its own relevance is
    known better, and not its level's.
    """
    from sklearn.isotonic import isotonic_regression

    clicks, documents = np.bincount(level, gained, size), np.bincount(level, weight, size)
    means = (clicks + clicks.sum() / documents.sum()) / (documents + 1.0)
    rising: Any = isotonic_regression(means, sample_weight=documents + 1.0)
    return np.asarray(np.maximum(rising, _MIN_RATE))


def _variance(values: Floats, weight: Floats) -> float:
    return float(np.average((values - np.average(values, weights=weight)) ** 2, weights=weight))


def _chi_squared(freedom: int) -> float:
    from scipy.special import chdtri

    return float(chdtri(freedom, _SIGNIFICANCE))
