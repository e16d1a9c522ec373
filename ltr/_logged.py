"""What a log says of every (query, document): how often it was shown, examined and rewarded.

From here on a document is one document of one query. The documents that a candidate can show for a
query are those that the log ever showed for it or, where a table of candidates is given, those of
the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..errors import InvalidInputError
from ._feature_table import is_pandas, is_table, series_from_pandas, to_polars

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..datasets.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

KEYS = ("query_id", "feature_id")


@dataclass(frozen=True)
class Documents:
    """The documents of the log's queries, ordered by query; d of them, in q queries.

    Attributes
    ----------
    of_row : ndarray of int64, shape (n,)
        Document of every row of the pairs.
    query : ndarray of int64, shape (d,)
        Query of every document, from 0.
    of_execution : ndarray of int64, shape (e,)
        Query of every execution.
    asked : ndarray of int64, shape (q,)
        Executions of every query.
    shown : ndarray of int64, shape (d,)
        Executions that showed the document.
    source : ndarray of int64, shape (d,), or None
        Row of the candidates that each document is; None where the log's own rows are the pool.
    source_rows : int
        Rows that a value for every document has to come with: of the candidates, else of the log.
    """

    of_row: Integers
    query: Integers
    of_execution: Integers
    asked: Integers
    shown: Integers
    source: Integers | None
    source_rows: int

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.query)

    @property
    def traffic(self) -> Floats:
        """Executions of every document's query; shape (d,)."""
        return self.asked[self.query].astype(np.float64)

    def total(self, values: Floats) -> Floats:
        """Sum values of rows over every document; shape (d,)."""
        return np.bincount(self.of_row, weights=values, minlength=len(self)).astype(np.float64)

    def checked(self, name: str, values: ArrayLike) -> Floats:
        """Return values for every row, of the candidates or else of the log, as float64."""
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (self.source_rows,) or not np.isfinite(array).all():
            where = "pairs" if self.source is None else "candidates"
            msg = (
                f"{name}: expected {self.source_rows} finite numbers, one for each row of {where}; "
                f"got shape {array.shape} with {int((~np.isfinite(array)).sum())} that are not "
                "finite"
            )
            raise InvalidInputError(msg)
        return array

    def per_document(self, name: str, values: ArrayLike) -> Floats:
        """Return one value for every document; over several rows of one document, their mean."""
        array = self.checked(name, values)
        if self.source is not None:
            return array[self.source]
        return self.total(array) / self.shown


def logged_documents(pairs: TrainingPairs, candidates: Any = None) -> Documents:
    """Return the documents of the pairs, or those of the candidates for the pairs' queries.

    Parameters
    ----------
    pairs : TrainingPairs
    candidates : table, optional
        Columns query_id and feature_id.

    Raises
    ------
    InvalidInputError
        If the table lacks a column, repeats a document of a query, or lacks one that was shown.
    """
    used, of_execution = np.unique(pairs.query_code, return_inverse=True)
    asked = np.bincount(of_execution)
    if candidates is None:
        keys, of_row = np.unique(pairs.query_document, return_inverse=True)
        query = np.searchsorted(used, keys // max(len(pairs.documents), 1))
        source, rows = None, len(pairs)
    else:
        table = _key_columns(candidates)
        of_row, query, source = _candidates(pairs, table, used)
        rows = len(table)
    return Documents(
        of_row=of_row,
        query=query,
        of_execution=of_execution,
        asked=asked,
        shown=np.bincount(of_row, minlength=len(query)),
        source=source,
        source_rows=rows,
    )


def _candidates(
    pairs: TrainingPairs, table: pl.DataFrame, used: NDArray[np.int32]
) -> tuple[Integers, Integers, Integers]:
    """Return the document of every row of the log, and query and table row of every document."""
    frame = table.with_row_index("row")
    queries = pl.DataFrame(
        {"query_id": pairs.queries.gather(used), "query": np.arange(len(used))}
    ).unique("query_id")
    documents = frame.join(queries, on="query_id", how="inner").sort("query", "feature_id")
    documents = documents.with_columns(document=pl.int_range(pl.len(), dtype=pl.Int64))
    repeated = documents.filter(pl.struct(*KEYS).is_duplicated())
    if len(repeated):
        one = repeated.row(0, named=True)
        msg = (
            f"candidates: {one['feature_id']!r} stands twice for the query {one['query_id']!r}; "
            "keep one row for each document of a query"
        )
        raise InvalidInputError(msg)
    rows = pl.DataFrame(
        {"query_id": pairs.query_id.gather(pairs.execution_index), "feature_id": pairs.document_id}
    ).join(documents, on=KEYS, how="left", maintain_order="left")
    missing = rows["document"].null_count()
    if missing:
        one = rows.filter(pl.col("document").is_null()).row(0, named=True)
        msg = (
            f"candidates: {missing} rows of the log show documents that are not in the table, such "
            f"as {one['feature_id']!r} for the query {one['query_id']!r}; add what was shown"
        )
        raise InvalidInputError(msg)
    return (
        rows["document"].to_numpy().astype(np.int64),
        documents["query"].to_numpy().astype(np.int64),
        documents["row"].to_numpy().astype(np.int64),
    )


def _key_columns(table: Any) -> pl.DataFrame:
    if not is_table(table):
        msg = (
            "candidates: expected a table with the columns query_id and feature_id, got "
            f"{type(table).__name__}"
        )
        raise InvalidInputError(msg)
    frame = table if is_pandas(table) else to_polars(table)
    absent = [name for name in KEYS if name not in frame.columns]
    if absent:
        msg = f"candidates: no column {absent[0]!r}; expected query_id and feature_id"
        raise InvalidInputError(msg)
    columns = {
        name: series_from_pandas(frame[name], name) if is_pandas(frame) else frame[name]
        for name in KEYS
    }
    return pl.DataFrame({name: column.cast(pl.String) for name, column in columns.items()})
