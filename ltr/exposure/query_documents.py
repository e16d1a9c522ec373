"""The documents of a log's queries: one entry for every (query, document).

A document that was shown for two queries has two entries: its relevance depends on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...datasets.counts.cells import CellIndex, add_at
from ...datasets.pairs.row_blocks import ROWS, query_documents_of, row_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.row_blocks import RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class QueryDocuments:
    """The distinct (query, document) of some pairs, ordered by query.

    n is the number of rows of the pairs, m that of the documents.
    """

    of_row: NDArray[np.integer]  # shape (n,): document of every row
    query: Integers  # shape (m,): query of every document, ascending
    # shape (m,): row that holds the document's features: that of its latest execution
    row: Integers

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.query)

    @property
    def group(self) -> Integers:
        """Documents of each query; shape (q,)."""
        return group_sizes(self.query)

    def total(self, values: Floats) -> Floats:
        """Sum values of rows over every document; shape (m,)."""
        return sums(self.of_row, values, len(self))

    def total_of(self, pairs: TrainingPairs, values: RowValues) -> Floats:
        """Sum values of the rows of the pairs over every document, block by block; shape (m,)."""
        return sums_of_rows(pairs, self.of_row, values, len(self))


def query_documents(pairs: TrainingPairs) -> QueryDocuments:
    """Return the documents of the pairs, in the order of `TrainingPairs.query_document`."""
    index = CellIndex()
    of_row = np.empty(len(pairs), dtype=np.int32)
    for block in row_blocks(pairs):
        of_row[block.rows] = index.add(query_documents_of(pairs, block))
    order = np.argsort(index.numbers)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order))
    # Executions are in the order of time: of the rows of a document, the one assigned last stays.
    row = np.empty(len(order), dtype=np.int64)
    for start in range(0, len(of_row), ROWS):
        part = place[of_row[start : start + ROWS]]
        of_row[start : start + ROWS] = part
        row[part] = np.arange(start, start + len(part))
    return QueryDocuments(
        of_row=of_row, query=index.numbers[order] // max(len(pairs.documents), 1), row=row
    )


def sums_of_rows(
    pairs: TrainingPairs, of_row: NDArray[np.integer], values: RowValues, size: int
) -> Floats:
    """Sum values of rows that belong to each of 0, ..., size - 1; as `sums`, block by block."""
    found = np.zeros(size)
    for block in row_blocks(pairs):
        add_at(of_row[block.rows], values(block).astype(np.float64, copy=False), found)
    return found


def sums(of: NDArray[np.integer], values: Floats, size: int) -> Floats:
    """Sum the values that belong to each of 0, ..., size - 1."""
    return np.bincount(of, weights=values, minlength=size).astype(np.float64, copy=False)


def group_sizes(query: Integers) -> Integers:
    """Return how many documents each query has, where they are ordered by query."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    return np.diff(np.append(starts, len(query)))
