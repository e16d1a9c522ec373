"""The relevance model of the doubly robust estimate: cheap, and never fitted on what it corrects.

Documents are pooled by their rank in the candidate's ranking. A document's relevance is its own
gains over its own examinations, shrunk to the mean of its pool (empirical Bayes), with weights
1 / propensity in the mean, so that it is the mean of the pool's documents and not of those that
production showed most. The doubly robust estimate is consistent with any model; a good one makes
it more precise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..metrics.ranked_lists import rank_lists
from .clusters import FOLDS
from .estimators import clipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .estimators import Displays
    from .logged_documents import LoggedDocuments

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_MAX_STRENGTH = 1e4
_MIN_STRENGTH = 1e-3
_POOL_STRENGTH = 1.0


def rank_pools(log: LoggedDocuments, scores: Floats, k: int) -> Integers:
    """Return the pool of every document: its rank among its query's, all from k on together."""
    lists = rank_lists(np.zeros(len(scores)), scores, log.group)
    pool = np.empty(len(scores), dtype=np.int64)
    pool[lists.order] = np.minimum(lists.rank[lists.block_start][lists.block], k)
    return pool


def cross_fitted_relevance(
    displays: Displays, pool: Integers, fold: Integers, clip: float
) -> Floats:
    """Return the relevance of every document, estimated without each fold; shape (m, folds).

    `clip`: smallest propensity counted in the pools' means. Shapes: `pool` (m,); `fold` (e,).
    """
    gain = _without_each_fold(displays, displays.gain, fold)
    examined = _without_each_fold(displays, displays.examination, fold)
    squares = _without_each_fold(displays, displays.gain**2, fold)
    examined_squares = _without_each_fold(displays, displays.examination**2, fold)
    weight = 1.0 / clipped(displays.propensity, clip)
    model = np.empty(gain.shape)
    for f in range(FOLDS):
        prior = _pool_means(pool, gain[:, f] * weight, examined[:, f] * weight)[pool]
        noise = np.maximum(squares[:, f] - prior**2 * examined_squares[:, f], 0.0)
        strength = _prior_strength(gain[:, f], examined[:, f], prior, noise)
        model[:, f] = (gain[:, f] + strength * prior) / (examined[:, f] + strength)
    return model


def _without_each_fold(displays: Displays, values: Floats, fold: Integers) -> Floats:
    """Sum values over each document's rows in all folds but one; shape (m, folds)."""
    documents = len(displays.log.documents)
    cell = displays.document * FOLDS + fold[displays.execution]
    by_fold = np.bincount(cell, weights=values, minlength=documents * FOLDS)
    by_fold = by_fold.reshape(documents, FOLDS)
    return np.asarray(by_fold.sum(axis=1, keepdims=True) - by_fold)


def _pool_means(pool: Integers, gain: Floats, examined: Floats) -> Floats:
    """Return each pool's gain over examination, shrunk a little to that of all of them."""
    total = examined.sum()
    overall = gain.sum() / total if total > 0 else 0.0
    sums = np.bincount(pool, weights=gain) + _POOL_STRENGTH * overall
    return np.asarray(sums / (np.bincount(pool, weights=examined) + _POOL_STRENGTH))


def _prior_strength(gain: Floats, examined: Floats, prior: Floats, noise: Floats) -> float:
    """Return how many examinations the prior counts as: variance within over variance between.

    By moments. `noise` is the variance of a document's summed gains: sum of squared gains -
    relevance^2 * sum of squared examinations; gains / examinations have noise / examinations^2.
    """
    total = examined.sum()
    if total == 0:
        return _MAX_STRENGTH
    some = examined > 0
    around = ((gain - prior * examined)[some] ** 2 / examined[some]).sum()
    between = (around - (noise[some] / examined[some]).sum()) / total
    within = noise.sum() / total
    if between * _MAX_STRENGTH <= within:
        return _MAX_STRENGTH
    return float(max(within / between, _MIN_STRENGTH))
