"""Which features repeat the position: their order within lists gives it away."""

from __future__ import annotations

from operator import getitem
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .array_storage import Gather
    from .training_pairs import TrainingPairs

THRESHOLD: Final = 0.9
"""Mean rank correlation within lists above which a feature counts as confounded."""

_LISTS: Final = 2_000


def confounded_features(
    pairs: TrainingPairs, threshold: float = THRESHOLD, gather: Gather = getitem
) -> dict[str, float]:
    """Return the features whose order within lists correlates with the position.

    Under one deterministic ranker the order of its score IS the position: a bias model that sees
    such a feature explains examination by it. The ranker itself may use it.

    Parameters
    ----------
    pairs : TrainingPairs
    threshold : float
        On the absolute value of Spearman's rank correlation, averaged over (at most 2,000, evenly
        spaced) executions with at least three documents in which the feature varies.
    gather : callable
        See `TrainingPairs.take`.

    Returns
    -------
    dict of str to float
        Feature -> mean rank correlation with the position, strongest first.
    """
    if not pairs.has_positions:
        return {}
    long_enough = np.flatnonzero(pairs.group >= 3)
    step = max(len(long_enough) // _LISTS, 1)
    lists = pairs.take(long_enough[::step][:_LISTS], gather)
    found = {
        name: mean_rank_correlation(lists.X[:, j], lists.position, lists.execution_index)
        for j, name in enumerate(lists.feature_names)
    }
    strong = {name: value for name, value in found.items() if abs(value) > threshold}
    return dict(sorted(strong.items(), key=lambda item: -abs(item[1])))


def mean_rank_correlation(
    a: NDArray[np.generic], b: NDArray[np.generic], group: NDArray[np.int32]
) -> float:
    """Return Spearman's correlation within groups, averaged over groups where both vary.

    Rows where `a` is NaN are left out; tied values share their mean rank. 0 if nothing varies.

    Examples
    --------
    >>> import numpy as np
    >>> mean_rank_correlation(np.array([9.0, 5, 1]), np.array([0, 1, 2]), np.zeros(3, np.int32))
    -1.0
    """
    known = ~np.isnan(a.astype(np.float64))
    if not known.any():
        return 0.0
    _, index = np.unique(group[known], return_inverse=True)
    x, y = _centred_ranks(a[known], index), _centred_ranks(b[known], index)
    covariance = np.bincount(index, x * y)
    scale = np.sqrt(np.bincount(index, x * x) * np.bincount(index, y * y))
    varies = scale > 0
    return float((covariance[varies] / scale[varies]).mean()) if varies.any() else 0.0


def _centred_ranks(values: NDArray[np.generic], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return ranks within groups, ties averaged, minus each group's mean rank."""
    order = np.lexsort((values, group))
    ordered, groups = values[order], group[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (groups[1:] != groups[:-1]) | (ordered[1:] != ordered[:-1])
    run = np.cumsum(new) - 1
    mean_of_run = np.bincount(run, np.arange(len(order))) / np.bincount(run)
    rank = np.empty(len(order))
    rank[order] = mean_of_run[run]
    return rank - (np.bincount(group, rank) / np.bincount(group))[group]
