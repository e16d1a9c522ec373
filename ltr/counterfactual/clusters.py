"""Which executions belong to one cluster, such as a user, so that errors allow for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..._shared.clustered import ClusteredErrors
from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

FOLDS = 5
_NOUNS = {"user_id": "user", "session_id": "session"}


@dataclass(frozen=True)
class Clusters:
    """Which executions are not independent of each other."""

    # shape (e,): numbered in the order of their names, so that the order of executions changes
    # nothing
    of_execution: NDArray[np.int64]
    count: int
    by: str  # what they are, in words

    @property
    def fold(self) -> NDArray[np.int64]:
        """Cross-fitting fold of every execution; clusters stay whole."""
        return self.of_execution % FOLDS

    @cached_property
    def errors(self) -> ClusteredErrors:
        """Standard errors of means over the executions."""
        return ClusteredErrors(self.of_execution)


def find_clusters(pairs: TrainingPairs, cluster: str) -> Clusters:
    """Return the clusters of the executions.

    `cluster`: "auto" for the user, else the session, else the execution; "execution"; or the name
    of a column of `pairs.context`. An execution without the value is a cluster of its own.
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
