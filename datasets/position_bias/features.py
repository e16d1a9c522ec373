"""Examination from features: documents that look alike, shown at different positions.

Regression expectation-maximisation (Wang et al., "Position Bias Estimation for Unbiased Learning to
Rank in Personal Search", WSDM 2018): relevance as a boosted function of the features and the curve,
each learnt given the other. Trees that saw a cell's clicks would take some of the curve into the
relevance, and trees that stop early would leave some of the relevance to the curve. So every cell
is predicted by trees of other queries, and the curve is then the maximum of a likelihood that
adjusts for two such predictions: of the relevance and of the position. It errs only by what both
leave open (Leacy and Stuart, "On the joint use of propensity and prognostic scores", Statistics in
Medicine 33, 2014; cross-fitting: Chernozhukov et al., Econometrics Journal 21, 2018).

Trees that learn from few queries and clicks predict the relevance with an error, and adjusting for
a prediction of reliability R takes out the share R of the difference that adjusting for the truth
would take out (Steiner, Cook and Shadish, "On the importance of reliable covariate measurement in
selection bias adjustments using propensity scores", Journal of Educational and Behavioral
Statistics 36, 2011). With b the adjusted log curve and c that without features, (b - c) (1 - R) / R
would be missing; less, down to nothing, as far as adjusting for the position makes up for it. The
estimate adds half of it, and counts the half as a standard error that resampling does not show:

    log e = b + u, u = (b - c) (1 - R) / (2 R)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from ...errors import NotIdentifiableError
from ..counts.bootstrap import MIN_QUERIES
from .cross_fitting import (
    Prediction,
    expected_positions,
    folds_of_queries,
    halves_of_queries,
    relevance,
    reliability,
)
from .feature_likelihood import FeatureLikelihood, Fit

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from .feature_cells import FeatureCells

    Floats = NDArray[np.float64]

WHOLLY: Final = 0.95
"""Share of the position's variance from which on features are taken to determine it."""

ONE_SIDED: Final = 1.645
MAX_PASSES: Final = 4
MAX_ODDS: Final = 1.0
"""Largest (1 - R) / R in the estimate: more would follow noise. The error is not limited."""

_CHANGE = 0.01
_KNOTS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Confounding:
    """How far features go in predicting positions and clicks of queries that were held out.

    Attributes
    ----------
    position_r2 : float
        Share of the variance of log(1 + position) within lists of a query that the features
        explain. Where it is 1, features and positions cannot be separated; where it is 0,
        positions are as good as random.
    click_gain : float
        By how much features raise the log-likelihood of clicks, per click.
    click_z : float
        That, in standard errors over queries.
    relevance_r2 : float
        Share of the variance of relevance between documents that the features explain. A ranker
        that knows more of the relevance than the features may have selected on the rest, which
        neither the estimate nor its interval allows for.
    reliability : float
        Share of the variance of the relevance learnt that is no error of learning, by what two
        halves of the queries teach. Where it is 1, the trees learnt what there is to be learnt.
    """

    position_r2: float
    click_gain: float
    click_z: float
    relevance_r2: float
    reliability: float

    def __str__(self) -> str:
        """Return both in one line."""
        return (
            f"features explain {self.position_r2:.0%} of the positions' variance within lists and "
            f"{self.relevance_r2:.0%} of that of relevance between documents, learnt with a "
            f"reliability of {self.reliability:.2f}, and raise the log-likelihood of clicks by "
            f"{self.click_gain:.4f} a click (z = {self.click_z:.1f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "position_r2": self.position_r2,
            "click_gain": self.click_gain,
            "click_z": self.click_z,
            "relevance_r2": self.relevance_r2,
            "reliability": self.reliability,
        }


