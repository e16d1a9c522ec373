"""Scores of pairs that a ranker did not learn from, by one like it that learnt from others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.pairs.splits import split_by_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.pairs.training_pairs import TrainingPairs


def held_out_scores(
    ranker: Any, pairs: TrainingPairs, *, test_fraction: float = 0.5
) -> NDArray[np.float64]:
    """Return scores of the later pairs by a ranker that learnt from the earlier ones only.

    For `QueryMemory.fit(pairs, prior=ranker, held_out=...)` where `ranker` learnt from the same
    pairs.

    Parameters
    ----------
    ranker : Ranker
        Its parameters are used; it is left as it is.
    pairs : TrainingPairs
        With times.
    test_fraction : float
        Share of the executions that are later.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN for the earlier pairs.

    Raises
    ------
    InvalidInputError
        If the pairs have no times, or a part would be empty.
    """
    _, later, past = split_and_fit(ranker, pairs, test_fraction)
    return scores_from(pairs, later, past)


def split_and_fit(
    ranker: Any, pairs: TrainingPairs, test_fraction: float
) -> tuple[TrainingPairs, TrainingPairs, Any]:
    """Return the earlier and the later pairs, and a copy of the ranker fitted on the earlier ones.

    Raises `InvalidInputError` if the pairs have no times, or a part would be empty.
    """
    earlier, later = split_by_time(pairs, test_fraction=test_fraction)
    return earlier, later, fitted_copy(ranker, earlier)


def fitted_copy(ranker: Any, pairs: TrainingPairs) -> Any:
    """Return a ranker with the same parameters, fitted on the pairs; the one given stays as is."""
    from sklearn.base import clone

    copy: Any = clone(ranker)
    copy.fit(pairs)
    return copy


def scores_from(pairs: TrainingPairs, later: TrainingPairs, past: Any) -> NDArray[np.float64]:
    """Return scores of `later`, the part of `pairs` that `past` did not learn from."""
    scores = np.full(len(pairs), np.nan)
    scores[(pairs.time >= later.time.min())[pairs.execution_index]] = past.predict(later)
    return scores
