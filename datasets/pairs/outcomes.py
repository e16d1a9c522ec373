"""Features that are outcomes of the click, such as the revenue of what was bought.

An outcome is known only after the click, so a ranker that learns from it has nothing to go by when
it ranks.
"""

from __future__ import annotations

from operator import getitem
from typing import TYPE_CHECKING, Final

import numpy as np

from .fold import CARRIED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .array_storage import Gather
    from .training_pairs import TrainingPairs

CONCORDANCE: Final = 0.99
"""Share of pairs of displays from which a feature counts as an outcome."""

MIN_CLICKS: Final = 20
MIN_UNTIED: Final = 0.02
"""Share of the pairs in which the feature has to differ: few clicks may have the outcome."""

_ENOUGH_CLICKS: Final = 2_000
_ROWS: Final = 100_000, 1_000_000
"""Rows of the queries to look at: first some, more if `_ENOUGH_CLICKS` can't be compared there."""


def outcome_features(pairs: TrainingPairs, gather: Gather = getitem) -> dict[str, float]:
    """Return the features that nearly determine the click.

    Compared are displays of the same document for the same query, one clicked and one not: how
    relevant the document is, is the same for both. Where the clicked one has the higher value (or
    the lower one) in `CONCORDANCE` of the pairs in which they differ, the feature follows from the
    click. A missing value is lower than all others. Where the position alone determines the click,
    displays at one position are compared. Features that do not differ between executions of a
    document cannot be judged and are not returned.

    Parameters
    ----------
    pairs : TrainingPairs
    gather : callable
        See `TrainingPairs.take`.

    Returns
    -------
    dict of str to float
        Feature -> share of the pairs in which it has the click right.
    """

    def sample_of(most: int) -> TrainingPairs:
        chosen = chosen_queries(pairs.query_code, pairs.group, most)
        return pairs if chosen is None else pairs.take(chosen[pairs.query_code], gather)

    return outcomes_among(pairs.feature_names, len(pairs), sample_of)


def outcomes_among(
    names: Sequence[str], n: int, sample_of: Callable[[int], TrainingPairs]
) -> dict[str, float]:
    """Return `outcome_features` of pairs that need not be in one place.

    Parameters
    ----------
    names : sequence of str
        Features of the pairs.
    n : int
        Number of pairs.
    sample_of : callable
        Number of rows -> all executions of the queries that `chosen_queries` gives for it.
    """
    # What the log itself says of a shown document was known when it was shown.
    columns = [i for i, name in enumerate(names) if name not in CARRIED]
    if not columns:
        return {}
    sample = sample_of(_ROWS[0])
    group, rows = _comparable(sample)
    if len(sample) < n and sample.clicked[rows].sum() < _ENOUGH_CLICKS:
        sample = sample_of(_ROWS[1])
        group, rows = _comparable(sample)
    clicked = sample.clicked[rows]
    if clicked.sum() < MIN_CLICKS:
        return {}
    shares = {
        names[i]: _share(group, sample.X[rows, i].astype(np.float64), clicked) for i in columns
    }
    return {name: share for name, share in shares.items() if share >= CONCORDANCE}


def chosen_queries(
    query_code: NDArray[np.int32], group: NDArray[np.int32], most: int
) -> NDArray[np.bool_] | None:
    """Return which queries have some `most` rows together, the same ones each time; None: all.

    `query_code`, `group`: of every execution.
    """
    if group.sum(dtype=np.int64) <= most:
        return None
    rows = np.bincount(query_code, weights=group)
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = np.zeros(len(rows), np.bool_)
    chosen[order[: 1 + np.searchsorted(np.cumsum(rows[order]), most)]] = True
    return chosen


def _comparable(pairs: TrainingPairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that can be compared, and the group of each."""
    displays = pairs.query_document
    group, rows = _mixed_groups(pairs, displays)
    if _share(group, pairs.position[rows].astype(np.float64), pairs.clicked[rows]) >= CONCORDANCE:
        # Clicks follow the position here, and with it every feature that does.
        positions = int(pairs.position.max()) + 1
        _, displays = np.unique(displays, return_inverse=True)
        group, rows = _mixed_groups(pairs, displays * positions + pairs.position)
    return group, rows


def _mixed_groups(
    pairs: TrainingPairs, displays: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the group of each row of those that were clicked at times, and the rows' numbers."""
    _, group = np.unique(displays, return_inverse=True)
    shown, clicks = np.bincount(group), np.bincount(group, weights=pairs.clicked)
    rows = np.flatnonzero(((clicks > 0) & (clicks < shown))[group])
    return group[rows], rows


def _share(
    group: NDArray[np.int64], values: NDArray[np.float64], clicked: NDArray[np.bool_]
) -> float:
    """Return in which share of the pairs that it distinguishes a feature is right; 0 for few."""
    if not len(group):
        return 0.0
    higher, lower, tied = _pair_counts(group, np.nan_to_num(values, nan=-np.inf), clicked)
    untied = higher + lower
    return max(higher, lower) / untied if untied > MIN_UNTIED * (untied + tied) else 0.0


def _pair_counts(
    group: NDArray[np.int64], values: NDArray[np.float64], clicked: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Count the pairs of a clicked and an unclicked row of one group by the clicked one's value.

    Returns
    -------
    higher, lower, tied : float
        Mann and Whitney's statistic, summed over the groups.
    """
    order = np.lexsort((values, group))
    group, values, clicked = group[order], values[order], clicked[order]
    new_group = np.append(True, group[1:] != group[:-1])
    new_block = new_group | np.append(True, values[1:] != values[:-1])
    block = np.cumsum(new_block) - 1
    unclicked = np.bincount(block, weights=~clicked)
    clicks = np.bincount(block, weights=clicked)
    first = new_group[new_block]  # the blocks with which a group starts
    of_group = np.cumsum(first) - 1
    before = np.cumsum(unclicked) - unclicked
    below = before - before[first][of_group]
    total = np.bincount(of_group, weights=unclicked)[of_group]
    higher, tied = clicks @ below, clicks @ unclicked
    return float(higher), float(clicks @ (total - below - unclicked)), float(tied)
