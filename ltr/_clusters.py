"""Whose executions belong together, and the standard errors that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

FOLDS = 5
_NOUNS = {"user_id": "user", "session_id": "session"}


@dataclass(frozen=True)
class Clusters:
    """Executions that are no independent witnesses of each other.

    Attributes
    ----------
    of_execution : ndarray of int64, shape (e,)
        Numbered in the order of their names, so that the order of executions changes nothing.
    count : int
    by : str
        What they are, in words.
    """

    of_execution: NDArray[np.int64]
    count: int
    by: str

    @property
    def fold(self) -> NDArray[np.int64]:
        """Cross-fitting fold of every execution; clusters stay whole."""
        return self.of_execution % FOLDS

    def standard_error(self, influence: Floats) -> float:
        """Return the standard error of a mean over executions from its influences.

        sqrt(G / (G - 1) sum_g (sum_{i in g} influence_i)^2) / e, over G clusters (Liang and Zeger,
        "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika 1986).
        """
        if self.count < 2:
            return float("nan")
        sums = np.bincount(self.of_execution, weights=influence, minlength=self.count)
        spread = self.count / (self.count - 1) * float(np.sum(sums**2))
        return float(np.sqrt(spread)) / len(influence)

    def quantile(self, confidence: float) -> float:
        """Return how many standard errors a two-sided interval reaches (Student's t)."""
        from scipy import stats

        return float(stats.t.ppf((1 + confidence) / 2, max(self.count - 1, 1)))


def find_clusters(pairs: TrainingPairs, cluster: str) -> Clusters:
    """Return the clusters of the executions.

    Parameters
    ----------
    pairs : TrainingPairs
    cluster : str
        "auto" for the user, else the session, else the execution; "execution"; or the name of a
        column of `pairs.context`. An execution without the value stands for itself.
    """
    columns = [name for name in _NOUNS if name in pairs.context] if cluster == "auto" else [cluster]
    if cluster == "execution":
        columns = []
    unknown = [name for name in columns if name not in pairs.context]
    if unknown:
        known = ["auto", "execution", *pairs.context]
        msg = (
            f"cluster: got {cluster!r}, expected one of {known}; load_pairs(..., "
            f"context=['user_id']) reads a column.{did_you_mean(cluster, known)}"
        )
        raise InvalidInputError(msg)
    names = pl.select(
        pl.coalesce(
            *(pl.lit(f"{place}:") + pairs.context[name] for place, name in enumerate(columns)),
            pl.lit("execution:") + pairs.execution_id,
        ).rank("dense")
    ).to_series()
    code = names.to_numpy().astype(np.int64) - 1
    filled = [name for name in columns if pairs.context[name].null_count() < pairs.n_executions]
    missing = all(pairs.context[name].null_count() for name in filled)
    words = [_NOUNS.get(name, name) for name in filled] + (["execution"] if missing else [])
    return Clusters(code, int(code.max()) + 1, ", else ".join(words))
