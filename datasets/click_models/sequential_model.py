"""Click models of readers who examine a list from the top down: what cascade and DBN share."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel
from ...errors import InvalidInputError, did_you_mean
from ..counts.cells import add_at
from ..counts.click_counts import click_counts, require_clicks
from ..pairs.row_blocks import blocks_of, row_blocks, rows_of
from .base import ClickModel, lists_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from ..counts.click_counts import ClickCounts
    from ..pairs.row_blocks import RowBlock
    from ..pairs.training_pairs import TrainingPairs


@dataclass(frozen=True, eq=False)
class Sessions:
    """The rows of a log in reading order."""

    # shape (e + 1,): row at which every execution starts, and the number of rows
    offsets: NDArray[np.int64]
    document: NDArray[np.int32]  # shape (n,): document of the counts
    value: NDArray[np.int64]  # shape (e,): number of the context value
    position: NDArray[np.int32]  # shape (n,)
    clicked: NDArray[np.bool_]  # shape (n,)
    weight: NDArray[np.float32]  # shape (n,): recency weight

    def blocks(self) -> Iterator[RowBlock]:
        """Yield the executions in blocks, whose mapped memory is given back after each."""
        return blocks_of(self.offsets, (self.position, self.clicked, self.weight))

    def of(self, block: RowBlock) -> Sessions:
        """Return the executions of a block."""
        group = self.offsets[1:][block.executions] - self.offsets[:-1][block.executions]
        return Sessions(
            np.concatenate([[0], np.cumsum(group)]),
            self.document[block.rows],
            self.value[block.executions],
            self.position[block.rows],
            self.clicked[block.rows],
            self.weight[block.rows],
        )


@dataclass(frozen=True, eq=False)
class SequentialParameters:
    """Parameters of a reader: attractiveness and satisfaction of documents, and persistence."""

    attractiveness: NDArray[np.float64]  # shape (m,)
    satisfaction: NDArray[np.float64]  # shape (m,)
    continuation: NDArray[np.float64]  # shape (v,)
    means: tuple[float, float]  # of the priors of attractiveness and satisfaction


@dataclass(frozen=True, eq=False)
class SequentialData:
    """What the parameters are estimated from."""

    counts: ClickCounts  # names the documents and context values: parameters are in their order
    sessions: Sessions
    # shape (m,): how often each document's rows are taken for what the documents share
    weight: NDArray[np.float64]
    prior_mean: float | None  # of the attractiveness; None for the documents' mean
    start: SequentialParameters | None = None  # where to start from
    # shape (v,): persistence that is not to be estimated
    continuation: NDArray[np.float64] | None = None


class SequentialModel(ClickModel):
    """Readers go down, click what attracts them, and stop when satisfied or tired.

    ``P(click | examined) = a_qd``, ``P(stop | click) = s_qd``, and after every result that did not
    satisfy, ``P(go on) = gamma``. Subclasses define how the three are estimated (`_estimate`).
    """

    satisfaction_: NDArray[np.float64]
    mean_satisfaction_: float
    continuation_: NDArray[np.float64]
    n_iterations_: int

    @abstractmethod
    def _estimate(self, data: SequentialData) -> tuple[SequentialParameters, int]:
        """Return the parameters and the number of steps it took."""

    def fit(self, log: TrainingPairs) -> Self:
        """Fit to a log.

        Parameters
        ----------
        log : TrainingPairs
            Whole executions, in the order of their positions: counts by position hold no order
            of reading. A missing position is passed over.

        Raises
        ------
        InvalidInputError, NoExposuresError
            As of `ClickModel.fit`, or if positions do not ascend.
        """
        self._check_parameters()
        counts, sessions = self._sessions_of(log)
        return self.fit_data(
            SequentialData(counts, sessions, np.ones(len(counts)), self.prior_mean)
        )

    def fit_data(self, data: SequentialData) -> Self:
        """Fit to prepared data; what `fit` and `refitted` have in common."""
        fitted, self.n_iterations_ = self._estimate(data)
        self.counts_, self._sessions, self._fitted = data.counts, data.sessions, fitted
        self.relevance_, self.satisfaction_ = fitted.attractiveness, fitted.satisfaction
        self.continuation_ = fitted.continuation if self.by else fitted.continuation[0]
        self.prior_mean_, self.mean_satisfaction_ = fitted.means
        self._set_curves(data.weight)
        return self

    def relevance_posterior(self, log: TrainingPairs) -> NDArray[np.float64]:
        """Return every document's attractiveness by another log, with the fitted persistence.

        In the order of ``click_counts(log).key``.
        """
        self._check_fitted()
        counts, sessions = self._sessions_of(log)
        continuation = np.array([self._persistence(value or None) for value in counts.values])
        weight = np.ones(len(counts))
        data = SequentialData(counts, sessions, weight, self.prior_mean_, None, continuation)
        return self._estimate(data)[0].attractiveness

    def click_probability(
        self,
        relevance: ArrayLike,
        satisfaction: ArrayLike | None = None,
        *,
        value: str | None = None,
    ) -> NDArray[np.float64]:
        """Return P(click) on lists, over all that may be clicked above; shapes as in `sample`.

        The same as `list_click_probability`: a click depends on the results above it.
        """
        return self.list_click_probability(relevance, satisfaction, value=value)

    def list_click_probability(
        self,
        relevance: ArrayLike,
        satisfaction: ArrayLike | None = None,
        *,
        value: str | None = None,
    ) -> NDArray[np.float64]:
        """Return P(click) on lists, over all that may be clicked above; shapes as in `sample`."""
        self._check_fitted()
        attracts, satisfies = self._lists(relevance, satisfaction)
        goes_on = self._persistence(value) * (1 - attracts * satisfies)
        examined = np.ones_like(attracts)
        examined[:, 1:] = np.cumprod(goes_on[:, :-1], axis=1)
        return examined * attracts

    def sample(
        self,
        relevance: ArrayLike,
        satisfaction: ArrayLike | None = None,
        *,
        value: str | None = None,
        random_state: int | np.random.Generator | None = None,
    ) -> NDArray[np.bool_]:
        """Draw clicks on lists, from the top down; see `ClickModel.sample`.

        `satisfaction`, of the shape of `relevance`, is P(stop) after a click; the fitted mean
        without it.
        """
        self._check_fitted()
        attracts, satisfies = self._lists(relevance, satisfaction)
        generator, persistence = np.random.default_rng(random_state), self._persistence(value)
        clicks = np.zeros(attracts.shape, dtype=np.bool_)
        reads = np.ones(len(attracts), dtype=np.bool_)
        for position in range(attracts.shape[1]):
            click, stop, go_on = generator.random((3, len(attracts)))
            clicks[:, position] = reads & (click < attracts[:, position])
            satisfied = clicks[:, position] & (stop < satisfies[:, position])
            reads &= ~satisfied & (go_on < persistence)
        return clicks

    def row_click_probability(
        self, pairs: TrainingPairs, *, conditional: bool = True
    ) -> NDArray[np.float64]:
        """Return P(click) of every row of (other) pairs; see `ClickModel`."""
        self._check_fitted()
        document = self.counts_.find(pairs)
        attracts = np.where(document < 0, self.prior_mean_, self.relevance_[document])
        return attracts * self._row_examination(pairs, document, attracts, conditional=conditional)

    def examination_given_clicks(
        self, pairs: TrainingPairs, relevance: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return P(examined) of every row, given the clicks above it and the rows' relevance.

        `relevance`, shape (n,), is the attractiveness of every row's document.
        """
        self._check_fitted()
        return self._row_examination(pairs, self.counts_.find(pairs), relevance, conditional=True)

    def _row_examination(
        self,
        pairs: TrainingPairs,
        document: NDArray[np.int64],
        attracts: NDArray[np.float64],
        *,
        conditional: bool,
    ) -> NDArray[np.float64]:
        satisfies = np.where(document < 0, self.mean_satisfaction_, self.satisfaction_[document])
        every = np.append(np.atleast_1d(self.continuation_), self._persistence(None))
        goes_on = every[self.counts_.values_of(pairs)] if self.by else np.full(len(pairs), every[0])
        examined = np.empty(len(pairs))
        _examined(pairs.offsets, attracts, satisfies, goes_on, pairs.clicked, conditional, examined)
        return examined

    def _sessions_of(self, pairs: TrainingPairs) -> tuple[ClickCounts, Sessions]:
        counts = click_counts(pairs, by=self.by)
        require_clicks(counts)
        document, document_of = np.empty(len(pairs), np.int32), counts.documents_of_blocks(pairs)
        for block in row_blocks(pairs):
            _check_order(pairs, block)
            document[block.rows] = document_of(block)
        value = counts.values_of_executions(pairs)
        return counts, Sessions(
            pairs.offsets, document, value, pairs.position, pairs.clicked, pairs.weight
        )

    def _set_curves(self, weight: NDArray[np.float64]) -> None:
        """Average the examination of the log's rows by position and value."""
        fitted, size = self._fitted, self.counts_.n_positions
        cells = (len(self.counts_.values), size)
        shown, expected = np.zeros(cells), np.zeros(cells)
        for block in self._sessions.blocks():
            rows = self._sessions.of(block)
            value = np.repeat(rows.value, np.diff(rows.offsets))
            examined = np.empty(len(rows.document))
            _examined(
                rows.offsets,
                fitted.attractiveness[rows.document],
                fitted.satisfaction[rows.document],
                fitted.continuation[value],
                rows.clicked,
                False,
                examined,
            )
            weights = rows.weight * weight[rows.document]
            cell = value * size + np.minimum(rows.position, size - 1)
            add_at(cell, weights, shown.reshape(-1))
            add_at(cell, weights * examined, expected.reshape(-1))
        self._shown = shown.sum(axis=1)
        self.examination_ = _relative_curve(expected.sum(axis=0), shown.sum(axis=0))
        values = enumerate(self.counts_.values if self.by else ())
        self.curves_ = {value: _relative_curve(expected[i], shown[i]) for i, value in values}

    def _persistence(self, value: str | None) -> float:
        """Return the continuation of a context value; without one, the mean."""
        every = np.atleast_1d(self.continuation_)
        if value is None or not self.by:
            return float(every @ self._shown / self._shown.sum())
        values = self.counts_.values
        if value not in values:
            msg = (
                f"value: got {value!r}, expected one of {values} or None."
                f"{did_you_mean(value, values)}"
            )
            raise InvalidInputError(msg)
        return float(every[values.index(value)])

    def _lists(
        self, relevance: ArrayLike, satisfaction: ArrayLike | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        attracts = lists_of(relevance)
        if satisfaction is None:
            return attracts, np.full(attracts.shape, self.mean_satisfaction_)
        return attracts, np.broadcast_to(lists_of(satisfaction), attracts.shape)

    def refitted(self, weight: NDArray[np.float64]) -> Self:
        """Return a copy fitted to the same log with other weights; see `ClickModel.refitted`."""
        data = SequentialData(self.counts_, self._sessions, weight, self.prior_mean, self._fitted)
        return copy(self).fit_data(data)


def _check_order(pairs: TrainingPairs, block: RowBlock) -> None:
    """Raise unless positions ascend within the executions of a block."""
    group = pairs.group[block.executions]
    step = np.diff(pairs.position[block.rows], prepend=0)
    step[(np.cumsum(group) - group)[group > 0]] = 0
    unordered = np.flatnonzero(step < 0)
    if len(unordered):
        row = rows_of(block)[unordered[0]]
        execution = np.searchsorted(pairs.offsets, row, side="right") - 1
        msg = (
            f"pairs.position: execution {execution} is not in the order of its positions. Load "
            "the log with load_pairs."
        )
        raise InvalidInputError(msg)


def _relative_curve(
    examined: NDArray[np.float64], shown: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return examined / shown relative to position 0; where nothing was shown, the value above."""
    counted = shown > 0
    last_counted = np.maximum.accumulate(np.where(counted, np.arange(len(shown)), 0))
    curve = np.where(counted, examined / np.where(counted, shown, 1), 1.0)[last_counted]
    return np.asarray(curve / curve[0])


@kernel
def _examined(
    offsets: NDArray[np.int64],
    attracts: NDArray[np.float64],
    satisfies: NDArray[np.float64],
    goes_on: NDArray[np.float64],
    clicked: NDArray[np.bool_],
    conditional: bool,  # noqa: FBT001 - kernels take no keywords
    examined: NDArray[np.float64],
) -> None:
    """Fill in P(examined) of every row, given the clicks above or over all that may happen."""
    for execution in range(len(offsets) - 1):
        belief = 1.0  # P(the reader comes as far as this row | clicks above)
        for row in range(offsets[execution], offsets[execution + 1]):
            examined[row] = belief
            a, s = attracts[row], satisfies[row]
            if not conditional:
                belief *= 1 - a * s
            elif clicked[row]:
                belief = 1 - s  # a click proves that the row was examined
            else:  # Bayes: what was not clicked was not examined, or did not attract
                belief *= (1 - a) / max(1 - belief * a, 1e-12)
            belief *= goes_on[row]
