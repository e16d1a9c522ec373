"""Boosted trees on the cells of a log, every cell predicted by trees that never saw its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.threads import load_lightgbm
from ..counts.bootstrap import ordered_queries

if TYPE_CHECKING:
    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from .feature_cells import FeatureCells

    Floats = NDArray[np.float64]

FOLDS, MANY_FOLDS = 5, 10
"""Ten up to `FEW_CELLS`: where they are few, trees of four fifths of them predict much worse, and
what they miss of the relevance makes the curve too steep."""

FEW_CELLS = 5_000
MAX_ROUNDS = 120
STEP = 20
"""Rounds between two looks at the held-out loss; boosting ends at the first without a gain."""

LEAST_RELIABILITY = 0.1
"""Below it the halves agree so little that the interval holds every curve in any case."""

TREE_PARAMS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 8,
    "min_data_in_leaf": 20,
    "lambda_l2": 5.0,
    "cat_smooth": 20.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}
"""LightGBM's parameters for small, regularised trees on the cells of a log."""


@dataclass(frozen=True)
class Prediction:
    """Held-out predictions of every cell, and how they were made."""

    values: Floats  # shape (s,)
    rounds: int


def folds_of_queries(cells: FeatureCells, queries: pl.Series) -> NDArray[np.int64]:
    """Return the fold of every cell: whole queries, by a hash of their texts; shape (s,)."""
    codes, inverse = np.unique(cells.query, return_inverse=True)
    folds = MANY_FOLDS if len(cells.position) <= FEW_CELLS else FOLDS
    return (ordered_queries(codes, queries) % folds)[inverse][cells.pair]


def halves_of_queries(cells: FeatureCells, queries: pl.Series) -> NDArray[np.bool_]:
    """Return a half of the queries of every fold, as a truth value of every cell; shape (s,)."""
    codes, inverse = np.unique(cells.query, return_inverse=True)
    folds = MANY_FOLDS if len(cells.position) <= FEW_CELLS else FOLDS
    half = ordered_queries(codes, queries) // folds % 2 == 0
    return np.asarray(half[inverse][cells.pair])


def expected_positions(cells: FeatureCells, fold: NDArray[np.int64]) -> Prediction:
    """Predict log(1 + position) by the features, weighted by how often a cell was shown."""
    target = np.log1p(cells.position)
    mean = float(np.average(target, weights=cells.shown))

    def loss(scores: Floats, held: NDArray[np.bool_]) -> float:
        return float(cells.shown[held] @ (target[held] - mean - scores) ** 2)

    weight = cells.shown / cells.shown.mean()
    found = _cross_fit(cells, fold, "regression", target - mean, weight, loss)
    return Prediction(mean + found.values, found.rounds)


def relevance(
    cells: FeatureCells,
    fold: NDArray[np.int64],
    log_curve: Floats,
    precision: Floats,
    learnt_from: NDArray[np.bool_] | None = None,
) -> Prediction:
    """Boost log relevance f(x) under ``clicks ~ Poisson(shown * examination * exp(f(x)))``.

    `log_curve`: log examination of every position. `precision`, shape (s,): what a cell counts by
    (1 where clicks vary as Poisson's do, less where they vary more). `learnt_from`, shape (s,):
    the cells that trees may learn from, all by default.
    """
    exposure = cells.shown * np.exp(log_curve[cells.position])
    start = float(np.log(cells.clicks.sum() / exposure.sum()))

    def loss(scores: Floats, held: NDArray[np.bool_]) -> float:
        scores = start + scores
        each = exposure[held] * np.exp(scores) - cells.clicks[held] * scores
        return float(precision[held] @ each)

    scale = float((exposure * precision).mean())
    rate = cells.clicks / exposure * np.exp(-start)
    found = _cross_fit(
        cells, fold, "poisson", rate, exposure * precision / scale, loss, learnt_from
    )
    return Prediction(start + found.values, found.rounds)


def reliability(
    cells: FeatureCells,
    fold: NDArray[np.int64],
    half: NDArray[np.bool_],
    log_curve: Floats,
    precision: Floats,
) -> float:
    """Return the share of the variance of learnt log relevance that is no error of learning.

    ``2 r / (1 + r)``, r the correlation of what two halves of the queries teach of other queries'
    documents (Spearman, "Correlation calculated from faulty data", British Journal of Psychology 3,
    1910; Brown, ibid.). Between `LEAST_RELIABILITY` and 1.
    """
    one, other = (relevance(cells, fold, log_curve, precision, chosen) for chosen in (half, ~half))
    if one.rounds == 0 or other.rounds == 0:
        return LEAST_RELIABILITY
    (first, both), (_, second) = np.cov(one.values, other.values, aweights=cells.shown)
    correlation = max(float(both / np.sqrt(first * second)), 0.0) if first * second > 0 else 0.0
    return max(2 * correlation / (1 + correlation), LEAST_RELIABILITY)


def _cross_fit(
    cells: FeatureCells,
    fold: NDArray[np.int64],
    objective: str,
    target: Floats,
    weight: Floats,
    loss: Any,
    learnt_from: NDArray[np.bool_] | None = None,
) -> Prediction:
    """Boost all folds side by side to the number of rounds with the least held-out loss."""
    load_lightgbm()
    import lightgbm

    params = {**TREE_PARAMS, "objective": objective, "boost_from_average": False}
    held = [fold == number for number in range(int(fold.max()) + 1)]
    boosters = []
    for each in held:
        seen = ~each if learnt_from is None else ~each & learnt_from
        data = lightgbm.Dataset(
            cells.X[seen],
            target[seen],
            weight=weight[seen],
            init_score=np.zeros(int(seen.sum())),
            categorical_feature=list(cells.categorical),
        )
        boosters.append(lightgbm.Booster(params, data))
    scores = [np.zeros(int(each.sum())) for each in held]
    best, least, rounds = np.zeros(len(target)), sum(map(loss, scores, held)), 0
    for end in range(STEP, MAX_ROUNDS + 1, STEP):
        for number, booster in enumerate(boosters):
            scores[number] += _next_rounds(booster, cells.X[held[number]])
        total = sum(map(loss, scores, held))
        if total >= least:
            break
        least, rounds = total, end
        for of_fold, each in zip(scores, held, strict=True):
            best[each] = of_fold
    return Prediction(best, rounds)


def _next_rounds(booster: lightgbm.Booster, X: NDArray[np.float32]) -> Floats:
    """Boost `STEP` rounds, or as many as find a split; return what they add to the scores."""
    start = booster.current_iteration()
    for _ in range(STEP):
        if booster.update():
            break
    trees = booster.current_iteration() - start
    if trees <= 0:
        return np.zeros(len(X))
    added = booster.predict(
        X, raw_score=True, start_iteration=start, num_iteration=trees, num_threads=1
    )
    return np.asarray(added, dtype=np.float64)
