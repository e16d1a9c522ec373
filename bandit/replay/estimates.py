"""What the documents of a ranking would have brought, and what each list adds to the estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.clustered import effective_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pools import Pools

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


PRIOR: Final = 1.0
"""Prior strength, in examinations, of the mean of all documents in a document's own rate."""


class RankDiscounts(NamedTuple):
    """What a gain counts at the ranks that some weights, or those that were served, give."""

    # shape (m,): discount of every document of a pool, the mean over the pool's lists
    document: Floats
    # shape (n,): discount of every display, where the lists of one pool differ
    display: Floats | None = None


class Contributions(NamedTuple):
    """A mean over lists, and what each list adds to its deviation."""

    value: float
    influence: Floats


def contributions(
    pools: Pools, execution: Integers, gain: Floats, discounts: RankDiscounts
) -> Contributions:
    """Estimate the value of a ranking: sum over documents of discount x gain per examination.

    `execution`, shape (n,): list of every display. `gain` has shape (n,).

    The estimate is a doubly robust one whose model m is the document's own rate, so that the two
    coincide (Oosterhuis, "Doubly-Robust Estimation for Correcting Position-Bias in Click Feedback
    for Unbiased Learning to Rank", TOIS 2023). The influence of list i takes m from the other
    lists, shrunk to the mean of all documents with a prior strength of one examination:
    sum_d discount(d) m(d) + sum over its displays of discount / propensity * (c - e m).
    """
    lists = len(pools.of_list)
    documents = len(pools.pool)
    total = np.bincount(pools.of_row, weights=gain, minlength=documents).astype(np.float64)
    rate = total / pools.exposure
    others = _rate_without(pools, total, gain)
    lever = (discounts.document / pools.propensity)[pools.of_row]
    parts = lever * (gain - pools.examination * others)
    if discounts.display is None:
        smooth = _smooth(total, pools.exposure, total.sum() / pools.exposure.sum())
        parts += discounts.document[pools.of_row] * (others - smooth[pools.of_row])
        value = _mean_of_pools(pools, discounts.document * rate).mean()
        base = _mean_of_pools(pools, discounts.document * smooth)
    else:
        parts += discounts.display * others
        shown = discounts.display * rate[pools.of_row]
        value = np.bincount(execution, weights=shown, minlength=lists).mean()
        base = np.zeros(lists)
    influence = base + np.bincount(execution, weights=parts, minlength=lists)
    return Contributions(float(value), influence - influence.mean())


def _mean_of_pools(pools: Pools, values: Floats) -> Floats:
    """Return the sum over a pool's documents, for every list."""
    total = np.bincount(pools.pool, weights=values, minlength=len(pools.lists))
    return np.asarray(total[pools.of_list], np.float64)


def _rate_without(pools: Pools, total: Floats, gain: Floats) -> Floats:
    """Return a document's gain per examination by all displays but this one; shape (n,).

    A residual against an estimate that holds the display itself is too small, and 0 for a document
    that was shown once.
    """
    overall = float(total.sum() / pools.exposure.sum())
    left = np.maximum(pools.exposure[pools.of_row] - pools.examination, 0.0)
    return _smooth(total[pools.of_row] - gain, left, overall)


def _smooth(total: Floats, exposure: Floats, overall: float) -> Floats:
    return np.asarray((total + PRIOR * overall) / (exposure + PRIOR))


def effective_displays(pools: Pools, discounts: RankDiscounts) -> float:
    """Return Kish's effective size of the displays, weighted by discount / propensity."""
    return effective_size((discounts.document / pools.propensity)[pools.of_row])
