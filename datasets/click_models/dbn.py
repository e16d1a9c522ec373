"""The dynamic Bayesian network click model, fitted by expectation-maximisation.

Assumption: readers go down the list, click what attracts them, stop once a clicked document has
satisfied them, and after any other result go on with a constant probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from ._dbn_kernel import expect
from ._reading import Reading, ReadingModel, Sessions
from ._shares import leaning_shares
from ._squarem import accelerated_step, converge, inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .counts import ClickCounts

FIRST_GUESS = (0.3, 0.5, 0.8)  # attractiveness, satisfaction, continuation


class DBN(ReadingModel):
    """Dynamic Bayesian network: attractiveness, satisfaction and persistence.

    Parameters
    ----------
    continuation : float, optional
        gamma, the probability of going on after a result that did not satisfy, if it is known;
        estimated without it.
    by : str, optional
        A column of `TrainingPairs.context`, such as ``"device"``: one gamma per value, with one
        attractiveness and satisfaction for all.
    prior_mean : float or None
        Mean of the prior of every attractiveness; None for the share of clicks in all expected
        examinations.
    prior_strength : float
        Pseudo-examinations behind every attractiveness, and pseudo-clicks behind every
        satisfaction (around their own mean). 0 is maximum likelihood.
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
    examination_ : ndarray of float64, shape (n_positions,)
        Mean examination by position in the log, relative to position 0.
    curves_ : dict of str to ndarray of float64
        With `by`: value -> examination of its lists.
    counts_ : ClickCounts
    prior_mean_, mean_satisfaction_ : float
    n_iterations_ : int

    Notes
    -----
    Chapelle and Zhang, "A Dynamic Bayesian Network Click Model for Web Search Ranking" (WWW
    2009). Down to the last click everything is known to be examined; below it one backward and
    one forward pass give the probabilities. It needs whole lists, so it is fitted on sessions and
    not on counts.

    What is identified: a reader who leaves after a click was satisfied or tired, and only what
    happens where nothing was clicked tells gamma apart. Short lists with few clicks say little
    about it: look at its interval.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=2000, click_model="cascade", random_state=0)
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

    def _estimate(
        self,
        counts: ClickCounts,
        sessions: Sessions,
        weight: NDArray[np.float64],
        start: Reading | None,
        known: NDArray[np.float64] | None = None,
    ) -> tuple[Reading, int]:
        if known is None and self.continuation is not None:
            known = np.full(len(counts.values), float(self.continuation))
        here = _first_guess(counts) if start is None else start
        size, row_weight = len(counts), weight[sessions.document]

        def step(flat: NDArray[np.float64]) -> NDArray[np.float64]:
            return _flat(self._step(sessions, row_weight, _reading(flat, size), known))

        def moved(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
            change = np.abs(after - before)
            return max(float(change[: 2 * size].mean()), float(change[2 * size :].max()))

        flat, steps = converge(
            lambda flat: accelerated_step(step, flat),
            _flat(here),
            moved,
            self.tolerance,
            self.max_iterations,
        )
        return self._step(sessions, row_weight, _reading(flat, size), known), steps

    def _step(
        self,
        sessions: Sessions,
        row_weight: NDArray[np.float64],
        old: Reading,
        known: NDArray[np.float64] | None,
    ) -> Reading:
        """Return the parameters after one step of expectation-maximisation."""
        documents = np.zeros((4, len(old.attractiveness)))
        values = np.zeros((2, len(old.continuation)))
        expect(
            sessions.offsets,
            sessions.document,
            sessions.value,
            sessions.clicked,
            sessions.weight,
            sessions.weight * row_weight,
            old.attractiveness,
            old.satisfaction,
            old.continuation if known is None else known,
            documents,
            values,
        )
        clicks, examined, satisfied, judged = documents
        strength = self.prior_strength
        attracts, attraction = leaning_shares(clicks, examined, self.prior_mean, strength)
        satisfies, satisfaction = leaning_shares(satisfied, judged, None, strength)
        goes_on = (
            inside(known)
            if known is not None
            else leaning_shares(values[0], values[1], None, 0.0)[0]
        )
        return Reading(attracts, satisfies, goes_on, (attraction, satisfaction))

    def examinations(self) -> NDArray[np.float64]:
        """Return the expected examinations of every document in the fitted log, given its clicks.

        In the order of `counts_`, times recency weight: everything down to the last click counts
        once, what stands below by its probability. Clicks divided by it are the attractiveness of
        maximum likelihood.
        """
        self._check_fitted()
        here, found = self._sessions, self._found
        documents = np.zeros((4, len(found.attractiveness)))
        expect(
            here.offsets,
            here.document,
            here.value,
            here.clicked,
            here.weight,
            here.weight,
            found.attractiveness,
            found.satisfaction,
            found.continuation,
            documents,
            np.zeros((2, len(found.continuation))),
        )
        return np.asarray(documents[1])

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.continuation is not None and not 0 < self.continuation <= 1:
            msg = f"continuation: got {self.continuation!r}, expected a number in (0, 1] or None"
            raise InvalidInputError(msg)

    def _reported(self) -> dict[str, NDArray[np.float64]]:
        return {**super()._reported(), "continuation": np.asarray(self.continuation_)}


def _first_guess(counts: ClickCounts) -> Reading:
    attracts, satisfies, goes_on = FIRST_GUESS
    return Reading(
        np.full(len(counts), attracts),
        np.full(len(counts), satisfies),
        np.full(len(counts.values), goes_on),
        (attracts, satisfies),
    )


def _flat(reading: Reading) -> NDArray[np.float64]:
    return np.concatenate([reading.attractiveness, reading.satisfaction, reading.continuation])


def _reading(flat: NDArray[np.float64], size: int) -> Reading:
    return Reading(flat[:size], flat[size : 2 * size], flat[2 * size :], FIRST_GUESS[:2])
