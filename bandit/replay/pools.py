"""What could have been shown for each query, in the order that weights give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .logged_lists import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pools:
    """Documents that were shown for the same query and segment, or in the same list."""

    of_list: Integers  # shape (e,): pool of every list
    lists: Integers  # shape (p,): lists of every pool
    pool: Integers  # shape (m,): one row for each document of each pool
    document: Integers  # shape (m,)
    x: Floats  # shape (m, arms): its scores, the mean over its displays
    of_row: Integers  # shape (n,): document of every display
    examination: Floats  # shape (n,): of every display
    exposure: Floats  # shape (m,): sum of the examination over the document's displays

    @classmethod
    def of(cls, log: LoggedLists, examination: Floats, *, by_query: bool) -> Pools:
        """Pool the lists of a query and segment, or make every list its own pool."""
        of_list = np.arange(log.executions)
        if by_query:
            key = np.stack([log.query, log.segment], axis=1)
            of_list = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
        of_pool = of_list[log.execution]
        width = int(log.document.max(initial=0)) + 1
        key, of_row = np.unique(of_pool * width + log.document, return_inverse=True)
        displays = np.bincount(of_row)
        x = np.stack([np.bincount(of_row, weights=each) for each in log.x.T], axis=1)
        return cls(
            of_list=of_list,
            lists=np.bincount(of_list),
            pool=key // width,
            document=key % width,
            x=x / displays[:, None],
            of_row=of_row.astype(np.int64),
            examination=examination,
            exposure=np.asarray(np.bincount(of_row, weights=examination), np.float64),
        )

    @property
    def propensity(self) -> Floats:
        """Mean examination of a document over its pool's lists; shape (m,)."""
        return self.exposure / self.lists[self.pool]

    def per_pool(self, of_list: Integers) -> Integers:
        """Return a value that all lists of a pool share, once for every pool."""
        result = np.empty(len(self.lists), of_list.dtype)
        result[self.of_list] = of_list
        return result

    def scores(self, weights: Floats) -> Floats:
        """Return fused scores under the weights of every pool, shape (p, arms)."""
        return np.asarray((self.x * weights[self.pool]).sum(axis=1))

    def ranks(self, scores: Floats) -> Integers:
        """Return 0-based ranks within the pools; ties are broken by the order of the ids."""
        return ranks_within(self.pool, scores, self.document)

    def mean_of_displays(self, values: Floats) -> Floats:
        """Return a document's sum over its displays, over the lists of its pool."""
        total = np.bincount(self.of_row, weights=values, minlength=len(self.pool))
        return np.asarray(total / self.lists[self.pool])


def ranks_within(group: Integers, scores: Floats, tie: Integers) -> Integers:
    """Return 0-based ranks by falling score within groups, whose rows are neighbours."""
    order = np.lexsort((tie, -scores, group))
    sizes = np.bincount(group)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    ranks = np.empty(len(group), np.int64)
    ranks[order] = np.arange(len(group)) - np.repeat(start, sizes)
    return ranks


def max_unshown_score(log: LoggedLists, pools: Pools, weights: Floats) -> Floats:
    """Return the highest score under weights v of a document that no list shows; shape (p,).

    A list that was cut at the fused score s of its last document, drawn up with weights w, shows
    every document with w . x > s. So one that is not shown has w . x <= s, and for every l >= 0

        v . x <= l s + sum_a top_a max(v_a - l w_a, 0),

    where 0 <= x_a <= top_a (the dual of a fractional knapsack, Dantzig, "Discrete-Variable Extremum
    Problems", 1957). The sum is smallest at l = 0 or at one of the ratios v_a / w_a. Every list of
    the pool gives such a bound, and the lowest one holds. Lists that were not cut show everything.

    `log`: with the weights of every list. `weights` has shape (p, arms).
    """
    tops = np.maximum(log.x.max(axis=0, initial=0.0), 1.0)
    fused = (log.x * log.weights[log.execution]).sum(axis=1)
    lowest = np.full(log.executions, np.inf)
    np.minimum.at(lowest, log.execution, fused)
    bound = _bound(weights[pools.of_list], log.weights, np.maximum(lowest, 0.0), tops)
    bound[~log.truncated] = -np.inf
    result = np.full(len(pools.lists), np.inf)
    np.minimum.at(result, pools.of_list, bound)
    return result


def _bound(weights: Floats, served: Floats, lowest: Floats, tops: Floats) -> Floats:
    """Minimise over the multipliers: sorted by ratio, the sums are cumulative from the end."""
    ratio = np.divide(weights, served, out=np.full_like(weights, np.inf), where=served > 0)
    ratio[(weights == 0) & (served == 0)] = 0.0
    order = np.argsort(ratio, axis=1)
    ratio = np.take_along_axis(ratio, order, axis=1)
    gains = np.take_along_axis(weights * tops, order, axis=1)
    costs = np.take_along_axis(served * tops, order, axis=1)
    gain_after, cost_after = (_sums_after(each) for each in (gains, costs))
    finite = np.isfinite(ratio)
    at = np.where(finite, ratio, 0.0)
    values = at * lowest[:, None] + gain_after - at * cost_after
    everything = gains.sum(axis=1)
    return np.asarray(np.minimum(np.where(finite, values, np.inf).min(axis=1), everything))


def _sums_after(values: Floats) -> Floats:
    """Return the sum of the columns after each column."""
    total = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(total - values)
