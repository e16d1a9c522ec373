"""Folds of executions that share no query, with scikit-learn's interface of a splitter."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from .training_pairs import TrainingPairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class QueryKFold:
    """Split executions into folds that share no query; each fold is tested once.

    scikit-learn's `GroupKFold`, with the queries as groups and the executions as samples.

    Parameters
    ----------
    n_splits : int
        Folds, at least 2.
    shuffle : bool
        Whether queries are assigned at random, the same number to each fold; else the most frequent
        one goes first, each to the fold with fewest executions.
    random_state : int, numpy RandomState or None
        Of the shuffling.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> pairs = load_pairs(simulate_interactions(n_executions=300, random_state=0))
    >>> for train, test in QueryKFold(3).split(pairs):
    ...     print(len(test), set(pairs.query_code[train]) & set(pairs.query_code[test]))
    100 set()
    100 set()
    100 set()
    """

    n_splits: int = 5
    _: KW_ONLY
    shuffle: bool = False
    random_state: int | np.random.RandomState | None = None

    def __post_init__(self) -> None:
        checked_number("n_splits", self.n_splits, 2, whole=True)
        if self.random_state is not None and not self.shuffle:
            msg = f"random_state: {self.random_state!r} has no effect without shuffle=True"
            raise InvalidInputError(msg)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds; the parameters are scikit-learn's, and not used."""
        del X, y, groups
        return self.n_splits

    def split(
        self, X: TrainingPairs | Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield the executions to train on and those to test on, fold by fold.

        Parameters
        ----------
        X : TrainingPairs, or array-like of shape (n, ...)
            Of an array, rows are split.
        y : ignored
        groups : array-like of shape (n,), optional
            The query of every execution, or row of an array; by default that of the pairs.

        Yields
        ------
        train, test : ndarray of int64
            Numbers of executions, ascending, as `pairs[...]` takes them.

        Raises
        ------
        InvalidInputError
            If there are fewer queries than folds, or an array comes without `groups`.
        """
        from sklearn.model_selection import GroupKFold

        queries = self._queries(X, groups)
        distinct = len(np.unique(queries))
        if distinct < self.n_splits:
            msg = f"n_splits: {self.n_splits} folds need as many queries, and there are {distinct}"
            raise InvalidInputError(msg)
        folds = GroupKFold(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)
        for train, test in folds.split(np.zeros((len(queries), 1)), y, queries):
            yield train.astype(np.int64), test.astype(np.int64)

    @staticmethod
    def _queries(X: Any, groups: ArrayLike | None) -> NDArray[Any]:
        is_pairs = isinstance(X, TrainingPairs)
        if groups is None and not is_pairs:
            msg = (
                f"X: expected TrainingPairs, got {type(X).__name__}; to split the rows of an "
                "array, give groups= with the query of every row"
            )
            raise InvalidInputError(msg)
        queries = X.query_code if groups is None else np.asarray(groups)
        expected = X.n_executions if is_pairs else len(X)
        if queries.shape != (expected,):
            unit = "execution" if is_pairs else "row"
            msg = f"groups: expected a query for each {unit}, shape ({expected},), got "
            raise InvalidInputError(msg + f"{queries.shape}")
        return queries