@dataclass(frozen=True, eq=False)
class FeatureEstimate:
    """A curve from features, and what resampling it needs."""

    likelihood: FeatureLikelihood
    fit: Fit
    without: FeatureLikelihood  # the same without functions of the features
    fit_without: Fit
    confounding: Confounding

    @property
    def log_curve(self) -> Floats:
        """Log examination of every position, 0 at position 0."""
        return self._corrected(self.fit, self.fit_without)

    @property
    def unlearnt(self) -> Floats:
        """Standard error of the log curve by what trees did not learn of the relevance."""
        return self._odds / 2 * (self.fit.log_curve - self.fit_without.log_curve)

    def replicate(self, weight: Floats) -> Floats:
        """Return the log curve with pairs weighted."""
        return self._corrected(
            self.likelihood.fit(weight, self.fit.free),
            self.without.fit(weight, self.fit_without.free),
        )

    @property
    def _odds(self) -> float:
        return 1 / self.confounding.reliability - 1

    def _corrected(self, fit: Fit, without: Fit) -> Floats:
        shift = fit.log_curve - without.log_curve
        return np.asarray(fit.log_curve + min(self._odds, MAX_ODDS) / 2 * shift)


def estimate_from_features(cells: FeatureCells, queries: pl.Series) -> FeatureEstimate:
    """Return the curve by features, or raise `NotIdentifiableError` with the cause.

    `cells`: every position from 0 on with clicks. `queries`: texts of the query codes.
    """
    _require_evidence(cells)
    fold = folds_of_queries(cells, queries)
    place = expected_positions(cells, fold)
    r2 = _within_lists(cells, place.values)
    if r2 >= WHOLLY:
        refuse_features(
            f"the features determine the position (they explain {r2:.1%} of its variance within "
            "lists): leave out those that were computed from it"
        )
    of_place = _smooth(place.values, cells.shown)
    alike = FeatureLikelihood(cells, of_place, np.ones(len(cells)))
    likelihood, fit, learnt = _alternate(alike, alike.fit(), fold, of_place)
    gain, z = _click_gain(cells, fit.log_curve, learnt, likelihood.precision)
    if z <= ONE_SIDED:
        refuse_features(
            f"the features do not predict clicks of other queries (z = {z:.1f}), so they do not "
            "account for the relevance of documents"
        )
    half, counts_by = halves_of_queries(cells, queries), likelihood.precision
    reliable = reliability(cells, fold, half, fit.log_curve, counts_by[cells.pair])
    explained = _explained(cells, fit.log_curve, learnt.values)
    without = FeatureLikelihood(cells, np.zeros((len(cells.position), 0)), counts_by)
    confounding = Confounding(r2, gain, z, explained, reliable)
    return FeatureEstimate(likelihood, fit, without, without.fit(), confounding)


def _alternate(
    likelihood: FeatureLikelihood,
    fit: Fit,
    fold: NDArray[np.int64],
    of_place: Floats,
    passes: int = MAX_PASSES,
) -> tuple[FeatureLikelihood, Fit, Prediction]:
    """Learn relevance given the curve and the curve given relevance, until it stays."""
    cells, before = likelihood.cells, fit.log_curve
    learnt = relevance(cells, fold, before, likelihood.precision[cells.pair])
    functions = np.column_stack([_smooth(learnt.values, cells.shown), of_place])
    precision = _precision(cells, before, learnt.values)
    likelihood = FeatureLikelihood(cells, functions, precision)
    fit = likelihood.fit()
    if passes == 1 or np.abs(fit.log_curve - before).max() < _CHANGE:
        return likelihood, fit, learnt
    return _alternate(likelihood, fit, fold, of_place, passes - 1)


def _require_evidence(cells: FeatureCells) -> None:
    if not _varies(cells.X):
        refuse_features("no feature varies")
    clicked = np.unique(cells.query[cells.pair_sums(cells.clicks) > 0])
    if len(clicked) < MIN_QUERIES:
        refuse_features(f"{len(clicked)} queries with clicks; features need {MIN_QUERIES} or more")


