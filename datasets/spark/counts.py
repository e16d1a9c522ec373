"""Counts of clicks and impressions, summed by Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..counts.click_counts import ClickCounts, state_number
from ..pairs.executions import execution_order
from ..pairs.text_codes import index_among
from .collected import all_texts, collect, micros
from .result_rows import EXECUTION, PAIR

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from ..counts.click_counts import StateName
    from .facts import Facts


@dataclass(frozen=True)
class CellColumns:
    """The counts that are wanted.

    Attributes
    ----------
    states : {"position", "last_click"}
    by : str or None
        Column of the rows that holds the context.
    weight : str or None
        Expression of the weight of a row; None: every row counts once.
    n_positions : int
        Deeper positions count as the last.
    """

    states: StateName
    by: str | None
    weight: str | None
    n_positions: int

    def cells(self, rows: DataFrame) -> DataFrame:
        """Return the sums of `shown` and `clicks` by query, document, context and state."""
        position = f"least(position, {self.n_positions - 1})"
        weight = self.weight or "1L"
        keys = ["query_id", "has_query", "document_id", "position"]
        columns = [
            "query_id",
            "has_query",
            "document_id",
            f"{position} AS position",
            f"{weight} AS shown",
            f"CASE WHEN clicked THEN {weight} ELSE {weight} * 0 END AS clicks",
            f"{micros('time')} AS first_time",
        ]
        if self.states == "last_click":
            # A click at a position that shares the last state is above that state's position.
            columns.append(f"least(coalesce(last_click, -1), {position} - 1) AS last_click")
            keys.append("last_click")
        if self.by is not None:
            columns.append(f"coalesce({self.by}, '') AS context")
            keys.append("context")
        summed = (
            rows.filter(f"kind = '{PAIR}'")
            .selectExpr(*columns)
            .groupBy(*keys)
            .agg({"shown": "sum", "clicks": "sum", "first_time": "min"})
        )
        return summed.selectExpr(
            *keys,
            "`sum(shown)` AS shown",
            "`sum(clicks)` AS clicks",
            "`min(first_time)` AS first_time",
        )


def collect_counts(
    rows: DataFrame, columns: CellColumns, by: str | None, facts: Facts
) -> ClickCounts:
    """Return the counts on the driver; `by`: name of the column of context."""
    cells = collect(columns.cells(rows))
    dropped = collect(
        rows.filter(f"kind = '{EXECUTION}' AND NOT has_query").selectExpr(
            "query_id", f"{micros('time')} AS first_time"
        )
    )
    query, queries = _query_codes(cells, dropped, facts)
    documents = all_texts(cells["document_id"], facts.texts.get("documents", []))
    document = index_among(cells["document_id"], documents)
    key = query * max(len(documents), 1) + document
    position_of_state = np.arange(columns.n_positions)
    last_click: NDArray[np.int64] | int = -1
    if columns.states == "last_click":
        position_of_state = np.repeat(position_of_state, position_of_state + 1)
        last_click = cells["last_click"].cast(pl.Int64).to_numpy()
    position = cells["position"].cast(pl.Int64).to_numpy()
    state = state_number(columns.states, position, last_click, columns.n_positions)
    values = ("",)
    if by is not None:
        values = tuple(cells["context"].unique().sort().to_list())
        number = index_among(cells["context"], pl.Series(values))
        state = state + number * len(position_of_state)
    order = np.lexsort((state, key))
    keys, first = np.unique(key[order], return_index=True)
    offsets = np.append(first, len(key)).astype(np.int64)
    return ClickCounts(
        document=np.repeat(np.arange(len(keys)), np.diff(offsets)),
        state=state[order],
        shown=cells["shown"].cast(pl.Float64).to_numpy()[order],
        clicks=cells["clicks"].cast(pl.Float64).to_numpy()[order],
        offsets=offsets,
        row=np.full(len(keys), -1),
        key=keys,
        states=columns.states,
        by=by,
        values=values,
        position_of_state=np.tile(position_of_state, len(values)),
        n_positions=columns.n_positions,
        queries=queries,
        documents=documents,
    )


def _query_codes(
    cells: pl.DataFrame, dropped: pl.DataFrame, facts: Facts
) -> tuple[NDArray[np.int64], pl.Series]:
    """Return the query of every cell, and all queries in the order that pairs have them.

    Executions without a query follow the queries that are named, in the order of the executions.
    """
    has_query = cells["has_query"]
    named = all_texts(cells["query_id"].filter(has_query), facts.texts.get("queries", []))
    first = pl.concat([cells.filter(~has_query).select(dropped.columns), dropped])
    own = first.group_by("query_id").agg(pl.col("first_time").min())
    own = own[execution_order(own["first_time"].to_numpy(), own["query_id"])]
    of_own = len(named) + index_among(cells["query_id"], own["query_id"])
    code = np.where(has_query.to_numpy(), index_among(cells["query_id"], named), of_own)
    return code, pl.concat([named, own["query_id"].alias(named.name)])
