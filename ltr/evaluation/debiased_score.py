"""The criterion by which rankers are compared on held-out pairs: debiased, one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ..metrics.debiased import mean_discounts
from ..metrics.ranking import ndcg
from .judged import DEBIASED_DCG

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]


class ExecutionValues(NamedTuple):
    """What the criterion is a mean of.

    Attributes
    ----------
    value : ndarray of float64, shape (e,)
        NaN for an execution without a positive grade.
    weight : ndarray of float64, shape (e,)
        What it counts in the mean; 0 for those.
    """

    value: Floats
    weight: Floats

    def mean(self) -> float:
        """Return the criterion; InvalidInputError if no execution has a positive grade."""
        used = self.weight > 0
        if not used.any():
            msg = "pairs: no execution has a positive grade, so there is nothing to score"
            raise InvalidInputError(msg)
        return float(np.average(self.value[used], weights=self.weight[used]))


def execution_values(
    pairs: TrainingPairs,
    scores: ArrayLike,
    examination: Floats | None,
    *,
    clip: float,
    k: int,
) -> ExecutionValues:
    """Return the values whose mean is the criterion: see `Ranker.score`.

    Parameters
    ----------
    pairs : TrainingPairs
    scores : array-like of shape (n,)
    examination : ndarray of float64, shape (n,), or None
        None for judged pairs.
    clip : float
        Smallest examination counted.
    k : int
        Ranks that count on judged pairs.
    """
    if examination is not None:
        return ExecutionValues(
            *mean_discounts(pairs.y, scores, pairs.group, examination, clip=clip)
        )
    value = ndcg(pairs.y, scores, pairs.group, k)
    return ExecutionValues(value, np.isfinite(value).astype(np.float64))


def criterion_name(pairs: TrainingPairs, k: int) -> str:
    """Return what the criterion is on these pairs.

    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> criterion_name(load_pairs(simulate_interactions(n_executions=5, random_state=0)), 10)
    'examination-weighted DCG'
    """
    return DEBIASED_DCG if pairs.has_positions else f"NDCG@{k}"
