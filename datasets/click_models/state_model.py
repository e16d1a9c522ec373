"""Click models whose clicks depend on the document and on an examination state alone."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...errors import InvalidInputError
from ..counts.click_counts import (
    ClickCounts,
    as_pair_counts,
    click_counts,
    from_pair_counts,
    require_clicks,
)
from ..counts.pair_counts import PairCounts
from ..counts.swap_graph import count_swaps
from .base import ClickModel, lists_of
from .em_step import EMStep, Parameters
from .squarem import clip_probability, converge
from .state_table import StateTable, mixed

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from ..counts.click_counts import StateName
    from ..pairs.training_pairs import TrainingPairs

FIRST_RELEVANCE = 0.3


class StateModel(ClickModel):
    """``P(click) = p1[state] r + p0[state] (1 - r)``; what the models on counts share.

    Subclasses define what a state is (`states`), whether irrelevant documents are clicked
    (`false_clicks`) and how p1 and p0 are called (`_name_parameters`).
    """

    states: ClassVar[StateName] = "position"
    false_clicks: ClassVar[bool] = False
    state_strength: float = 0.0

    def __init__(
        self,
        *,
        by: str | None = None,
        prior_mean: float | None = None,
        prior_strength: float = 2.0,
        max_iterations: int = 300,
        tolerance: float = 1e-5,
    ) -> None:
        super().__init__(by=by, prior_mean=prior_mean, prior_strength=prior_strength)
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    @abstractmethod
    def _name_parameters(self) -> None:
        """Set the public names of the parameters in the fitted `_table`."""

    def fit(
        self,
        log: TrainingPairs | ClickCounts | PairCounts,
        *,
        weight: NDArray[np.float64] | None = None,
        start: Self | None = None,
    ) -> Self:
        """Fit to a log, or to counts of it.

        Parameters
        ----------
        log : TrainingPairs or ClickCounts
            Counts must have this model's states and its `by`; see `click_counts`.
        weight : ndarray of float64, shape (m,), optional
            How often each document's counts are taken for the states' parameters; 1 without it.
        start : a model of the same class, optional
            Fitted on the same counts, to start from.

        Raises
        ------
        InvalidInputError, NoExposuresError
            As of `ClickModel.fit`, or if counts have other states.
        """
        self._check_parameters()
        counts = self._counts(log)
        first = self._first_guess(counts) if start is None else start.fitted_parameters
        em = self._em_step(counts, weight)
        fitted, self.n_iterations_ = converge(
            em.accelerated_step, first, em.moved, self.tolerance, self.max_iterations
        )
        self._set(counts, fitted)
        return self

    def relevance_posterior(
        self, log: TrainingPairs | ClickCounts | PairCounts
    ) -> NDArray[np.float64]:
        """Return the relevance of every (query, document), with the fitted parameters; shape (m,).

        The mean that expectation-maximisation settles at, ``(expected relevant showings +
        prior_mean_ * prior_strength) / (showings + prior_strength)``. In the order of
        ``click_counts(log).key``.
        """
        self._check_fitted()
        counts = self._counts(log, check=False)
        p1, p0 = self._table.in_states_of(counts)
        prior_mean = self.prior_mean_ if self.prior_mean is None else self.prior_mean
        em = replace(self._em_step(counts, None), prior_mean=prior_mean)
        relevance, _ = converge(
            lambda before: em.step(Parameters(p1, p0, before)).relevance,
            np.full(len(counts), FIRST_RELEVANCE),
            lambda before, after: float(np.abs(after - before).max()),
            self.tolerance,
            self.max_iterations,
        )
        return relevance

    def log_likelihood(
        self,
        log: TrainingPairs | ClickCounts | PairCounts,
        relevance: NDArray[np.float64] | None = None,
    ) -> float:
        """Return the natural log of the probability of all clicks and non-clicks of a log.

        Parameters
        ----------
        log : TrainingPairs or ClickCounts
            Of counts, the binomial coefficients are left out: the value is that of the rows.
        relevance : ndarray of float64, shape (m,), optional
            Of the documents of the counts. Without it those of the fit, and the prior's mean for
            documents that it did not contain.
        """
        if not isinstance(log, ClickCounts | PairCounts):
            return super().log_likelihood(log)
        counts = self._counts(log, check=False)
        relevance = self._relevance_in(counts) if relevance is None else relevance
        p1, p0 = self._table.in_states_of(counts)
        chance = mixed(p1, p0, counts.state, relevance[counts.document])
        chance = clip_probability(chance)
        missed = counts.shown - counts.clicks
        return float(counts.clicks @ np.log(chance) + missed @ np.log1p(-chance))

    def click_probability(
        self, position: ArrayLike, relevance: ArrayLike, *, value: str | None = None
    ) -> NDArray[np.float64]:
        """Return P(click) at 0-based positions for documents of the given relevance.

        Parameters
        ----------
        position : array-like of int
            Beyond the fit, its last position.
        relevance : array-like of float
        value : str, optional
            A context value, of a model fitted with `by`; the values' mean without it.
        """
        self._check_fitted()
        return self._table.chance(position, relevance, -1, value)

    def row_click_probability(
        self,
        pairs: TrainingPairs,
        *,
        conditional: bool = True,  # noqa: ARG002 - one and the same without memory
    ) -> NDArray[np.float64]:
        """Return P(click) of every row of (other) pairs; see `ClickModel`."""
        self._check_log()
        state = self.counts_.states_of(pairs)
        p1, p0 = self._table.with_mean()
        return mixed(p1.ravel(), p0.ravel(), state, self._relevance_of(pairs))

    @property
    def identifiable_(self) -> bool:
        """Whether documents clicked at several positions tie every position to position 0.

        At other positions the log does not separate examination from relevance, and the fit
        rests on its starting point and on the prior.
        """
        self._check_log()
        by_position = as_pair_counts(self.counts_)
        swaps = count_swaps(by_position)
        shown = np.flatnonzero(np.diagonal(swaps.pairs) > 0)
        return len(shown) > 1 and bool(np.isin(shown, swaps.component()).all())

    def sample(
        self,
        relevance: ArrayLike,
        *,
        value: str | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.bool_]:
        """Draw clicks on lists, from the top down; see `ClickModel.sample`."""
        self._check_fitted()
        shown, uniform = lists_of(relevance), np.random.default_rng(random_state)
        clicks = np.zeros(shown.shape, dtype=np.bool_)
        last = np.full(len(shown), -1)
        for position in range(shown.shape[1]):
            chance = self._table.chance(position, shown[:, position], last, value)
            clicks[:, position] = uniform.random(len(shown)) < chance
            last[clicks[:, position]] = position
        return clicks

    def list_click_probability(
        self, relevance: ArrayLike, *, value: str | None = None
    ) -> NDArray[np.float64]:
        """Return P(click) on lists, over all that may be clicked above; shapes as in `sample`."""
        self._check_fitted()
        shown = lists_of(relevance)
        click = np.empty_like(shown)
        last = np.zeros((len(shown), shown.shape[1] + 1))  # P(last click above was at j - 1)
        last[:, 0] = 1.0
        for position in range(shown.shape[1]):
            above = np.arange(position + 1)
            chance = self._table.chance(position, shown[:, [position]], above - 1, value)
            clicked = last[:, above] * chance
            click[:, position] = clicked.sum(axis=1)
            last[:, above] -= clicked
            last[:, position + 1] = click[:, position]
        return click

    def _counts(
        self, log: TrainingPairs | ClickCounts | PairCounts, *, check: bool = True
    ) -> ClickCounts:
        if isinstance(log, PairCounts):
            return from_pair_counts(log)
        if not isinstance(log, ClickCounts):
            log = click_counts(log, self.states, by=self.by)
        if log.states != self.states or log.by != self.by:
            msg = (
                f"counts: states={log.states!r}, by={log.by!r}, but {type(self).__name__} needs "
                f"click_counts(pairs, {self.states!r}, by={self.by!r})."
            )
            raise InvalidInputError(msg)
        if check:
            require_clicks(log)
        return log

    def _first_guess(self, counts: ClickCounts) -> Parameters:
        rank = counts.position_of_state + 1.0
        false = np.asarray(0.05 / rank if self.false_clicks else 0 * rank, dtype=np.float64)
        return Parameters(0.9 / np.sqrt(rank), false, np.full(len(counts), FIRST_RELEVANCE))

    def _em_step(self, counts: ClickCounts, weight: NDArray[np.float64] | None) -> EMStep:
        return EMStep(
            counts,
            np.ones(len(counts)) if weight is None else weight,
            self.prior_mean,
            self.prior_strength,
            self.state_strength,
            self.false_clicks,
        )

    def _set(self, counts: ClickCounts, fitted: Parameters) -> None:
        shape = (len(counts.values), counts.states_per_value)
        self.counts_, self.relevance_ = counts, fitted.relevance
        mean = self.prior_mean
        self.prior_mean_ = float(fitted.relevance.mean()) if mean is None else mean
        table = StateTable(
            fitted.relevant.reshape(shape),
            fitted.irrelevant.reshape(shape),
            counts.by_state(counts.shown).reshape(shape),
            counts.position_of_state[: shape[1]],
            counts.states,
            counts.values if self.by else (),
        )
        self._set_table(table)

    def _set_table(self, table: StateTable) -> None:
        self._table = table
        self.examination_ = table.curve()
        self.curves_ = {value: table.curve(value) for value in table.values}
        self._name_parameters()

    @property
    def fitted_parameters(self) -> Parameters:
        """p1, p0 and relevance as the fit left them, to start another one from."""
        table = self._table
        return Parameters(table.relevant.ravel(), table.irrelevant.ravel(), self.relevance_)

    def _relevance_in(self, counts: ClickCounts) -> NDArray[np.float64]:
        self._check_log()
        if counts is self.counts_ or not len(counts.queries):
            return self.relevance_
        return self._relevance_of(counts)

    def _relevance_of(self, log: TrainingPairs | ClickCounts) -> NDArray[np.float64]:
        document = self.counts_.find(log)
        return np.where(document < 0, self.prior_mean_, self.relevance_[document])

    def refitted(self, weight: NDArray[np.float64]) -> Self:
        """Return a copy fitted to the same log with other weights; see `ClickModel.refitted`."""
        return copy(self).fit(self.counts_, weight=weight, start=self)
