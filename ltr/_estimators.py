"""Inverse propensity, self-normalised and doubly robust estimates, execution by execution.

The formulas and where they come from stand with `rankloom.ltr.evaluate_from_logs`; here w is a
target's discount, rho a propensity, e the examination and c the gain of a display, m a modelled
relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._ranked_lists import rank_lists

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._clusters import Clusters
    from ._log_metrics import LogMetric
    from ._logged import Documents

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Displays:
    """The log's rows as estimators see them.

    Attributes
    ----------
    documents : Documents
    execution : ndarray of int32, shape (n,)
    gain, examination : ndarray of float64, shape (n,)
    propensity : ndarray of float64, shape (d,)
        rho of every document; 0 where it cannot have been shown.
    frequency : ndarray of float64, shape (d,)
        Share of the executions of its query in which each document was examined.
    """

    documents: Documents
    execution: NDArray[np.int32]
    gain: Floats
    examination: Floats
    propensity: Floats
    frequency: Floats

    @property
    def n_executions(self) -> int:
        """Number of executions."""
        return len(self.documents.of_execution)

    def per_execution(self, values: Floats) -> Floats:
        """Sum values of rows over every execution; shape (e,)."""
        sums = np.bincount(self.execution, weights=values, minlength=self.n_executions)
        return sums.astype(np.float64, copy=False)

    def weight(self, target: Target, clip: float) -> Floats:
        """Return what a gain of each document counts for a target; shape (d,).

        A target of rows has a weight that depends on the very displays. Over the frequency of the
        same displays it is unbiased given them; over a known propensity it would not be.
        """
        shown = self.propensity if target.by_row is None else self.frequency
        return target.weight / clipped(shown, clip)


def clipped(propensity: Floats, clip: float) -> Floats:
    """Return the propensities, none below `clip`; infinite where one is 0."""
    raised = np.maximum(propensity, clip)
    return np.where(raised > 0, raised, np.inf)


@dataclass(frozen=True)
class Target:
    """At which discount a ranking shows each document.

    Attributes
    ----------
    weight : ndarray of float64, shape (d,)
        Mean discount over the executions of the document's query.
    by_row : ndarray of float64, shape (n,), or None
        Discount of each row, where a query's executions differ.
    """

    weight: Floats
    by_row: Floats | None = None

    def expected(self, displays: Displays, model: Floats, fold: Integers) -> Floats:
        """Sum discount times modelled relevance over what the ranking shows; shape (e,).

        `model` has shape (d, folds).
        """
        documents = displays.documents
        if self.by_row is not None:
            modelled = model[documents.of_row, fold[displays.execution]]
            return displays.per_execution(self.by_row * modelled)
        queries = len(documents.asked)
        sums = [
            np.bincount(documents.query, weights=self.weight * column, minlength=queries)
            for column in model.T
        ]
        return np.asarray(np.column_stack(sums)[documents.of_execution, fold], dtype=np.float64)


class Contributions(NamedTuple):
    """What every execution adds to the estimates; arrays of shape (e,)."""

    ips: Floats
    examined: Floats
    promised: Floats
    modelled: Floats
    doubly_robust: Floats


class Value(NamedTuple):
    """An estimate and the influence of every execution on it."""

    value: float
    influence: Floats


def ranked_target(documents: Documents, scores: Floats, metric: LogMetric, curve: Floats) -> Target:
    """Return the target of a ranking by scores of all documents of a query."""
    sizes = np.bincount(documents.query, minlength=len(documents.asked))
    return Target(_discounts(scores, sizes, metric, curve))


def reranked_target(
    documents: Documents, scores: ArrayLike, group: ArrayLike, metric: LogMetric, curve: Floats
) -> Target:
    """Return the target of a ranking of nothing but what each execution showed."""
    return _by_row(documents, _discounts(scores, group, metric, curve))


def shown_target(
    documents: Documents, position: NDArray[np.int32], metric: LogMetric, curve: Floats
) -> Target:
    """Return the target of production: every document at the position where it was shown."""
    return _by_row(documents, metric.discount(position, curve))


def _by_row(documents: Documents, discount: Floats) -> Target:
    return Target(documents.total(discount) / documents.traffic, discount)


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

    Parameters
    ----------
    displays : Displays
    target : Target
    model : ndarray, shape (d, folds)
        Relevance of every document as modelled without each fold.
    fold : ndarray, shape (e,)
    clip : float
        Smallest propensity counted.
    """
    row = displays.documents.of_row
    weight = displays.weight(target, clip)[row]
    surprise = displays.gain - displays.examination * model[row, fold[displays.execution]]
    modelled = target.expected(displays, model, fold)
    whole = np.ones((len(model), 1))
    return Contributions(
        ips=displays.per_execution(weight * displays.gain),
        examined=displays.per_execution(weight * displays.examination),
        promised=target.expected(displays, whole, np.zeros_like(fold)),
        modelled=modelled,
        doubly_robust=modelled + displays.per_execution(weight * surprise),
    )


def values(found: Contributions) -> dict[str, Value]:
    """Return the estimates with their linearised influences, by name."""
    examined, promised = float(found.examined.mean()), float(found.promised.mean())
    ips, robust = float(found.ips.mean()), float(found.doubly_robust.mean())
    ratio = ips / examined if examined > 0 else 0.0
    scale = promised / examined if examined > 0 else 0.0
    normalised = scale * (found.ips - ratio * found.examined) + ratio * (found.promised - promised)
    return {
        "ips": Value(ips, found.ips - ips),
        "snips": Value(ratio * promised, normalised),
        "doubly_robust": Value(robust, found.doubly_robust - robust),
    }


def interval(
    value: Value, clusters: Clusters, confidence: float
) -> tuple[float, tuple[float, float]]:
    """Return standard error and interval of an estimate."""
    error = clusters.standard_error(value.influence)
    reach = clusters.quantile(confidence) * error
    return error, (value.value - reach, value.value + reach)
