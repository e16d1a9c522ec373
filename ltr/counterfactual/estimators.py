"""Inverse propensity, self-normalised and doubly robust estimates, execution by execution.

The formulas and their sources are documented at `rankloom.ltr.evaluate_from_logs`; here w is a
target's discount, rho a propensity, e the examination and c the gain of a display, m a modelled
relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..metrics.ranked_lists import rank_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .clusters import Clusters
    from .logged_documents import LoggedDocuments
    from .metrics import LogMetric

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Displays:
    """The log's rows: each the display of one document in one execution."""

    log: LoggedDocuments
    execution: NDArray[np.int32]  # shape (n,)
    gain: Floats  # shape (n,)
    examination: Floats  # shape (n,)
    propensity: Floats  # shape (m,): rho of every document; 0 where it cannot have been shown
    # shape (m,): share of the executions of its query in which each document was examined
    frequency: Floats
    # Whether relevance and scores may differ between executions of a document, so that a display is
    # evidence of its own row alone, and its propensity is its own examination
    row_level: bool = False

    @property
    def document(self) -> Integers:
        """Document of every row; shape (n,)."""
        return np.asarray(self.log.documents.of_row, np.int64)

    def per_execution(self, values: Floats) -> Floats:
        """Sum values of rows over every execution; shape (e,)."""
        executions = len(self.log.query_of_execution)
        sums = np.bincount(self.execution, weights=values, minlength=executions)
        return sums.astype(np.float64, copy=False)

    def weight(self, target: Target, clip: float) -> Floats:
        """Return what the gain of each row counts for a target; shape (n,).

        A target of rows has a weight that depends on these displays themselves. Over the frequency
        of the same displays it is unbiased given them; over a known propensity it would not be.
        """
        if target.by_row is None:
            return (target.weight / clipped(self.propensity, clip))[self.document]
        if self.row_level:
            return target.by_row / clipped(self.examination, clip)
        return (target.weight / clipped(self.frequency, clip))[self.document]


def clipped(propensity: Floats, clip: float) -> Floats:
    """Return the propensities, none below `clip`; infinite where one is 0."""
    raised = np.maximum(propensity, clip)
    return np.where(raised > 0, raised, np.inf)


@dataclass(frozen=True)
class Target:
    """At which discount a ranking shows each document."""

    weight: Floats  # shape (m,): mean discount over the executions of the document's query
    # shape (n,): discount of each row, where a query's executions differ
    by_row: Floats | None = None

    def expected(self, displays: Displays, model: Floats, fold: Integers) -> Floats:
        """Sum discount times modelled relevance over what the ranking shows; shape (e,).

        `model` has shape (m, folds).
        """
        if self.by_row is not None:
            modelled = model[displays.document, fold[displays.execution]]
            return displays.per_execution(self.by_row * modelled)
        log = displays.log
        queries = len(log.executions_of_query)
        sums = [
            np.bincount(log.documents.query, weights=self.weight * column, minlength=queries)
            for column in model.T
        ]
        return np.asarray(np.column_stack(sums)[log.query_of_execution, fold], dtype=np.float64)


class Contributions(NamedTuple):
    """What every execution adds to the estimates; arrays of shape (e,)."""

    ips: Floats  # sum w c / rho
    exposure: Floats  # sum w e / rho: the exposure that the log gave to what the ranking shows
    normaliser: Floats  # sum_d w: the exposure that the ranking would give
    direct: Floats  # sum_d w m
    doubly_robust: Floats  # direct + sum w (c - e m) / rho


class Value(NamedTuple):
    """An estimate and the influence of every execution on it."""

    value: float
    influence: Floats
    # How the estimate changes by one standard error of the examination curve, in each of a few
    # uncorrelated directions
    shifts: Floats = np.zeros(0)

    def scaled(self, factor: float) -> Value:
        """Return a multiple."""
        return Value(self.value * factor, self.influence * factor, self.shifts * factor)

    def minus(self, other: Value, factor: float = 1.0) -> Value:
        """Return the difference to a multiple of another."""
        less = other.scaled(factor)
        return Value(
            self.value - less.value, self.influence - less.influence, self.shifts - less.shifts
        )


def ranked_target(log: LoggedDocuments, scores: Floats, metric: LogMetric, curve: Floats) -> Target:
    """Return the target of a ranking by scores of all documents of a query."""
    return Target(_discounts(scores, log.group, metric, curve))


def reranked_target(
    log: LoggedDocuments, scores: ArrayLike, group: ArrayLike, metric: LogMetric, curve: Floats
) -> Target:
    """Return the target of a ranking that only reorders what each execution showed."""
    return _by_row(log, _discounts(scores, group, metric, curve))


def shown_target(
    log: LoggedDocuments, position: NDArray[np.int32], metric: LogMetric, curve: Floats
) -> Target:
    """Return the target of production: every document at the position where it was shown."""
    return _by_row(log, metric.discount(position, curve))


def _by_row(log: LoggedDocuments, discount: Floats) -> Target:
    return Target(log.mean_over_executions(discount), discount)


def _discounts(scores: ArrayLike, group: ArrayLike, metric: LogMetric, curve: Floats) -> Floats:
    """Return the discount of each row by its rank; tied rows share theirs."""
    lists = rank_lists(np.zeros(np.shape(scores)), scores, group)
    discount = np.empty(len(lists.order))
    discount[lists.order] = lists.expected(metric.discount(lists.rank, curve))
    return discount


def contributions(
    displays: Displays, target: Target, model: Floats, fold: Integers, clip: float
) -> Contributions:
    """Return what every execution adds to the estimates of a target's value.

    `model`, shape (m, folds): relevance of every document as modelled without each fold. `clip`:
    smallest propensity counted. `fold` has shape (e,).
    """
    document = displays.document
    weight = displays.weight(target, clip)
    residual = displays.gain - displays.examination * model[document, fold[displays.execution]]
    direct = target.expected(displays, model, fold)
    ones = np.ones((len(model), 1))
    return Contributions(
        ips=displays.per_execution(weight * displays.gain),
        exposure=displays.per_execution(weight * displays.examination),
        normaliser=target.expected(displays, ones, np.zeros_like(fold)),
        direct=direct,
        doubly_robust=direct + displays.per_execution(weight * residual),
    )


def estimates(parts: Contributions) -> dict[str, Value]:
    """Return the estimates with their linearised influences, by name."""
    exposure, normaliser = float(parts.exposure.mean()), float(parts.normaliser.mean())
    ips, robust = float(parts.ips.mean()), float(parts.doubly_robust.mean())
    ratio = ips / exposure if exposure > 0 else 0.0
    scale = normaliser / exposure if exposure > 0 else 0.0
    influence = scale * (parts.ips - ratio * parts.exposure)
    influence += ratio * (parts.normaliser - normaliser)
    return {
        "ips": Value(ips, parts.ips - ips),
        "snips": Value(ratio * normaliser, influence),
        "doubly_robust": Value(robust, parts.doubly_robust - robust),
    }


def interval(
    value: Value, clusters: Clusters, confidence: float
) -> tuple[float, tuple[float, float]]:
    """Return standard error and interval of an estimate."""
    sampling = clusters.errors.standard_error(value.influence)
    error = float(np.sqrt(sampling**2 + value.shifts @ value.shifts))
    reach = clusters.errors.t_quantile((1 + confidence) / 2) * error
    return error, (value.value - reach, value.value + reach)
