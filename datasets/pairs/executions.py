"""Which execution every row belongs to, and what is known of each execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from ..record.inferred_executions import infer_executions, inferred_id
from ..record.query_keys import digest_of, query_key_of
from .fold import NO_TIME, earliest_values, first_times
from .row_reader import SNAPSHOT, LogRows
from .text_codes import alphabetical_codes, inverse, ranks, recode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray


@dataclass
class Executions:
    """Executions of a log; arrays of length e are in the final order, by time and then by id.

    Attributes
    ----------
    of_row : ndarray of int32, shape (n,)
        Code of every row's execution, -1 where it has none.
    rank : ndarray of int32, shape (e,)
        Place of every code in the final order.
    inferred_from : int
        Codes from this one on are executions inferred from session and query.
    ids : polars.Series of String, length e
    first_time : ndarray of int64, shape (e,)
        Microseconds, `NO_TIME` where no row has a time.
    query_code : ndarray of int32, shape (e,)
        Index into `queries`.
    query_of_text : ndarray of int32
        Index into `queries` of every distinct text of the query column.
    queries : polars.Series of String
    own_queries_from : int
        Queries from this one on stand for one execution each, of which no row names a query.
    user : ndarray of int32, shape (e,)
        Code of the user that the earliest row with one names, -1 where none does.
    rows_given_query : int
        Rows without a query of which another row of their execution names one.
    context : dict of str to polars.Series of String, length e
    """

    of_row: NDArray[np.int32]
    rank: NDArray[np.int32]
    inferred_from: int
    ids: pl.Series
    first_time: NDArray[np.int64]
    query_code: NDArray[np.int32]
    query_of_text: NDArray[np.int32]
    queries: pl.Series
    user: NDArray[np.int32]
    own_queries_from: int
    rows_given_query: int
    context: dict[str, pl.Series]


def find_executions(
    rows: LogRows,
    *,
    context: Sequence[str] = (),
    query_key: Callable[[Any], str] | str | None = None,
) -> Executions:
    """Assign rows to executions and describe each execution by its earliest rows."""
    column = query_key if isinstance(query_key, str) else SNAPSHOT
    query_of_text, queries = query_codes(rows.texts[column], query_key)
    own = len(rows.texts["execution_id"])
    query = recode(rows.codes[column][rows.without_execution], query_of_text)
    of_row, ids = _with_inferred(rows, query, queries)
    if len(rows.joined):
        of_row = of_row.copy()
        of_row[rows.joined[:, 0]] = of_row[rows.joined[:, 1]]
    first_time = first_times(of_row, rows.time, len(ids))
    order = execution_order(first_time, ids)
    ids = ids.gather(order).alias("execution_id")

    def earliest(name: str, rank: NDArray[np.int32]) -> NDArray[np.int32]:
        return earliest_values(of_row, rows.time, rows.codes[name], rank, len(order))[order]

    rank = inverse(order)
    query_code = recode(earliest(column, query_of_text), query_of_text)
    named, rows_given = len(queries), _rows_given(rows.codes[column], of_row, query_code[rank])
    query_code, queries = own_where_missing(query_code, queries, ids)
    return Executions(
        of_row=of_row,
        rank=rank,
        inferred_from=own,
        ids=ids,
        first_time=first_time[order],
        query_code=query_code,
        query_of_text=query_of_text,
        queries=queries,
        user=_users(rows, of_row, len(order))[order],
        own_queries_from=named,
        rows_given_query=rows_given,
        context={
            name: _texts_of(earliest(name, ranks(rows.texts[name])), rows.texts[name], name)
            for name in context
        },
    )


def query_codes(
    texts: pl.Series, query_key: Callable[[Any], str] | str | None
) -> tuple[NDArray[np.int32], pl.Series]:
    """Return the query of every distinct text, and the distinct query ids, sorted."""
    ids = texts
    if not isinstance(query_key, str):
        key = query_key_of(query_key)
        ids = pl.Series([key(snapshot) for snapshot in texts.to_list()], dtype=pl.String)
    return alphabetical_codes(ids)


def _with_inferred(
    rows: LogRows, query: NDArray[np.int32], queries: pl.Series
) -> tuple[NDArray[np.int32], pl.Series]:
    """Infer the execution of rows without an execution_id from their session and query.

    `query` belongs to `LogRows.without_execution`.
    """
    of_row, ids = rows.codes["execution_id"], rows.texts["execution_id"]
    known = (rows.session >= 0) & (query >= 0)
    if not known.any():
        return of_row, ids
    without, session, query = rows.without_execution[known], rows.session[known], query[known]
    time = rows.time[without]
    inferred, first = infer_executions(session.astype(np.int64) * len(queries) + query, time)
    of_row = of_row.copy()
    of_row[without] = len(ids) + inferred
    names = map(
        inferred_id,
        rows.texts["session_id"].gather(session[first]),
        map(digest_of, queries.gather(query[first])),
        [None if start == NO_TIME else start for start in time[first].tolist()],
    )
    return of_row, pl.concat([ids, pl.Series(list(names), dtype=pl.String)])


class Texts(Protocol):
    """Texts that are read by number: a series, or what lies on disk."""

    def gather(self, indices: NDArray[np.int64], /) -> pl.Series:
        """Return the texts of some numbers."""
        ...


def execution_order(first_time: NDArray[np.int64], ids: Texts) -> NDArray[np.int64]:
    """Return executions by time, then by id; text is compared only where times tie."""
    order = np.argsort(first_time, kind="stable")
    ordered = first_time[order]
    tied = np.zeros(len(order), np.bool_)
    tied[1:] = ordered[1:] == ordered[:-1]
    tied[:-1] |= tied[1:]
    at = np.flatnonzero(tied)
    if len(at):
        chosen = pl.DataFrame({"time": ordered[at], "id": ids.gather(order[at])})
        within = chosen.select(pl.arg_sort_by("time", "id")).to_series().to_numpy()
        order[at] = order[at][within]
    return order


def _users(rows: LogRows, of_row: NDArray[np.int32], executions: int) -> NDArray[np.int32]:
    texts = rows.texts["user_id"]
    if texts.is_empty() or not len(rows.user):
        return np.full(executions, -1, np.int32)
    return earliest_values(of_row, rows.time, rows.user - np.int32(1), ranks(texts), executions)


def _rows_given(
    query: NDArray[np.int32], of_row: NDArray[np.int32], query_of: NDArray[np.int32]
) -> int:
    """Return how many rows without a query (-1) belong to an execution that has one."""
    execution = of_row[query < 0]
    return int((query_of[execution[execution >= 0]] >= 0).sum())


def own_where_missing(
    code: NDArray[np.int32], queries: pl.Series, ids: Texts
) -> tuple[NDArray[np.int32], pl.Series]:
    """Make an execution without a snapshot a query of its own."""
    without = np.flatnonzero(code < 0)
    if not len(without):
        return code, queries
    code[without] = len(queries) + np.arange(len(without), dtype=np.int32)
    own = pl.select(pl.lit("execution:") + ids.gather(without)).to_series()
    return code, pl.concat([queries, own.alias(queries.name)])


def _texts_of(codes: NDArray[np.int32], texts: pl.Series, name: str) -> pl.Series:
    """Return the text of every code, null for -1."""
    known = pl.Series(codes).cast(pl.Int64)
    return texts.gather(pl.select(pl.when(known >= 0).then(known)).to_series()).alias(name)
