"""The documents of a log's queries: one entry for every (query, document).

A document that was shown for two queries has two entries: its relevance depends on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class QueryDocuments:
    """The distinct (query, document) of some pairs, ordered by query.

    n is the number of rows of the pairs, m that of the documents.
    """

    of_row: Integers  # shape (n,): document of every row
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


def query_documents(pairs: TrainingPairs) -> QueryDocuments:
    """Return the documents of the pairs, in the order of `TrainingPairs.query_document`."""
    order = np.argsort(pairs.query_document, kind="stable")
    key = pairs.query_document[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    of_row = np.empty(len(key), dtype=np.int64)
    of_row[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(key))))
    return QueryDocuments(
        of_row=of_row,
        query=key[starts] // max(len(pairs.documents), 1),
        # Executions are in the order of time and the sort is stable.
        row=order[np.append(starts[1:], len(order)) - 1] if len(order) else order,
    )


def sums(of: Integers, values: Floats, size: int) -> Floats:
    """Sum the values that belong to each of 0, ..., size - 1."""
    return np.bincount(of, weights=values, minlength=size).astype(np.float64, copy=False)


def group_sizes(query: Integers) -> Integers:
    """Return how many documents each query has, where they are ordered by query."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    return np.diff(np.append(starts, len(query)))
