"""Click models whose clicks depend on the document and on an examination state alone."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from .._swaps import PairCounts, count_swaps
from ._mixture import Maximiser, Parameters
from ._squarem import LOWEST, converge
from ._state_table import StateTable, mixed
from .base import ClickModel, as_pair_counts, lists_of, require_clicks
from .counts import ClickCounts, click_counts

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from ..training_pairs import TrainingPairs
    from .counts import StateName

FIRST_RELEVANCE = 0.3


class StateModel(ClickModel):
    """``P(click) = p1[state] r + p0[state] (1 - r)``; what the models on counts share.

    Subclasses say what a state is (`states`), whether irrelevant documents are clicked
    (`false_clicks`) and what they call p1 and p0 (`_name_parameters`).
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
        InvalidInputError
            If a row has no position, nothing was clicked, or counts have other states.
        NoExposuresError
            If everything was clicked.
        """
        self._check_parameters()
        counts = self._counts(log)
        first = self._first_guess(counts) if start is None else start._parameters()  # noqa: SLF001
        maximiser = self._maximiser(counts, weight)
        found, self.n_iterations_ = converge(
            maximiser.accelerated_step, first, maximiser.moved, self.tolerance, self.max_iterations
        )
        self._set(counts, found)
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
        here = Parameters(p1, p0, np.full(len(counts), FIRST_RELEVANCE))
        maximiser = replace(self._maximiser(counts, None), prior_mean=self._known_prior_mean())
        for _ in range(self.max_iterations):
            after = maximiser.step(here).relevance
            moved = float(np.abs(after - here.relevance).max())
            here = replace(here, relevance=after)
            if moved < self.tolerance:
                break
        return here.relevance

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
            documents that it did not see.
        """
        if not isinstance(log, ClickCounts | PairCounts):
            return super().log_likelihood(log)
        counts = self._counts(log, check=False)
        known = self._relevance_in(counts) if relevance is None else relevance
        p1, p0 = self._table.in_states_of(counts)
        chance = mixed(p1, p0, counts.state, known[counts.document])
        chance = np.clip(chance, LOWEST, 1 - LOWEST)
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
        """Return P(click) of every row of (other) pairs; shape (n,).

        Parameters
        ----------
        pairs : TrainingPairs
            Documents that the fit did not see get the prior's mean; context values that it did
            not see, the mean parameters of all.
        conditional : bool
            Given the clicks above in the same execution, or over all that might have happened
            there.
        """
        self._check_log()
        state = self.counts_.states_of(pairs)
        p1, p0 = self._table.with_mean()
        return mixed(p1.ravel(), p0.ravel(), state, self._row_relevance(pairs))

    @property
    def identifiable_(self) -> bool:
        """Whether documents clicked at several positions tie every position to position 0.

        If not, the log cannot tell examination from relevance where it does not, and the fit
        there rests on its starting point and on the prior.
        """
        self._check_log()
        by_position = as_pair_counts(self.counts_)
        swaps = count_swaps(by_position)
        seen = np.flatnonzero(np.diagonal(swaps.pairs) > 0)
        return len(seen) > 1 and bool(np.isin(seen, swaps.component()).all())

    def sample(
        self,
        relevance: ArrayLike,
        *,
        value: str | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.bool_]:
        """Draw clicks on lists, from the top down.

        Parameters
        ----------
        relevance : array-like of float, shape (n_lists, n_shown)
            Column k is shown at position k.
        value : str, optional
            A context value, of a model fitted with `by`; the values' mean without it.
        random_state : int, numpy Generator or None

        Returns
        -------
        ndarray of bool, the shape of `relevance`
        """
        self._check_fitted()
        shown, uniform = lists_of(relevance), np.random.default_rng(random_state)
        clicks = np.zeros(shown.shape, dtype=np.bool_)
        last = np.full(len(shown), -1)
        for place in range(shown.shape[1]):
            chance = self._table.chance(place, shown[:, place], last, value)
            clicks[:, place] = uniform.random(len(shown)) < chance
            last[clicks[:, place]] = place
        return clicks

    def list_click_probability(
        self, relevance: ArrayLike, *, value: str | None = None
    ) -> NDArray[np.float64]:
        """Return P(click) on lists, over all that may be clicked above; shapes as in `sample`."""
        self._check_fitted()
        shown = lists_of(relevance)
        found = np.empty_like(shown)
        last = np.zeros((len(shown), shown.shape[1] + 1))  # P(last click above was at j - 1)
        last[:, 0] = 1.0
        for place in range(shown.shape[1]):
            above = np.arange(place + 1)
            chance = self._table.chance(place, shown[:, [place]], above - 1, value)
            clicked = last[:, above] * chance
            found[:, place] = clicked.sum(axis=1)
            last[:, above] -= clicked
            last[:, place + 1] = found[:, place]
        return found

    def _counts(
        self, log: TrainingPairs | ClickCounts | PairCounts, *, check: bool = True
    ) -> ClickCounts:
        if isinstance(log, PairCounts):
            return _from_pair_counts(log)
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

    def _maximiser(self, counts: ClickCounts, weight: NDArray[np.float64] | None) -> Maximiser:
        return Maximiser(
            counts,
            np.ones(len(counts)) if weight is None else weight,
            self.prior_mean,
            self.prior_strength,
            self.state_strength,
            self.false_clicks,
        )

    def _set(self, counts: ClickCounts, found: Parameters) -> None:
        shape = (len(counts.values), counts.states_per_value)
        self.counts_, self.relevance_ = counts, found.relevance
        mean = self.prior_mean
        self.prior_mean_ = float(found.relevance.mean()) if mean is None else mean
        table = StateTable(
            found.relevant.reshape(shape),
            found.irrelevant.reshape(shape),
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

    def _parameters(self) -> Parameters:
        table = self._table
        return Parameters(table.relevant.ravel(), table.irrelevant.ravel(), self.relevance_)

    def _known_prior_mean(self) -> float:
        return self.prior_mean_ if self.prior_mean is None else self.prior_mean

    def _relevance_in(self, counts: ClickCounts) -> NDArray[np.float64]:
        self._check_log()
        if counts is self.counts_ or not len(counts.queries):
            return self.relevance_
        place = self.counts_.find(counts)
        return np.where(place < 0, self.prior_mean_, self.relevance_[place])

    def _row_relevance(self, pairs: TrainingPairs) -> NDArray[np.float64]:
        place = self.counts_.find(pairs)
        return np.where(place < 0, self.prior_mean_, self.relevance_[place])

    def _refitted(self, weight: NDArray[np.float64]) -> Self:
        return copy(self).fit(self.counts_, weight=weight, start=self)


def _from_pair_counts(counts: PairCounts) -> ClickCounts:
    nobody = pl.Series([], dtype=pl.String)
    return ClickCounts(
        document=counts.pair,
        state=counts.position,
        shown=counts.shown,
        clicks=counts.clicks,
        offsets=counts.offsets,
        row=np.full(len(counts), -1),
        key=counts.query,
        states="position",
        by=None,
        values=("",),
        position_of_state=np.arange(counts.n_positions),
        n_positions=counts.n_positions,
        queries=nobody,
        documents=nobody,
    )