def _varies(X: NDArray[np.float32]) -> bool:
    """Whether any column has two values, one of which may be NaN."""
    return bool(((X[:1] != X) & ~(np.isnan(X) & np.isnan(X[:1]))).any())


def _within_lists(cells: FeatureCells, predicted: Floats) -> float:
    """Return the share of the variance within queries that a prediction explains."""
    target = np.log1p(cells.position)
    query = np.unique(cells.query, return_inverse=True)[1][cells.pair]
    shown = np.bincount(query, cells.shown)

    def squares(values: Floats) -> float:
        mean = np.bincount(query, cells.shown * values) / shown
        return float(cells.shown @ (values - mean[query]) ** 2)

    total = squares(target)
    return max(0.0, 1 - squares(target - predicted) / total) if total > 0 else 1.0


def _smooth(values: Floats, weight: Floats) -> Floats:
    """Return a straight line and hinges at quantiles, standardised; constant ones left out."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    knots = values[order][np.minimum(np.searchsorted(share, _KNOTS), len(order) - 1)]
    columns = [values, *(np.maximum(values - knot, 0.0) for knot in np.unique(knots))]
    standard = []
    for column in columns:
        mean = np.average(column, weights=weight)
        deviation = np.sqrt(np.average((column - mean) ** 2, weights=weight))
        if deviation > 1e-9:
            standard.append((column - mean) / deviation)
    return np.column_stack(standard) if standard else np.zeros((len(values), 0))


def _precision(cells: FeatureCells, log_curve: Floats, log_relevance: Floats) -> Floats:
    """Return 1 / (1 + mu_i d), d the variance of relevance beyond its features."""
    mean, variance = _beyond(cells, log_curve, log_relevance)
    return np.asarray(1 / (1 + variance * mean))


def _explained(cells: FeatureCells, log_curve: Floats, log_relevance: Floats) -> float:
    """Return the share of the variance of relevance between pairs that a prediction explains."""
    _, before = _beyond(cells, log_curve, np.zeros(len(log_relevance)))
    _, after = _beyond(cells, log_curve, log_relevance)
    return min(max(1 - after / before, 0.0), 1.0) if before > 0 else 0.0


def _beyond(cells: FeatureCells, log_curve: Floats, log_relevance: Floats) -> tuple[Floats, float]:
    """Return clicks expected of every pair, and the relative variance beyond them, by moments."""
    mean = cells.pair_sums(cells.shown * np.exp(log_curve[cells.position] + log_relevance))
    clicks = cells.pair_sums(cells.clicks)
    mean *= clicks.sum() / mean.sum()
    variance = float(((clicks - mean) ** 2 - clicks).sum() / (mean**2).sum())
    return mean, max(variance, 0.0)


def _click_gain(
    cells: FeatureCells, log_curve: Floats, learnt: Prediction, precision: Floats
) -> tuple[float, float]:
    """Return the gain in log-likelihood per click by the features, and in standard errors."""
    if learnt.rounds == 0:  # no tree predicts better than a constant
        return 0.0, 0.0
    exposure = cells.shown * np.exp(log_curve[cells.position])
    total = cells.clicks.sum()
    flat = np.log(total / exposure.sum())
    means = exposure * np.exp(learnt.values)
    scores = learnt.values - np.log(means.sum() / total)
    each = cells.clicks * (scores - flat) - exposure * (np.exp(scores) - np.exp(flat))
    each *= precision[cells.pair]
    query = np.unique(cells.query, return_inverse=True)[1][cells.pair]
    gains = np.bincount(query, each)
    error = float(gains.std(ddof=1) * np.sqrt(len(gains)))
    return float(gains.sum() / total), float(gains.sum() / error) if error > 0 else 0.0


def refuse_features(cause: str) -> NoReturn:
    """Raise with a cause."""
    msg = f"Features do not identify the examination curve: {cause}."
    raise NotIdentifiableError(msg)
