"""Simulated production rankers: deterministic systems of different quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .catalogue import Candidates

TRAINING_QUERIES = 10
RIDGE = 10.0
NOISE = 0.3


def production_scores(
    candidates: Candidates, rankers: int | ArrayLike, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the score of every candidate by every production ranker; shape (n, rankers).

    An int makes that many linear rankers: each a ridge regression of the relevance on the
    standardised features of ten random queries, plus a fixed noise on its coefficients, so that
    they are better than chance, different and imperfect.
    """
    if isinstance(rankers, int):
        return _weak_rankers(candidates, rankers, rng)
    scores = np.asarray(rankers, dtype=np.float64)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim != 2 or len(scores) != len(candidates) or not np.isfinite(scores).all():
        msg = (
            f"rankers: expected a number of rankers or finite scores of shape ({len(candidates)}, "
            f"rankers), one row for each row of the catalogue; got shape {scores.shape}"
        )
        raise InvalidInputError(msg)
    return scores


def production_lists(
    candidates: Candidates, scores: NDArray[np.float64], list_size: int
) -> NDArray[np.int64]:
    """Return the rows that each ranker shows; shape (queries, rankers, list_size), -1 beyond.

    Equal scores keep the order of the catalogue.
    """
    lists = np.full((len(candidates.queries), scores.shape[1], list_size), -1, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(np.bincount(candidates.query_code))])
    for ranker in range(scores.shape[1]):
        order = np.lexsort((-scores[:, ranker], candidates.query_code))
        query = candidates.query_code[order]
        position = np.arange(len(order)) - starts[query]
        shown = position < list_size
        lists[query[shown], ranker, position[shown]] = order[shown]
    return lists


def _weak_rankers(
    candidates: Candidates, n_rankers: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    if n_rankers < 1 or not candidates.X.shape[1]:
        msg = (
            f"rankers: expected at least 1 ranker over at least 1 numeric feature, got {n_rankers} "
            f"over {candidates.X.shape[1]}; give scores instead where there are no features"
        )
        raise InvalidInputError(msg)
    X = _standardised(candidates.X)
    scores = np.empty((len(candidates), n_rankers))
    for ranker in range(n_rankers):
        chosen = rng.choice(
            len(candidates.queries), min(TRAINING_QUERIES, len(candidates.queries)), replace=False
        )
        rows = np.isin(candidates.query_code, chosen)
        coefficients = _ridge(X[rows], candidates.relevance[rows])
        spread = NOISE * np.abs(coefficients).max(initial=0) + 1e-3
        scores[:, ranker] = X @ (coefficients + spread * rng.standard_normal(X.shape[1]))
    return scores


def _standardised(X: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(X)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, X - np.where(present, X, 0).sum(axis=0) / count, 0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    standardised: NDArray[np.float64] = centred / np.where(deviation > 0, deviation, 1)
    return standardised


def _ridge(X: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    gram = X.T @ X + RIDGE * np.eye(X.shape[1])
    coefficients: NDArray[np.float64] = np.linalg.solve(gram, X.T @ (y - y.mean()))
    return coefficients
