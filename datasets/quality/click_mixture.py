r"""A mixture of units that click as the log does by position, and units that click at one rate.

A unit is a list, or all lists of a user. An honest one clicks a document at position k with
probability sigmoid(b_k + s x), where x ~ N(0, 1) is the unit's own (Rasch's model). A bot clicks
every document with one probability of at least 1/2, wherever it stands. A reader of everything
clicks with any probability that depends on the position. Positions stand for their bins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BOT_RATES: Final = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.97])
_NODES, _HERMITE = np.polynomial.hermite_e.hermegauss(9)
_LOG_WEIGHTS: Final = np.log(_HERMITE / _HERMITE.sum())
_MIN_SPREAD, _MAX_SPREAD = 0.05, 3.0
_MAX_STEP: Final = 1.0
_RIDGE: Final = 1e-2
_MIN_SHARE: Final = 1e-9
_START_SHARE: Final = 0.01
_MIN_STEPS, _MAX_STEPS = 4, 200
_TOLERANCE: Final = 1e-2


class ClickUnits(NamedTuple):
    """Distinct units u and position bins k.

    `shown` and `clicked` (u, k) are numbers of documents, `number` (u,) how many units are alike.
    """

    shown: Floats
    clicked: Floats
    number: Floats


@dataclass
class HonestUnits:
    """Units whose odds of a click are those of the position, times a factor of their own."""

    logit: Floats
    spread: float = 0.5

    @classmethod
    def start(cls, units: ClickUnits) -> HonestUnits:
        """Return the click rates by position, all units alike in appeal but for the spread."""
        clicked = units.number @ units.clicked
        passed = units.number @ units.shown - clicked
        return cls(np.log((clicked + 0.5) / (passed + 0.5)))

    def log_likelihoods(self, units: ClickUnits) -> Floats:
        """Return the joint log-likelihood of every unit and every node of x; shape (u, nodes)."""
        log_odds = self.logit[:, None] + self.spread * _NODES
        gained = (units.clicked @ self.logit)[:, None]
        gained = gained + units.clicked.sum(1)[:, None] * (self.spread * _NODES)
        lost = units.shown @ np.logaddexp(0.0, log_odds)
        total: Floats = gained - lost + _LOG_WEIGHTS
        return total

    def improve(self, units: ClickUnits, weight: Floats) -> None:
        """Take one Newton step; `weight` (u, nodes) is the posterior of each node."""
        chance = 1.0 / (1.0 + np.exp(-(self.logit[:, None] + self.spread * _NODES)))
        shown, clicked = units.shown.T @ weight, units.clicked.T @ weight
        slope, curvature = clicked - shown * chance, shown * chance * (1.0 - chance)
        step = slope.sum(1) / (curvature.sum(1) + _RIDGE)
        self.logit = self.logit + np.clip(step, -_MAX_STEP, _MAX_STEP)
        spread = (slope @ _NODES).sum() / ((curvature @ _NODES**2).sum() + _RIDGE)
        limited = self.spread + np.clip(spread, -_MAX_STEP / 3, _MAX_STEP / 3)
        self.spread = float(np.clip(limited, _MIN_SPREAD, _MAX_SPREAD))


class Others(Protocol):
    """The second kind of units in a mixture."""

    def log_likelihood(self, units: ClickUnits) -> Floats:
        """Return one value a unit."""
        ...

    def improve(self, units: ClickUnits, weight: Floats) -> None:
        """Maximise the expected log-likelihood; `weight` (u,) is how much of each unit counts."""
        ...


@dataclass
class Bots:
    """Units that click at one of `BOT_RATES`, whatever the position; `share` of each rate."""

    share: Floats = field(default_factory=lambda: np.full(len(BOT_RATES), 1 / len(BOT_RATES)))

    @property
    def rate(self) -> float:
        """Mean rate."""
        return float(self.share @ BOT_RATES)

    def log_likelihood(self, units: ClickUnits) -> Floats:
        """Return one value a unit."""
        return log_sum(self._joint(units))

    def improve(self, units: ClickUnits, weight: Floats) -> None:
        """Take the share of each rate among the bots."""
        joint = self._joint(units)
        posterior = np.exp(joint - log_sum(joint)[:, None])
        share = weight @ posterior + _MIN_SHARE
        self.share = share / share.sum()

    def _joint(self, units: ClickUnits) -> Floats:
        clicked, shown = units.clicked.sum(1), units.shown.sum(1)
        joint: Floats = (
            clicked[:, None] * np.log(BOT_RATES)
            + (shown - clicked)[:, None] * np.log1p(-BOT_RATES)
            + np.log(self.share)
        )
        return joint


@dataclass
class Readers:
    """Units that click at a rate which depends on the position, all alike."""

    rate: Floats

    @classmethod
    def start(cls, units: ClickUnits, weight: Floats) -> Readers:
        """Return the click rates of some units by position."""
        readers = cls(np.empty(0))
        readers.improve(units, weight)
        return readers

    def log_likelihood(self, units: ClickUnits) -> Floats:
        """Return one value a unit."""
        passed = units.shown - units.clicked
        return units.clicked @ np.log(self.rate) + passed @ np.log1p(-self.rate)

    def improve(self, units: ClickUnits, weight: Floats) -> None:
        """Take the click rates of the readers."""
        self.rate = (weight @ units.clicked + 0.5) / (weight @ units.shown + 1.0)


@dataclass
class ClickMixture:
    """Honest units and, where `others` is given, a share of another kind."""

    honest: HonestUnits
    others: Others | None = None
    share: float = _START_SHARE

    def fit(self, units: ClickUnits) -> float:
        """Maximise the likelihood by EM; return its logarithm."""
        total = previous = -np.inf
        for step in range(_MAX_STEPS):
            joint = self.honest.log_likelihoods(units)
            honest = log_sum(joint)
            other = self._posterior(units, honest)
            total = float(units.number @ self._total(units, honest))
            if step >= _MIN_STEPS and total - previous < _TOLERANCE:
                break
            previous = total
            nodes = np.exp(joint - honest[:, None]) * (units.number * (1.0 - other))[:, None]
            self.honest.improve(units, nodes)
            if self.others is not None:
                self.others.improve(units, units.number * other)
                self.share = max(float(units.number @ other / units.number.sum()), _MIN_SHARE)
        return total

    def posterior(self, units: ClickUnits) -> Floats:
        """Return the probability that each unit is of the other kind."""
        return self._posterior(units, log_sum(self.honest.log_likelihoods(units)))

    def _posterior(self, units: ClickUnits, honest: Floats) -> Floats:
        if self.others is None:
            return np.zeros(len(honest))
        log_odds = np.log(self.share) + self.others.log_likelihood(units)
        log_odds = log_odds - np.log1p(-self.share) - honest
        posterior: Floats = np.exp(-np.logaddexp(0.0, -log_odds))
        return posterior

    def _total(self, units: ClickUnits, honest: Floats) -> Floats:
        if self.others is None:
            return honest
        total: Floats = np.logaddexp(
            np.log1p(-self.share) + honest,
            np.log(self.share) + self.others.log_likelihood(units),
        )
        return total


def log_sum(logs: Floats) -> Floats:
    """Return log(sum(exp)) of every row, without overflow."""
    largest = logs.max(1)
    total: Floats = largest + np.log(np.exp(logs - largest[:, None]).sum(1))
    return total
