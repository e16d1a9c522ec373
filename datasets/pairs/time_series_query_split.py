"""Splits of executions that train on the past and test on what follows."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from .splits import query_fraction
from .training_pairs import TrainingPairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_SALT = "TimeSeriesQuerySplit"
"""Makes the parts independent of those of `split_by_query`."""


@dataclass(frozen=True)
class TimeSeriesQuerySplit:
    """Split executions by time: each split trains on what came before all that it tests.

    The executions are cut at `n_splits` moments, after which the tested blocks begin. As in
    scikit-learn's `TimeSeriesSplit`, the first block is only trained on, and a split tests the
    block after its cut. Executions of one moment are on one side.

    Parameters
    ----------
    n_splits : int
        Splits, at least 2.
    gap : int or timedelta
        What is left out between training and test: so many executions before the test, or those
        within that time before it. Signals that come late, such as purchases, need one.
    disjoint_queries : bool
        Whether training and test of a split share no query either. Then split i of n tests the
        queries whose hash is in the i-th of n parts, from its cut to the end of the log, and
        trains on the other queries before the cut. Each query is tested in one split.
    test_fraction : float, optional
        Share of the executions from one cut to the next, and after the last one; by default
        1 / (n_splits + 1).

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> pairs = load_pairs(simulate_interactions(n_executions=300, random_state=0))
    >>> for train, test in TimeSeriesQuerySplit(3, gap=10).split(pairs):
    ...     print(len(train), len(test), pairs.time[train].max() < pairs.time[test].min())
    65 75 True
    140 75 True
    215 75 True
    """

    n_splits: int = 5
    _: KW_ONLY
    gap: int | timedelta = 0
    disjoint_queries: bool = False
    test_fraction: float | None = None

    def __post_init__(self) -> None:
        checked_number("n_splits", self.n_splits, 2, whole=True)
        if not isinstance(self.gap, timedelta):
            checked_number("gap", self.gap, 0, whole=True)
        elif self.gap < timedelta(0):
            msg = f"gap: expected a time of at least 0, got {self.gap!r}"
            raise InvalidInputError(msg)
        if self.test_fraction is not None:
            limit = 1 / self.n_splits
            checked_number("test_fraction", self.test_fraction, 0, limit, between=True)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; the parameters are scikit-learn's, and not used."""
        del X, y, groups
        return self.n_splits

    def split(
        self, X: TrainingPairs, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield the executions to train on and those to test on, the earliest test first.

        Parameters
        ----------
        X : TrainingPairs
            With times.
        y, groups : ignored

        Yields
        ------
        train, test : ndarray of int64
            Numbers of executions, ascending, as `pairs[...]` takes them.

        Raises
        ------
        InvalidInputError
            If the pairs have no times, or a part would be empty.
        """
        del y, groups
        if not isinstance(X, TrainingPairs):
            msg = f"X: expected TrainingPairs, which have times, got {type(X).__name__}"
            raise InvalidInputError(msg)
        if not X.has_times:
            msg = (
                "pairs: the log has no times for some executions, so it cannot be split by time. "
                "Add occurred_at or timestamp, or use QueryKFold"
            )
            raise InvalidInputError(msg)
        ordered = np.sort(X.time)
        cuts = self._cuts(ordered)
        part = self._query_parts(X) if self.disjoint_queries else None
        for number, cut in enumerate(cuts):
            train, test = X.time < self._end_of_training(ordered, cut), X.time >= cut
            if part is not None:
                test &= part == number
                train &= ~np.isin(X.query_code, X.query_code[test])
            elif number + 1 < len(cuts):
                test &= X.time < cuts[number + 1]
            yield _numbers(train, test, number, cut)

    def _cuts(self, ordered: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        share = 1 / (self.n_splits + 1) if self.test_fraction is None else self.test_fraction
        after = np.arange(self.n_splits, 0, -1) * share
        first = np.floor(len(ordered) * (1 - after) + 1e-9).astype(np.int64)
        cuts: NDArray[np.datetime64] = ordered[first]
        return cuts

    def _end_of_training(
        self, ordered: NDArray[np.datetime64], cut: np.datetime64
    ) -> np.datetime64:
        moment: np.datetime64
        if isinstance(self.gap, timedelta):
            moment = cut - np.timedelta64(self.gap)
        else:
            before = int(np.searchsorted(ordered, cut)) - self.gap
            moment = ordered[max(before, 0)]
        return moment

    def _query_parts(self, pairs: TrainingPairs) -> Numbers:
        used, index = np.unique(pairs.query_code, return_inverse=True)
        fractions = [query_fraction(_SALT, query) for query in pairs.queries.gather(used)]
        return (np.array(fractions) * self.n_splits).astype(np.int64)[index]


def _numbers(train: Mask, test: Mask, number: int, cut: np.datetime64) -> tuple[Numbers, Numbers]:
    for name, part in (("train on", train), ("test on", test)):
        if not part.any():
            msg = (
                f"pairs: split {number + 1}, at {cut}, has no execution to {name}; use fewer "
                "splits, a smaller gap, or load more data"
            )
            raise InvalidInputError(msg)
    return np.flatnonzero(train), np.flatnonzero(test)
