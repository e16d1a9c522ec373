"""Click logs as counts: how often a document was shown, and clicked, in each examination state.

What click models need of a log is far smaller than the log. Fitting on counts instead of sessions
is the same fit, and costs as much for a thousand sessions of a query as for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl

from ...errors import InvalidInputError, NoExposuresError, did_you_mean
from ..pairs.text_codes import index_among
from .cells import count_cells, last_click_states, sum_by
from .pair_counts import PairCounts, n_considered, require_positions

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

StateName = Literal["position", "last_click"]


@dataclass(frozen=True, eq=False)
class ClickCounts:
    """Shown and clicked counts of documents by examination state.

    m is the number of distinct (query, document) pairs, called documents below, and s the number of
    cells: a cell is one document in one state. The cells of a document are neighbours, ordered by
    state; documents are ordered by `key`.

    Attributes
    ----------
    document : ndarray of int64, shape (s,)
        Document of the cell, 0 to m - 1.
    state : ndarray of int64, shape (s,)
        Examination state of the cell, 0 to n_states - 1.
    shown, clicks : ndarray of float64, shape (s,)
        (Weighted) number of times the document was shown in that state, and clicked.
    offsets : ndarray of int64, shape (m + 1,)
        Cell at which every document starts, and the number of cells.
    row : ndarray of int64, shape (m,)
        The document's last row in the pairs: of its latest execution.
    key : ndarray of int64, shape (m,)
        `TrainingPairs.query_document` of the document, ascending.
    states : {"position", "last_click"}
        What a state is.
    by : str or None
        Context column whose values have states of their own.
    values : tuple of str
        Values of that column; ``("",)`` without one.
    position_of_state : ndarray of int64, shape (n_states,)
        0-based position that a state belongs to.
    n_positions : int
        Positions that the counts cover, whether or not a row has them.
    queries, documents : polars.Series of String
        Texts of the codes that make up `key`.

    Notes
    -----
    Position k has the states k (``"position"``), or k (k + 1) / 2 + j + 1 where j is the position
    of the last click above, and k (k + 1) / 2 where there was none (``"last_click"``). With a
    context column, the states of its value number v follow v times `states_per_value` later.
    """

    document: NDArray[np.int64]
    state: NDArray[np.int64]
    shown: NDArray[np.float64]
    clicks: NDArray[np.float64]
    offsets: NDArray[np.int64]
    row: NDArray[np.int64]
    key: NDArray[np.int64]
    states: StateName
    by: str | None
    values: tuple[str, ...]
    position_of_state: NDArray[np.int64]
    n_positions: int
    queries: pl.Series
    documents: pl.Series

    def __len__(self) -> int:
        """Return the number of documents: distinct (query, document) pairs."""
        return len(self.key)

    @property
    def n_states(self) -> int:
        """Number of states, over all values of the context column."""
        return len(self.position_of_state)

    @property
    def states_per_value(self) -> int:
        """Number of states of one value of the context column."""
        return self.n_states // len(self.values)

    @property
    def query(self) -> NDArray[np.int64]:
        """Query code of every document; shape (m,)."""
        return self.key // max(len(self.documents), 1)

    def by_document(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values of cells over every document; shape (m,)."""
        return sum_by(self.document, values, len(self))

    def by_state(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values of cells over every state; shape (n_states,)."""
        return sum_by(self.state, values, self.n_states)

    def find(self, log: TrainingPairs | ClickCounts) -> NDArray[np.int64]:
        """Return the document of every row of (other) pairs, or of every document of counts.

        -1 where these counts lack it. Codes are compared by their texts where the other log
        comes from another load.
        """
        if isinstance(log, ClickCounts):
            query_code: NDArray[Any] = log.query
            document_code: NDArray[Any] = log.key % max(len(log.documents), 1)
        else:
            query_code = np.repeat(log.query_code, log.group)
            document_code = log.document_code
        query = _recoded(query_code, log.queries, self.queries)
        document = _recoded(document_code, log.documents, self.documents)
        key = query * max(len(self.documents), 1) + document
        key[(query < 0) | (document < 0)] = -1
        index = np.minimum(np.searchsorted(self.key, key), max(len(self) - 1, 0))
        return np.where(self.key[index] == key, index, -1)

    def states_of(self, pairs: TrainingPairs) -> NDArray[np.int64]:
        """Return the state of every row of (other) pairs.

        Positions beyond those counted take the last one. A context value that is not counted has
        states of its own, from `n_states` on, in the order of any other value's.
        """
        state = _states(pairs, self.states, self.n_positions)
        if self.by is None:
            return state
        number = self.values_of(pairs)
        return np.where(number < 0, len(self.values), number) * self.states_per_value + state

    def values_of(self, pairs: TrainingPairs) -> NDArray[np.int64]:
        """Return the number of every row's context value; -1 where these counts lack it."""
        if self.by is None:
            return np.zeros(len(pairs), dtype=np.int64)
        return np.repeat(_value_codes(pairs, self.by, self.values), pairs.group)


def click_counts(
    pairs: TrainingPairs,
    states: StateName = "position",
    *,
    by: str | None = None,
    weighted: bool = True,
    max_position: int | None = None,
) -> ClickCounts:
    """Aggregate training pairs to counts per (query, document) and examination state.

    Parameters
    ----------
    pairs : TrainingPairs
        Every row with a position; within an execution positions ascend.
    states : {"position", "last_click"}
        Whether a state is the position, or the position and that of the last click above it in
        the same execution (strictly above: results that share a position do not see each other).
    by : str, optional
        A column of `TrainingPairs.context`, such as ``"device"``: its values get states of their
        own. An execution without a value has the value ``""``.
    weighted : bool
        Whether an execution counts `pairs.weight` times (its recency weight) or once.
    max_position : int, optional
        Last position (0-based) with states of its own; deeper results take the same. 99 by
        default, as ``"last_click"`` has k (k + 1) / 2 states for k positions.

    Returns
    -------
    ClickCounts

    Raises
    ------
    InvalidInputError
        If a row has no position, positions do not ascend within an execution, or a parameter is
        invalid.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> from rankloom.datasets.counts.click_counts import click_counts
    >>> log = simulate_interactions(n_executions=200, random_state=0)
    >>> counts = click_counts(load_pairs(log), "last_click")
    >>> counts.n_positions, counts.n_states
    (10, 55)
    >>> int(counts.shown.sum())
    2000
    """
    require_positions(pairs)
    check_counted(states, max_position)
    n_positions = n_considered(pairs.position, max_position)
    values = _values(pairs, by)
    state = _states(pairs, states, n_positions)
    position_of_state = np.arange(n_positions)
    if states == "last_click":
        position_of_state = np.repeat(position_of_state, position_of_state + 1)
    if by is not None:
        number = np.repeat(_value_codes(pairs, by, values), pairs.group)
        state += number * len(position_of_state)
    position_of_state = np.tile(position_of_state, len(values))
    weight = pairs.weight if weighted else np.ones(len(pairs), dtype=np.float32)
    key, packed = _packed(pairs.query_document, state, len(position_of_state))
    cells, shown, clicks, last = count_cells(packed, pairs.clicked, weight)
    order = np.argsort(cells)
    number, cell_state = np.divmod(cells[order], len(position_of_state))
    first = np.flatnonzero(np.diff(number, prepend=-1))
    sizes = np.diff(np.append(first, len(number)))
    return ClickCounts(
        document=np.repeat(np.arange(len(first)), sizes),
        state=cell_state,
        shown=shown[order],
        clicks=clicks[order],
        offsets=np.append(first, len(number)).astype(np.int64),
        row=np.maximum.reduceat(last[order], first),
        key=number[first] if key is None else key[number[first]],
        states=states,
        by=by,
        values=values,
        position_of_state=position_of_state,
        n_positions=n_positions,
        queries=pairs.queries,
        documents=pairs.documents,
    )


def require_clicks(counts: ClickCounts) -> None:
    """Raise if nothing was clicked, or everything."""
    shown, clicks = counts.shown.sum(), counts.clicks.sum()
    if clicks <= 0:
        msg = (
            f"pairs: none of {len(counts):,} documents was clicked (or all weights are 0); a click "
            "model learns from clicks."
        )
        raise InvalidInputError(msg)
    if clicks >= shown:
        msg = (
            "pairs: every row was clicked, expected results that were shown and not clicked too. "
            "Log what was shown."
        )
        raise NoExposuresError(msg)


def as_pair_counts(counts: ClickCounts) -> PairCounts:
    """Return counts by position, states and context put together."""
    cell = counts.document * counts.n_positions + counts.position_of_state[counts.state]
    cells, index = np.unique(cell, return_inverse=True)
    document, position = np.divmod(cells, counts.n_positions)
    return PairCounts(
        offsets=np.searchsorted(document, np.arange(len(counts) + 1)),
        position=position,
        shown=sum_by(index, counts.shown, len(cells)),
        clicks=sum_by(index, counts.clicks, len(cells)),
        query=counts.query,
        n_positions=counts.n_positions,
    )


def from_pair_counts(counts: PairCounts) -> ClickCounts:
    """Return counts by position without the texts of queries and documents."""
    no_texts = pl.Series([], dtype=pl.String)
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
        queries=no_texts,
        documents=no_texts,
    )


