"""The position-based click model, fitted by expectation-maximisation.

Assumption: a document is clicked if and only if it is examined, which depends on its position
alone, and relevant, which depends on the query and the document alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._jit import kernel
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from .._swaps import PairCounts

LOWEST = 1e-6


class PBM:
    """Position-based model: ``P(click | q, d, k) = theta_k r_qd``.

    Parameters
    ----------
    prior_mean, prior_strength : float
        Beta prior of every relevance r_qd, as a mean and a number of pseudo-examinations. A
        strength of 0 is maximum likelihood.
    max_iterations : int
        Accelerated steps; each costs three passes over the counts.
    tolerance : float
        Stop when no log theta moves by more.

    Attributes
    ----------
    examination_ : ndarray of float64, shape (n_positions,)
        Examination relative to position 0.
    theta_ : ndarray of float64, shape (n_positions,)
        Examination as a probability. Only its ratios are identified by most logs.
    relevance_ : ndarray of float64, shape (n_pairs,)
        r_qd of the counts it was fitted on.
    n_iterations_ : int

    Notes
    -----
    EM as in Chuklin, Markov and de Rijke, "Click Models for Web Search" (2015), section 4.1.3, on
    counts instead of sessions, accelerated by SQUAREM (Varadhan and Roland 2008, scheme S3).
    Every (query, document) has a relevance of its own, and with few clicks apiece their errors do
    not average out (Neyman and Scott 1948): the curve comes out too flat on sparse logs.
    Documents shown at one position only add to that, so `PositionBias` leaves them out.

    Examples
    --------
    >>> import numpy as np
    >>> model = PBM.from_examination([1.0, 0.5])
    >>> model.click_probability([0, 1], [0.8, 0.8])
    array([0.8, 0.4])
    >>> model.sample(np.ones((2, 2)), random_state=0).shape
    (2, 2)
    """

    def __init__(
        self,
        *,
        prior_mean: float = 0.5,
        prior_strength: float = 0.0,
        max_iterations: int = 300,
        tolerance: float = 1e-5,
    ) -> None:
        self.prior_mean = prior_mean
        self.prior_strength = prior_strength
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    @classmethod
    def from_examination(cls, examination: ArrayLike) -> PBM:
        """Return a model with known examination probabilities, for sampling."""
        theta = np.asarray(examination, dtype=np.float64)
        if theta.ndim != 1 or len(theta) == 0 or not ((theta > 0) & (theta <= 1)).all():
            msg = f"examination: expected a list of probabilities in (0, 1], got {theta}"
            raise InvalidInputError(msg)
        model = cls()
        model._set(theta, np.empty(0))
        return model

    def fit(
        self,
        counts: PairCounts,
        *,
        weight: NDArray[np.float64] | None = None,
        start: PBM | None = None,
    ) -> Self:
        """Fit to aggregated counts.

        Parameters
        ----------
        counts : PairCounts
        weight : ndarray of float64, shape (n_pairs,), optional
            How often each pair's counts are taken; 1 without it.
        start : PBM, optional
            A model fitted on the same counts, to start from.
        """
        weights = np.ones(len(counts)) if weight is None else weight
        theta, relevance = self._first_guess(counts)
        if start is not None:
            theta, relevance = start.theta_, start.relevance_
        self.n_iterations_ = 0
        while self.n_iterations_ < self.max_iterations:
            self.n_iterations_ += 1
            before = np.log(theta)
            theta, relevance = self._accelerated_step(counts, weights, theta, relevance)
            if np.abs(np.log(theta) - before).max() < self.tolerance:
                break
        self._set(theta, relevance)
        return self

    def click_probability(self, position: ArrayLike, relevance: ArrayLike) -> NDArray[np.float64]:
        """Return P(click) at 0-based positions for documents of the given relevance."""
        places = np.minimum(np.asarray(position), len(self.theta_) - 1)
        return np.asarray(self.theta_[places] * np.asarray(relevance))

    def relevance_posterior(self, counts: PairCounts) -> NDArray[np.float64]:
        """Return every pair's most probable relevance at the fitted examination; shape (p,)."""
        _, relevance = self._first_guess(counts)
        weights = np.ones(len(counts))
        for _ in range(self.max_iterations):
            _, after = self._step(counts, weights, self.theta_, relevance)
            moved = float(np.abs(after - relevance).max())
            relevance = after
            if moved < self.tolerance:
                break
        return relevance

    def log_likelihood(
        self, counts: PairCounts, relevance: NDArray[np.float64] | None = None
    ) -> float:
        """Return the log-likelihood of the counts (binomial coefficients left out)."""
        known = self.relevance_ if relevance is None else relevance
        chance = np.clip(self.theta_[counts.position] * known[counts.pair], LOWEST, 1 - LOWEST)
        missed = counts.shown - counts.clicks
        return float(counts.clicks @ np.log(chance) + missed @ np.log1p(-chance))

    def sample(
        self, relevance: ArrayLike, *, random_state: int | np.random.Generator | None = None
    ) -> NDArray[np.bool_]:
        """Draw clicks for lists of documents with known relevance.

        Parameters
        ----------
        relevance : array-like of float, shape (n_lists, n_shown)
            Column k is shown at position k.
        """
        shown = np.atleast_2d(np.asarray(relevance, dtype=np.float64))
        chance = self.click_probability(np.arange(shown.shape[1]), shown)
        return np.asarray(np.random.default_rng(random_state).random(shown.shape) < chance)

    def _set(self, theta: NDArray[np.float64], relevance: NDArray[np.float64]) -> None:
        self.theta_, self.relevance_ = theta, relevance
        self.examination_ = theta / theta[0]

    def _first_guess(self, counts: PairCounts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        theta = 1 / np.sqrt(np.arange(1.0, counts.n_positions + 1)) * 0.9
        return theta, np.full(len(counts), 0.3)

    def _step(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        theta: NDArray[np.float64],
        relevance: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return one EM step: expected examinations and relevances, then their shares."""
        new_theta, new_relevance = np.empty_like(theta), np.empty_like(relevance)
        _expectation_maximisation(
            counts.offsets,
            counts.position,
            counts.shown,
            counts.clicks,
            weight,
            theta,
            relevance,
            self.prior_mean * self.prior_strength,
            self.prior_strength,
            new_theta,
            new_relevance,
        )
        return _inside(new_theta), _inside(new_relevance)

    def _accelerated_step(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        theta: NDArray[np.float64],
        relevance: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Extrapolate two EM steps on the log-odds scale, then steady it by a third."""
        size = len(theta)
        once = self._step(counts, weight, theta, relevance)
        twice = self._step(counts, weight, *once)
        origin = _log_odds(np.concatenate([theta, relevance]))
        first = _log_odds(np.concatenate(once)) - origin
        change = _log_odds(np.concatenate(twice)) - origin - 2 * first
        length = float(np.linalg.norm(change))
        if length == 0.0:
            return twice
        stretch = float(np.clip(np.linalg.norm(first) / length, 1.0, 30.0))
        ahead = _inside(_chance(origin + 2 * stretch * first + stretch**2 * change))
        return self._step(counts, weight, ahead[:size], ahead[size:])


def _inside(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(chance, LOWEST, 1 - LOWEST)


def _log_odds(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(chance) - np.log1p(-chance)


def _chance(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(log_odds, -40, 40)))


@kernel
def _expectation_maximisation(
    offsets: NDArray[np.int64],
    position: NDArray[np.int64],
    shown: NDArray[np.float64],
    clicks: NDArray[np.float64],
    weight: NDArray[np.float64],
    theta: NDArray[np.float64],
    relevance: NDArray[np.float64],
    prior_relevant: float,
    prior_strength: float,
    new_theta: NDArray[np.float64],
    new_relevance: NDArray[np.float64],
) -> None:
    examined = np.zeros(len(theta))
    total = np.zeros(len(theta))
    for pair in range(len(offsets) - 1):
        relevant, shown_here, attraction = prior_relevant, prior_strength, relevance[pair]
        for cell in range(offsets[pair], offsets[pair + 1]):
            here = position[cell]
            missed = (shown[cell] - clicks[cell]) / (1 - theta[here] * attraction)
            relevant += clicks[cell] + missed * attraction * (1 - theta[here])
            shown_here += shown[cell]
            examined[here] += weight[pair] * (
                clicks[cell] + missed * theta[here] * (1 - attraction)
            )
            total[here] += weight[pair] * shown[cell]
        new_relevance[pair] = relevant / shown_here
    for here in range(len(theta)):
        new_theta[here] = examined[here] / total[here] if total[here] > 0 else theta[here]
