"""How often a log showed each document that a candidate can show.

The documents that a candidate can show for a query are those that the log ever showed for it or,
where a table of candidates is given, those of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..exposure.query_documents import QueryDocuments, query_documents
from ..features.matrix import is_pandas, is_table, series_from_pandas, to_polars

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

KEYS = ("query_id", "feature_id")


@dataclass(frozen=True)
class LoggedDocuments:
    """The documents that a candidate can show for the log's queries; m of them, in q queries."""

    # Queries are numbered from 0. Row is -1 for a candidate that the log never showed.
    documents: QueryDocuments
    query_of_execution: Integers  # shape (e,)
    executions_of_query: Integers  # shape (q,)
    shown: Integers  # shape (m,): executions that showed the document
    # shape (m,): row of the candidates that each document is; None without a table of candidates
    source: Integers | None
    # Length of an array with a value for every document: rows of the candidates, else of the log
    source_rows: int

    @property
    def executions(self) -> Floats:
        """Executions of every document's query; shape (m,)."""
        return self.executions_of_query[self.documents.query].astype(np.float64)

    @property
    def group(self) -> Integers:
        """Documents of every query; shape (q,)."""
        return np.bincount(self.documents.query, minlength=len(self.executions_of_query))

    def mean_over_executions(self, values: Floats) -> Floats:
        """Sum values of rows over every document, over the executions of its query; shape (m,)."""
        return self.documents.total(values) / self.executions

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
        return self.documents.total(array) / self.shown


def logged_documents(pairs: TrainingPairs, candidates: Any = None) -> LoggedDocuments:
    """Return the documents of the pairs, or those of the candidates for the pairs' queries.

    `candidates`: columns query_id and feature_id. Raises InvalidInputError if the table lacks a
    column, repeats a document of a query, or lacks one that was shown.
    """
    used, query_of_execution = np.unique(pairs.query_code, return_inverse=True)
    if candidates is None:
        documents = query_documents(pairs)
        documents = replace(documents, query=np.searchsorted(used, documents.query))
        source, rows = None, len(pairs)
    else:
        table = _key_columns(candidates)
        documents, source = _candidates(pairs, table, used)
        rows = len(table)
    return LoggedDocuments(
        documents=documents,
        query_of_execution=query_of_execution,
        executions_of_query=np.bincount(query_of_execution),
        shown=np.bincount(documents.of_row, minlength=len(documents)),
        source=source,
        source_rows=rows,
    )


def _candidates(
    pairs: TrainingPairs, table: pl.DataFrame, used: NDArray[np.int32]
) -> tuple[QueryDocuments, Integers]:
    """Return the candidates for the log's queries, and the table row of each."""
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
            f"candidates: {one['feature_id']!r} occurs twice for the query {one['query_id']!r}; "
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
    of_row = rows["document"].to_numpy().astype(np.int64)
    latest = np.full(len(documents), -1)
    np.maximum.at(latest, of_row, np.arange(len(of_row)))
    query = documents["query"].to_numpy().astype(np.int64)
    return QueryDocuments(of_row, query, latest), documents["row"].to_numpy().astype(np.int64)


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
