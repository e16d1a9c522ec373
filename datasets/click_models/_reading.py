"""Click models of readers who go down a list one by one: what cascade and DBN share."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._jit import kernel
from ...errors import InvalidInputError, did_you_mean
from .base import ClickModel, lists_of, require_clicks
from .counts import click_counts

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from ..training_pairs import TrainingPairs
    from .counts import ClickCounts


@dataclass(frozen=True, eq=False)
class Sessions:
    """The rows of a log in reading order.

    Attributes
    ----------
    offsets : ndarray of int64, shape (e + 1,)
        Row at which every execution starts, and the number of rows.
    document : ndarray of int64, shape (n,)
        Document of the counts.
    value : ndarray of int64, shape (n,)
        Number of the context value.
    place : ndarray of int64, shape (n,)
        Position, those beyond the counted ones as the last of them.
    clicked : ndarray of bool, shape (n,)
    weight : ndarray of float64, shape (n,)
        Recency weight.
    """

    offsets: NDArray[np.int64]
    document: NDArray[np.int64]
    value: NDArray[np.int64]
    place: NDArray[np.int64]
    clicked: NDArray[np.bool_]
    weight: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reading:
    """Parameters of a reader: attractiveness and satisfaction of documents, and persistence.

    Attributes
    ----------
    attractiveness, satisfaction : ndarray of float64, shape (m,)
    continuation : ndarray of float64, shape (v,)
    means : (float, float)
        Of the priors of attractiveness and satisfaction.
    """

    attractiveness: NDArray[np.float64]
    satisfaction: NDArray[np.float64]
    continuation: NDArray[np.float64]
    means: tuple[float, float]


class ReadingModel(ClickModel):
    """Readers go down, click what attracts them, and stop when satisfied or tired.

    ``P(click | examined) = a_qd``, ``P(stop | click) = s_qd``, and after every result that did not
    satisfy, ``P(go on) = gamma``. Subclasses say how the three are estimated (`_estimate`).
    """

    satisfaction_: NDArray[np.float64]
    mean_satisfaction_: float
    continuation_: NDArray[np.float64]
    n_iterations_: int

    @abstractmethod
    def _estimate(
        self,
        counts: ClickCounts,
        sessions: Sessions,
        weight: NDArray[np.float64],
        start: Reading | None,
        known: NDArray[np.float64] | None = None,
    ) -> tuple[Reading, int]:
        """Return the reading and the number of steps it took; known is a known continuation."""

    def fit(self, log: TrainingPairs) -> Self:
        """Fit to a log.

        Parameters
        ----------
        log : TrainingPairs
            Whole executions, in the order of their positions: counts by position do not say
            what was read before what. A missing position is passed over.

        Raises
        ------
        InvalidInputError
            If a row has no position, positions do not ascend, or nothing was clicked.
        NoExposuresError
            If everything was clicked.
        """
        self._check_parameters()
        counts, sessions = self._sessions_of(log)
        self._fit(counts, sessions, np.ones(len(counts)), None)
        return self

    def relevance_posterior(self, log: TrainingPairs) -> NDArray[np.float64]:
        """Return every document's attractiveness by another log, with the fitted persistence.

        In the order of ``click_counts(log).key``.
        """
        self._check_fitted()
        counts, sessions = self._sessions_of(log)
        known = np.array([self._persistence(value or None) for value in counts.values])
        once = copy(self)
        once.prior_mean = self.prior_mean_
        found, _ = once._estimate(  # noqa: SLF001
            counts, sessions, np.ones(len(counts)), None, known
        )
        return found.attractiveness

    def click_probability(
        self,
        relevance: ArrayLike,
        satisfaction: ArrayLike | None = None,
        *,
        value: str | None = None,
    ) -> NDArray[np.float64]:
        """Return P(click) on lists, over all that may be clicked above; shapes as in `sample`.

        An alias of `list_click_probability`: here a click's chance depends on what stands above.
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
        """Draw clicks on lists, from the top down.

        Parameters
        ----------
        relevance : array-like of float, shape (n_lists, n_shown)
            Attractiveness: P(click) if examined. Column k is shown at position k.
        satisfaction : array-like of float, the same shape, optional
            P(stop) after a click; the fitted mean without it.
        value : str, optional
            A context value, of a model fitted with `by`; the values' mean without it.
        random_state : int, numpy Generator or None

        Returns
        -------
        ndarray of bool, the shape of `relevance`
        """
        self._check_fitted()
        attracts, satisfies = self._lists(relevance, satisfaction)
        generator, persistence = np.random.default_rng(random_state), self._persistence(value)
        clicks = np.zeros(attracts.shape, dtype=np.bool_)
        reads = np.ones(len(attracts), dtype=np.bool_)
        for place in range(attracts.shape[1]):
            click, stop, tire = generator.random((3, len(attracts)))
            clicks[:, place] = reads & (click < attracts[:, place])
            reads &= ~(clicks[:, place] & (stop < satisfies[:, place])) & (tire < persistence)
        return clicks

    def row_click_probability(
        self, pairs: TrainingPairs, *, conditional: bool = True
    ) -> NDArray[np.float64]:
        """Return P(click) of every row of (other) pairs; shape (n,).

        Parameters
        ----------
        pairs : TrainingPairs
            Documents that the fit did not see get the priors' means; context values that it did
            not see, the mean persistence of all.
        conditional : bool
            Given the clicks above in the same execution, or over all that might have happened
            there.
        """
        self._check_fitted()
        place = self.counts_.find(pairs)
        attracts = np.where(place < 0, self.prior_mean_, self.relevance_[place])
        return attracts * self._row_examination(pairs, place, attracts, conditional=conditional)

    def examination_given_clicks(
        self, pairs: TrainingPairs, relevance: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return P(examined) of every row, given the clicks above it and the rows' relevance.

        Parameters
        ----------
        pairs : TrainingPairs
        relevance : ndarray of float64, shape (n,)
            Attractiveness of every row's document.
        """
        self._check_fitted()
        return self._row_examination(pairs, self.counts_.find(pairs), relevance, conditional=True)

    def _row_examination(
        self,
        pairs: TrainingPairs,
        place: NDArray[np.int64],
        attracts: NDArray[np.float64],
        *,
        conditional: bool,
    ) -> NDArray[np.float64]:
        satisfies = np.where(place < 0, self.mean_satisfaction_, self.satisfaction_[place])
        every = np.append(np.atleast_1d(self.continuation_), self._persistence(None))
        goes_on = every[self.counts_.values_of(pairs)] if self.by else np.full(len(pairs), every[0])
        examined = np.empty(len(pairs))
        _examined(pairs.offsets, attracts, satisfies, goes_on, pairs.clicked, conditional, examined)
        return examined

    def _sessions_of(self, pairs: TrainingPairs) -> tuple[ClickCounts, Sessions]:
        counts = click_counts(pairs, by=self.by)
        require_clicks(counts)
        inside = np.ones(len(pairs), dtype=np.bool_)
        inside[pairs.offsets[:-1]] = False
        unordered = np.flatnonzero(np.diff(pairs.position, prepend=0) * inside < 0)
        if len(unordered):
            msg = (
                f"pairs.position: execution {pairs.execution_index[unordered[0]]} is not in the "
                "order of its positions. Load the log with load_pairs."
            )
            raise InvalidInputError(msg)
        sessions = Sessions(
            pairs.offsets,
            counts.find(pairs),
            counts.values_of(pairs),
            np.minimum(pairs.position, counts.n_positions - 1).astype(np.int64),
            pairs.clicked,
            pairs.weight.astype(np.float64),
        )
        return counts, sessions

    def _fit(
        self,
        counts: ClickCounts,
        sessions: Sessions,
        weight: NDArray[np.float64],
        start: Reading | None,
    ) -> None:
        found, self.n_iterations_ = self._estimate(counts, sessions, weight, start)
        self.counts_, self._sessions, self._found = counts, sessions, found
        self.relevance_, self.satisfaction_ = found.attractiveness, found.satisfaction
        self.continuation_ = found.continuation if self.by else found.continuation[0]
        self.prior_mean_, self.mean_satisfaction_ = found.means
        self._set_curves(weight)

    def _set_curves(self, weight: NDArray[np.float64]) -> None:
        """Average the examination of the log's rows by position and value."""
        here, found = self._sessions, self._found
        examined = np.empty(len(here.document))
        _examined(
            here.offsets,
            found.attractiveness[here.document],
            found.satisfaction[here.document],
            found.continuation[here.value],
            here.clicked,
            False,
            examined,
        )
        size, weights = self.counts_.n_positions, here.weight * weight[here.document]
        cell = here.value * size + here.place
        cells = (len(self.counts_.values), size)
        shown = np.bincount(cell, weights, cells[0] * size).reshape(cells)
        seen = np.bincount(cell, weights * examined, cells[0] * size).reshape(cells)
        self._shown = shown.sum(axis=1)
        self.examination_ = _filled(seen.sum(axis=0), shown.sum(axis=0))
        values = enumerate(self.counts_.values if self.by else ())
        self.curves_ = {value: _filled(seen[i], shown[i]) for i, value in values}

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

    def _reported(self) -> dict[str, NDArray[np.float64]]:
        curves = {f"examination[{value}]": curve for value, curve in self.curves_.items()}
        return {"examination": self.examination_, **curves}

    def _refitted(self, weight: NDArray[np.float64]) -> Self:
        other = copy(self)
        other._fit(self.counts_, self._sessions, weight, self._found)  # noqa: SLF001
        return other


def _filled(seen: NDArray[np.float64], shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return seen / shown relative to position 0; where nothing was shown, the value above."""
    known = shown > 0
    last_known = np.maximum.accumulate(np.where(known, np.arange(len(shown)), 0))
    curve = np.where(known, seen / np.where(known, shown, 1), 1.0)[last_known]
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
        belief = 1.0
        for row in range(offsets[execution], offsets[execution + 1]):
            examined[row] = belief
            a, s = attracts[row], satisfies[row]
            if not conditional:
                belief *= 1 - a * s
            elif clicked[row]:
                belief = 1 - s
            else:
                belief *= (1 - a) / max(1 - belief * a, 1e-12)
            belief *= goes_on[row]
