"""Which execution every row belongs to, and what is known of each execution."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ._codes import alphabetical_codes, inverse, ranks, recode
from ._grouping import NO_TIME, earliest_values, first_times
from ._rows import SNAPSHOT, LogRows
from .query_keys import query_key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from numpy.typing import NDArray

SESSION_GAP: Final = 30 * 60 * 1_000_000
"""Microseconds after which the same query of the same session is another execution."""


@dataclass
class Executions:
    """Executions of a log. What is known of each stands in the final order: by time, then by id.

    Attributes
    ----------
    of_row : ndarray of int32, shape (n,)
        Code of every row's execution, -1 where it has none.
    rank : ndarray of int32, shape (e,)
        Place of every code in the final order.
    stand_ins_from : int
        From this code on session and query stood in for a missing execution_id.
    ids : polars.Series of String, length e
    first_time : ndarray of int64, shape (e,)
        Microseconds, `NO_TIME` where no row has a time.
    query_code : ndarray of int32, shape (e,)
        Index into `queries`.
    queries : polars.Series of String
    context : dict of str to polars.Series of String, length e
    """

    of_row: NDArray[np.int32]
    rank: NDArray[np.int32]
    stand_ins_from: int
    ids: pl.Series
    first_time: NDArray[np.int64]
    query_code: NDArray[np.int32]
    queries: pl.Series
    context: dict[str, pl.Series]


def find_executions(
    rows: LogRows,
    *,
    context: Sequence[str] = (),
    query_key: Callable[[Any], str] | str | None = None,
) -> Executions:
    """Assign rows to executions and describe each execution by its earliest rows."""
    column = query_key if isinstance(query_key, str) else SNAPSHOT
    query_of_text, queries = _queries(rows.texts[column], query_key)
    own = len(rows.texts["execution_id"])
    query = recode(rows.codes[column][rows.without_execution], query_of_text)
    of_row, ids = _with_stand_ins(rows, query, queries)
    first_time = first_times(of_row, rows.time, len(ids))
    order = _order(first_time, ids)
    ids = ids.gather(order).alias("execution_id")

    def earliest(name: str, rank: NDArray[np.int32]) -> NDArray[np.int32]:
        return earliest_values(of_row, rows.time, rows.codes[name], rank, len(order))[order]

    query_code, queries = _own_where_missing(
        recode(earliest(column, query_of_text), query_of_text), queries, ids
    )
    return Executions(
        of_row=of_row,
        rank=inverse(order),
        stand_ins_from=own,
        ids=ids,
        first_time=first_time[order],
        query_code=query_code,
        queries=queries,
        context={
            name: _texts_of(earliest(name, ranks(rows.texts[name])), rows.texts[name], name)
            for name in context
        },
    )


def _queries(
    texts: pl.Series, query_key: Callable[[Any], str] | str | None
) -> tuple[NDArray[np.int32], pl.Series]:
    """Return the query of every distinct text, and the distinct query ids, sorted."""
    ids = texts
    if not isinstance(query_key, str):
        key = query_key_of(query_key)
        ids = pl.Series([key(snapshot) for snapshot in texts.to_list()], dtype=pl.String)
    return alphabetical_codes(ids)


def _with_stand_ins(
    rows: LogRows, query: NDArray[np.int32], queries: pl.Series
) -> tuple[NDArray[np.int32], pl.Series]:
    """Give rows without an execution_id one by (session, query) within a 30-minute gap.

    `query` belongs to `LogRows.without_execution`.
    """
    of_row, ids = rows.codes["execution_id"], rows.texts["execution_id"]
    known = (rows.session >= 0) & (query >= 0)
    if not known.any():
        return of_row, ids
    without, session, asked = rows.without_execution[known], rows.session[known], query[known]
    time = rows.time[without]
    order = np.lexsort((time, asked, session))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(session[order]) != 0) | (np.diff(asked[order]) != 0)
    new[1:] |= np.diff(time[order]) > SESSION_GAP
    of_row = of_row.copy()
    of_row[without[order]] = len(ids) + np.cumsum(new) - 1
    starts = order[new]
    made_up = _stand_in_ids(
        rows.texts["session_id"].gather(session[starts]),
        queries.gather(asked[starts]),
        time[starts],
    )
    return of_row, pl.concat([ids, made_up])


def _stand_in_ids(sessions: pl.Series, queries: pl.Series, starts: NDArray[np.int64]) -> pl.Series:
    """Name executions by what made them, so that another load gives the same names."""
    return pl.Series(
        [
            f"session:{session}:{hashlib.blake2b(query.encode(), digest_size=8).hexdigest()}:"
            + ("" if start == NO_TIME else str(start))
            for session, query, start in zip(sessions, queries, starts.tolist(), strict=True)
        ],
        dtype=pl.String,
    )


def _order(first_time: NDArray[np.int64], ids: pl.Series) -> NDArray[np.int64]:
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


def _own_where_missing(
    code: NDArray[np.int32], queries: pl.Series, ids: pl.Series
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