def state_number(
    states: StateName,
    position: NDArray[np.int64],
    last_click: NDArray[np.int64] | int,
    n_positions: int,
) -> NDArray[np.int64]:
    """Return the number of a state; last_click is -1 where nothing above was clicked."""
    k = np.minimum(position, n_positions - 1)
    if states == "position":
        return k
    return np.asarray(k * (k + 1) // 2 + np.minimum(last_click, k - 1) + 1)


def check_counted(states: str, max_position: int | None) -> None:
    """Raise if there is no such state, or the last position is negative."""
    names = get_args(StateName)
    if states not in names:
        hint = did_you_mean(str(states), names)
        msg = f"states: got {states!r}, expected one of {names}.{hint}"
        raise InvalidInputError(msg)
    if max_position is not None and max_position < 0:
        msg = f"max_position: got {max_position!r}, expected 0 or more (0-based)"
        raise InvalidInputError(msg)


def check_context(by: str, context: Collection[str], load: str = "load_pairs") -> None:
    """Raise if there is no such column of context; `load`: the function that reads one."""
    if by not in context:
        msg = (
            f"by: no context column {by!r}, there are {sorted(context)}. Name it "
            f"in {load}(..., context=[...]).{did_you_mean(by, context)}"
        )
        raise InvalidInputError(msg)


def _values(pairs: TrainingPairs, by: str | None) -> tuple[str, ...]:
    """Return the distinct values of a context column in alphabetical order."""
    if by is None:
        return ("",)
    check_context(by, pairs.context)
    return tuple(_texts(pairs, by).unique().sort().to_list())


def _texts(pairs: TrainingPairs, by: str) -> pl.Series:
    return pairs.context[by].cast(pl.String).fill_null("")


def _value_codes(pairs: TrainingPairs, by: str, values: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the number of every execution's value; -1 where it is not among the values."""
    if by not in pairs.context:
        return np.full(pairs.n_executions, -1)
    return index_among(_texts(pairs, by), pl.Series(values))


def _recoded(codes: NDArray[Any], texts: pl.Series, targets: pl.Series) -> NDArray[np.int64]:
    """Return the index of each code's text among the target texts; -1 where it is not there."""
    return codes.astype(np.int64) if texts is targets else index_among(texts, targets)[codes]


def _packed(
    key: NDArray[np.int64], state: NDArray[np.int64], n_states: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Pack key and state into one number; where it would overflow, number the keys first."""
    names = None
    if key.max() >= 2**62 // n_states:
        names, key = np.unique(key, return_inverse=True)
    return names, key * n_states + state


def _states(pairs: TrainingPairs, states: StateName, n_positions: int) -> NDArray[np.int64]:
    if states == "position":
        return np.minimum(pairs.position, n_positions - 1).astype(np.int64)
    state = np.empty(len(pairs), dtype=np.int64)
    unordered = last_click_states(pairs.offsets, pairs.position, pairs.clicked, n_positions, state)
    if unordered >= 0:
        msg = (
            f"pairs.position: execution {unordered} is not in the order of its positions, which "
            'states="last_click" needs. Load the log with load_pairs.'
        )
        raise InvalidInputError(msg)
    return state
