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
from ..pairs.row_blocks import query_documents_of, row_blocks
from ..pairs.text_codes import index_among
from .cells import CellCounts, last_click_states, sum_by
from .key_packing import KeyPacking
from .pair_counts import PairCounts, n_considered, require_positions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from ..pairs.row_blocks import RowBlock, RowValues
    from ..pairs.training_pairs import TrainingPairs

    _Find = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.int64]]

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
            among = self._among(log.queries, log.documents)
            return among(log.query, log.key % max(len(log.documents), 1))
        document_of = self.documents_of_blocks(log)
        found = np.empty(len(log), dtype=np.int64)
        for block in row_blocks(log):
            found[block.rows] = document_of(block)
        return found

    def documents_of_blocks(self, pairs: TrainingPairs) -> RowValues:
        """Return what gives the documents of the rows of a block of (other) pairs; see `find`."""
        among = self._among(pairs.queries, pairs.documents)

        def documents(block: RowBlock) -> NDArray[np.int64]:
            query = np.repeat(pairs.query_code[block.executions], pairs.group[block.executions])
            return among(query, pairs.document_code[block.rows])

        return documents

    def _among(self, queries: pl.Series, documents: pl.Series) -> _Find:
        """Return what finds codes of queries and documents among these counts."""
        query_of = None if queries is self.queries else index_among(queries, self.queries)
        document_of = (
            None if documents is self.documents else index_among(documents, self.documents)
        )

        def among(query: NDArray[Any], document: NDArray[Any]) -> NDArray[np.int64]:
            query = query.astype(np.int64) if query_of is None else query_of[query]
            document = document if document_of is None else document_of[document]
            key = query * max(len(self.documents), 1) + document
            key[(query < 0) | (document < 0)] = -1
            index = np.minimum(np.searchsorted(self.key, key), max(len(self) - 1, 0))
            return np.where(self.key[index] == key, index, -1)

        return among

    def states_of(self, pairs: TrainingPairs) -> NDArray[np.int64]:
        """Return the state of every row of (other) pairs.

        Positions beyond those counted take the last one. A context value that is not counted has
        states of its own, from `n_states` on, in the order of any other value's.
        """
        state_of = self.states_of_blocks(pairs)
        state = np.empty(len(pairs), dtype=np.int64)
        for block in row_blocks(pairs):
            state[block.rows] = state_of(block)
        return state

    def states_of_blocks(self, pairs: TrainingPairs) -> RowValues:
        """Return what gives the states of the rows of a block of (other) pairs; see `states_of`."""
        state_of = _states(pairs, self.states, self.n_positions)
        if self.by is None:
            return state_of
        number = self.values_of_executions(pairs)
        first = np.where(number < 0, len(self.values), number) * self.states_per_value

        def with_values(block: RowBlock) -> NDArray[np.int64]:
            group = pairs.group[block.executions]
            return np.repeat(first[block.executions], group) + state_of(block)

        return with_values

    def values_of(self, pairs: TrainingPairs) -> NDArray[np.int64]:
        """Return the number of every row's context value; -1 where these counts lack it."""
        return np.repeat(self.values_of_executions(pairs), pairs.group)

    def values_of_executions(self, pairs: TrainingPairs) -> NDArray[np.int64]:
        """Return the number of every execution's context value; -1 where these counts lack it."""
        if self.by is None:
            return np.zeros(pairs.n_executions, dtype=np.int64)
        return _value_codes(pairs, self.by, self.values)


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
    position_of_state = np.arange(n_positions)
    if states == "last_click":
        position_of_state = np.repeat(position_of_state, position_of_state + 1)
    per_value = len(position_of_state)
    position_of_state = np.tile(position_of_state, len(values))
    packing, counted = KeyPacking(pairs, len(position_of_state)), CellCounts()
    state_of = _states(pairs, states, n_positions)
    value_of = None if by is None else _value_codes(pairs, by, values)
    for block in row_blocks(pairs):
        state = state_of(block)
        if value_of is not None:
            group = pairs.group[block.executions]
            state += np.repeat(value_of[block.executions], group) * per_value
        weight = pairs.weight[block.rows] if weighted else np.ones(len(state), dtype=np.float32)
        packed = packing.pack(query_documents_of(pairs, block), state)
        counted.add(packed, pairs.clicked[block.rows], weight)
    cells, shown, clicks, last = counted.cells
    order, key, cell_state = packing.ordered(cells)
    first = np.flatnonzero(np.diff(key, prepend=-1))
    sizes = np.diff(np.append(first, len(key)))
    return ClickCounts(
        document=np.repeat(np.arange(len(first)), sizes),
        state=cell_state,
        shown=shown[order],
        clicks=clicks[order],
        offsets=np.append(first, len(key)).astype(np.int64),
        row=np.maximum.reduceat(last[order], first),
        key=key[first],
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


def _states(pairs: TrainingPairs, states: StateName, n_positions: int) -> RowValues:
    """Return what gives the states of a block's rows, as int64."""

    def by_position(block: RowBlock) -> NDArray[np.int64]:
        return np.minimum(pairs.position[block.rows], n_positions - 1).astype(np.int64)

    def by_last_click(block: RowBlock) -> NDArray[np.int64]:
        group = pairs.group[block.executions]
        offsets = np.concatenate([[0], np.cumsum(group, dtype=np.int64)])
        state = np.empty(int(offsets[-1]), dtype=np.int64)
        unordered = last_click_states(
            offsets, pairs.position[block.rows], pairs.clicked[block.rows], n_positions, state
        )
        if unordered >= 0:
            execution = np.arange(pairs.n_executions)[block.executions][unordered]
            msg = (
                f"pairs.position: execution {execution} is not in the order of its positions, "
                'which states="last_click" needs. Load the log with load_pairs.'
            )
            raise InvalidInputError(msg)
        return state

    return by_position if states == "position" else by_last_click
