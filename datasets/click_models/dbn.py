"""The dynamic Bayesian network click model, fitted by expectation-maximisation.

Assumption: readers go down the list, click what attracts them, stop once a clicked document has
satisfied them, and after any other result go on with a constant probability.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from .dbn_kernel import expect
from .sequential_model import SequentialData, SequentialModel, SequentialParameters, Sessions
from .smoothing import beta_means
from .squarem import accelerated_step, clip_probability, converge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.click_counts import ClickCounts
    from ..pairs.row_blocks import RowBlock

FIRST_GUESS = (0.3, 0.5, 0.8)  # attractiveness, satisfaction, continuation


class DBN(SequentialModel):
    """Dynamic Bayesian network: attractiveness, satisfaction and persistence.

    Parameters
    ----------
    continuation : float, optional
        gamma, the probability of going on after a result that did not satisfy; estimated if None.
    by : str, optional
        A column of `TrainingPairs.context`, such as ``"device"``: one gamma per value, with one
        attractiveness and satisfaction for all.
    prior_mean : float or None
        Mean of the prior of every attractiveness; None for the share of clicks in all expected
        examinations.
    prior_strength : float
        Pseudo-examinations behind every attractiveness, and pseudo-clicks behind every
        satisfaction (around their mean). 0 is maximum likelihood.
    max_iterations : int
        Accelerated steps; each costs three passes over the log.
    tolerance : float
        Stop when no gamma moves by more, nor the documents' parameters in the mean.

    Attributes
    ----------
    relevance_ : ndarray of float64, shape (m,)
        Attractiveness: P(click) if examined, of the documents of `counts_`.
    satisfaction_ : ndarray of float64, shape (m,)
        P(stop) after a click. Chapelle and Zhang rank by ``relevance_ * satisfaction_``.
    continuation_ : ndarray of float64, shape () or (n_values,) with `by`
        gamma.
    mean_satisfaction_ : float
    examination_, curves_, counts_, prior_mean_
        See `ClickModel`.
    n_iterations_ : int

    Notes
    -----
    Chapelle and Zhang, "A Dynamic Bayesian Network Click Model for Web Search Ranking" (WWW
    2009). Everything down to the last click was examined; below it one backward and
    one forward pass give the probabilities. It needs whole lists, so it is fitted on sessions and
    not on counts.

    What is identified: a reader who leaves after a click was satisfied or tired, and only lists
    without clicks separate the two. Short lists with few clicks hold little evidence about gamma:
    look at its interval.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=2000, click_model="dbn", random_state=0)
    >>> model = DBN().fit(load_pairs(log))
    >>> bool(0.8 < model.continuation_ < 1.0)
    True
    """

    def __init__(
        self,
        *,
        continuation: float | None = None,
        by: str | None = None,
        prior_mean: float | None = None,
        prior_strength: float = 2.0,
        max_iterations: int = 100,
        tolerance: float = 1e-4,
    ) -> None:
        super().__init__(by=by, prior_mean=prior_mean, prior_strength=prior_strength)
        self.continuation = continuation
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def _estimate(self, data: SequentialData) -> tuple[SequentialParameters, int]:
        counts, size = data.counts, len(data.counts)
        if data.continuation is None and self.continuation is not None:
            data = replace(data, continuation=np.full(len(counts.values), float(self.continuation)))
        start = _first_guess(counts) if data.start is None else data.start

        def step(flat: NDArray[np.float64]) -> NDArray[np.float64]:
            return _flat(self._step(data, _parameters(flat, size)))

        def moved(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
            change = np.abs(after - before)
            return max(float(change[: 2 * size].mean()), float(change[2 * size :].max()))

        flat, steps = converge(
            lambda flat: accelerated_step(step, flat),
            _flat(start),
            moved,
            self.tolerance,
            self.max_iterations,
        )
        return self._step(data, _parameters(flat, size)), steps

    def _step(self, data: SequentialData, old: SequentialParameters) -> SequentialParameters:
        """Return the parameters after one step of expectation-maximisation."""
        known = data.continuation
        before = old if known is None else replace(old, continuation=known)
        documents, values = _expectations(data.sessions, before, data.weight)
        clicks, examined, satisfied, judged = documents
        strength = self.prior_strength
        attracts, attraction = beta_means(clicks, examined, data.prior_mean, strength)
        satisfies, satisfaction = beta_means(satisfied, judged, None, strength)
        if known is None:
            goes_on = beta_means(values[0], values[1], None, 0.0)[0]
        else:
            goes_on = clip_probability(known)
        return SequentialParameters(attracts, satisfies, goes_on, (attraction, satisfaction))

    def row_examinations(self) -> NDArray[np.float64]:
        """Return P(examined) of every row of the fitted log, given all clicks of its list.

        1 down to the last click. A document's clicks divided by their sum are the attractiveness
        of maximum likelihood.
        """
        self._check_fitted()
        found = np.empty(len(self._sessions.document))
        for block in self._sessions.blocks():
            found[block.rows] = self.examinations_of(block)
        return found

    def examinations_of(self, block: RowBlock) -> NDArray[np.float64]:
        """Return `row_examinations` of the rows of a block of the fitted log."""
        self._check_fitted()
        own, fitted = self._sessions.of(block), self._fitted
        rows = len(own.document)
        # Every row as a document of its own: the sums by document are then single values.
        of_rows = replace(
            own, document=np.arange(rows, dtype=np.int32), weight=np.ones(rows, np.float32)
        )
        given = replace(
            fitted,
            attractiveness=fitted.attractiveness[own.document],
            satisfaction=fitted.satisfaction[own.document],
        )
        return np.asarray(_expectations(of_rows, given, np.ones(rows))[0][1])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.continuation is not None and not 0 < self.continuation <= 1:
            msg = f"continuation: got {self.continuation!r}, expected a number in (0, 1] or None"
            raise InvalidInputError(msg)

    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """Return the positive parameters that have `intervals`, by name."""
        return {**super().parameters(), "continuation": np.asarray(self.continuation_)}


def _expectations(
    sessions: Sessions, given: SequentialParameters, weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums by document and by context value that `expect` describes."""
    documents = np.zeros((4, len(given.attractiveness)))
    values = np.zeros((2, len(given.continuation)))
    for block in sessions.blocks():
        own = sessions.of(block)
        expect(
            own.offsets,
            own.document,
            own.value,
            own.clicked,
            own.weight,
            weight,
            given.attractiveness,
            given.satisfaction,
            given.continuation,
            documents,
            values,
        )
    return documents, values


def _first_guess(counts: ClickCounts) -> SequentialParameters:
    attracts, satisfies, goes_on = FIRST_GUESS
    return SequentialParameters(
        np.full(len(counts), attracts),
        np.full(len(counts), satisfies),
        np.full(len(counts.values), goes_on),
        (attracts, satisfies),
    )


def _flat(found: SequentialParameters) -> NDArray[np.float64]:
    return np.concatenate([found.attractiveness, found.satisfaction, found.continuation])


def _parameters(flat: NDArray[np.float64], size: int) -> SequentialParameters:
    return SequentialParameters(
        flat[:size], flat[size : 2 * size], flat[2 * size :], FIRST_GUESS[:2]
    )
