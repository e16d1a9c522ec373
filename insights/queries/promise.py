"""What the features of documents promise: engagement by examination, from other queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.threads import load_lightgbm
from ...datasets.counts.bootstrap import ordered_queries
from ...datasets.counts.cells import index_cells, sum_by
from ...datasets.pairs.row_digests import row_digests
from ...datasets.position_bias.cross_fitting import TREE_PARAMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..searches.searches import Searches

    Floats = NDArray[np.float64]

FOLDS: Final = 5
ROUNDS: Final = 80
MIN_QUERIES: Final = 20
"""Below it there are too few other queries to learn from."""

MAX_CELLS: Final = 200_000
"""Counts by query, document and features that a model is fitted to, at most."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Promise:
    """What is expected of every display.

    Attributes
    ----------
    rate : ndarray of float64, shape (n,)
        Engagement by examination.
    features : tuple of str
        That it is learnt from; empty: all displays are expected to have the overall rate.
    """

    rate: Floats
    features: tuple[str, ...]


def promised(searches: Searches, examination: Floats) -> Promise:
    """Return the engagement by examination that features promise, learnt from other queries.

    Boosted trees (LightGBM) under ``engaged ~ Poisson(examination exp(f(x)))``, fitted on four
    fifths of the queries for the last fifth, so that no query is measured by itself; scaled so that
    as much is promised as there was. Without features, or below 20 queries, the overall rate.
    """
    engaged = searches.displays.engaged.astype(np.float64) * (examination > 0)
    overall = float(engaged.sum() / max(examination.sum(), 1e-300))
    flat = Promise(np.full(len(engaged), overall), ())
    pairs = searches.pairs()
    if not pairs.feature_names or overall <= 0:
        return flat
    cells = _Cells.of(pairs, engaged, examination)
    codes, of_cell = np.unique(cells.query, return_inverse=True)
    if len(codes) < MIN_QUERIES:
        return flat
    place = ordered_queries(codes, pairs.queries)[of_cell]
    rate = _cross_fitted(cells, place, pairs)
    rate *= cells.engaged.sum() / max(float(cells.examined @ rate), 1e-300)
    return Promise(rate[cells.of_row], pairs.feature_names)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Displays that share query, document and features; arrays of shape (c,) but `of_row`."""

    of_row: NDArray[np.int64]
    X: NDArray[np.float32]
    query: NDArray[np.int32]
    engaged: Floats
    examined: Floats

    @classmethod
    def of(cls, pairs: TrainingPairs, engaged: Floats, examination: Floats) -> _Cells:
        keys = row_digests(pairs.X, np.arange(len(pairs)))
        keys += pairs.query_document.astype(np.uint64) * _FACTOR
        of_row, first = index_cells(keys)
        return cls(
            of_row,
            np.ascontiguousarray(pairs.X[first]),
            pairs.query_code[pairs.execution_index[first]],
            sum_by(of_row, engaged, len(first)),
            sum_by(of_row, examination, len(first)),
        )


def _cross_fitted(cells: _Cells, place: NDArray[np.int64], pairs: TrainingPairs) -> Floats:
    """Return the promised rate of every cell.

    `place`, shape (c,): of each cell's query in the order of a hash, by which queries are put into
    folds, and those beyond `MAX_CELLS` left out of the fit.
    """
    load_lightgbm()
    import lightgbm

    fold = place % FOLDS
    used = cells.examined > 0
    order = np.argsort(place[used], kind="stable")[:MAX_CELLS]
    chosen = np.zeros(len(place), np.bool_)
    chosen[np.flatnonzero(used)[order]] = True
    categorical = [pairs.feature_names.index(name) for name in pairs.categories]
    rate = np.empty(len(place))
    for number in range(FOLDS):
        fit, held = chosen & (fold != number), fold == number
        data = lightgbm.Dataset(
            cells.X[fit],
            cells.engaged[fit] / cells.examined[fit],
            weight=cells.examined[fit],
            categorical_feature=categorical,
        )
        booster = lightgbm.train({**TREE_PARAMS, "objective": "poisson"}, data, ROUNDS)
        rate[held] = np.asarray(booster.predict(cells.X[held], num_threads=1), np.float64)
    return rate
