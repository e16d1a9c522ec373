"""Rates and shares of many groups, each against what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .shrunk_rates import shrunk_rates, shrunk_shares
from .tails import (
    binomial_at_least,
    binomial_at_most,
    poisson_at_least,
    poisson_at_most,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .dispersion import Persons

    Floats = NDArray[np.float64]

MIN_PERSONS: Final = 3
"""Groups of fewer persons are not tested: how much persons differ there is unknown."""


class Question(NamedTuple):
    """What is asked of every group.

    Attributes
    ----------
    tolerance : float
        Relative difference from what is expected that is of no interest: the null hypothesis is
        that the ratio is at most ``1 + tolerance``, or at least ``1 / (1 + tolerance)``.
    confidence : float
        Of the intervals.
    """

    tolerance: float
    confidence: float


@dataclass(frozen=True)
class GroupRates:
    """What was found for every group; arrays of shape (m,).

    Attributes
    ----------
    value, lower, upper : ndarray of float64
        Share, or ratio to what is expected, drawn towards that of all, with credible interval; NaN
        without trials, or where nothing is expected.
    above, below : ndarray of float64
        p-value of being no higher, or no lower, than expected; NaN where not tested.
    """

    value: Floats
    lower: Floats
    upper: Floats
    above: Floats
    below: Floats


def group_ratios(
    persons: Persons, observed: Floats, expected: Floats, question: Question
) -> GroupRates:
    """Return counts over expected counts of every group.

    `observed`, `expected`: of every observation that `persons` describes. Counts over their
    dispersion (`Persons.dispersion_of_counts`) are taken as Poisson's. So are sums of yes or no,
    whose tails are thinner.
    """
    counts, means = persons.sums(observed), persons.sums(expected)
    dispersion = persons.dispersion_of_counts(counts, means)
    x = persons.group_sums(counts) / dispersion
    m = persons.group_sums(means) / dispersion
    shrunk = shrunk_rates(x, m, mean=1.0, confidence=question.confidence)
    used, tested = m > 0, (m > 0) & (persons.counts >= MIN_PERSONS)
    factor = 1.0 + question.tolerance
    return GroupRates(
        value=np.where(used, shrunk.rate, np.nan),
        lower=np.where(used, shrunk.lower, np.nan),
        upper=np.where(used, shrunk.upper, np.nan),
        above=np.where(tested, poisson_at_least(x, m * factor), np.nan),
        below=np.where(tested, poisson_at_most(x, m / factor), np.nan),
    )


def group_shares(
    persons: Persons,
    events: NDArray[np.generic],
    trials: NDArray[np.generic],
    question: Question,
    expected: float | None = None,
) -> GroupRates:
    """Return shares of trials with an event of every group, against the share of all.

    `events`, `trials`: of every observation that `persons` describes. Counts over their dispersion
    (`Persons.dispersion_of_shares`) are taken as binomial. `expected`: None: the share of all.
    """
    hits, tries = persons.sums(events), persons.sums(trials)
    overall = float(hits.sum() / max(tries.sum(), 1.0)) if expected is None else expected
    dispersion = persons.dispersion_of_shares(hits, tries)
    x = persons.group_sums(hits) / dispersion
    n = persons.group_sums(tries) / dispersion
    shrunk = shrunk_shares(x, n, confidence=question.confidence)
    of_group = np.bincount(persons.group[tries > 0], minlength=persons.n_groups)
    used, tested = n > 0, (n > 0) & (of_group >= MIN_PERSONS)
    factor = 1.0 + question.tolerance
    return GroupRates(
        value=np.where(used, shrunk.rate, np.nan),
        lower=np.where(used, shrunk.lower, np.nan),
        upper=np.where(used, shrunk.upper, np.nan),
        above=np.where(tested, binomial_at_least(x, n, np.full(len(n), overall * factor)), np.nan),
        below=np.where(tested, binomial_at_most(x, n, np.full(len(n), overall / factor)), np.nan),
    )
