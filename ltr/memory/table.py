"""The sums of every query laid out for serving: one search for a query, one for each document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .sums import pair_keys, without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .judged import JudgedSums
    from .sums import QueryDocumentSums


class MemoryTable(NamedTuple):
    """q queries and m documents of queries; 20 bytes for each of either, 28 with judgements."""

    query: NDArray[np.uint64]  # shape (q,): ascending
    start: NDArray[np.int64]  # shape (q + 1,): first document of each query, and m
    impressions: NDArray[np.float32]  # shape (q,)
    document: NDArray[np.uint64]  # shape (m,): ascending within a query
    clicks: NDArray[np.float32]  # shape (m,): C
    exposure: NDArray[np.float32]  # shape (m,): E
    prior: NDArray[np.float32]  # shape (m,): p by the mean of the logged scores
    # shape (m,), or (0,) without judgements: clicks and examinations that these count as
    judged_clicks: NDArray[np.float32]
    judged_exposure: NDArray[np.float32]

    def judged_at(self, row: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return what judgements of rows count as: clicks and examinations, 0 without any."""
        if not len(self.judged_clicks):
            return 0.0, 0.0
        return self.judged_clicks[row], self.judged_exposure[row]

    @property
    def of_document(self) -> NDArray[np.int64]:
        """Number of the query of every document; shape (m,)."""
        return np.repeat(np.arange(len(self.query)), np.diff(self.start))

    def rows(self, query: int, documents: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of documents of a query, -1 where it has none."""
        start, end = int(self.start[query]), int(self.start[query + 1])
        own = self.document[start:end]
        if not len(own):
            return np.full(len(documents), -1)
        place = own.searchsorted(documents)
        np.minimum(place, end - start - 1, out=place)
        return np.where(own[place] == documents, place + start, -1)

    def rows_of(
        self, query: NDArray[np.uint64], document: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the number of many queries, and the row of a document of each; -1 where absent."""
        place = np.minimum(self.query.searchsorted(query), max(len(self.query) - 1, 0))
        found = self.query[place] == query if len(self.query) else np.zeros(len(query), bool)
        number = np.where(found, place, -1)
        keys = pair_keys(self.query[self.of_document], self.document)
        order = np.argsort(keys)
        at = np.minimum(keys[order].searchsorted(pair_keys(query, document)), max(len(keys) - 1, 0))
        row = order[at] if len(keys) else np.zeros(len(query), np.int64)
        known = found & (self.document[row] == document) if len(keys) else found
        return number, np.where(known, row, -1)

    def find(self, query: int) -> int | None:
        """Return the number of a query; None where it was never logged."""
        place = int(self.query.searchsorted(np.uint64(query)))
        return place if place < len(self.query) and int(self.query[place]) == query else None


class LeftOut(NamedTuple):
    """What did not fit into a table."""

    queries: int
    documents: int


def limited(
    sums: QueryDocumentSums, max_queries: int | None, max_documents: int | None
) -> tuple[QueryDocumentSums, LeftOut]:
    """Return the sums of the queries with the most impressions, of each those most examined.

    Ties go to the lower id, so that what is left out depends on the sums alone.
    """
    drop_queries = np.zeros(len(sums.queries), dtype=bool)
    if max_queries is not None and len(sums.queries) > max_queries:
        order = np.lexsort((sums.queries, -sums.impressions))
        drop_queries[order[max_queries:]] = True
    place = sums.queries.searchsorted(sums.query)
    drop = drop_queries[place]
    sizes = np.bincount(place, minlength=len(sums.queries))
    if max_documents is not None and sizes.max(initial=0) > max_documents:
        order = np.lexsort((sums.document, -sums.exposure, place))
        first = np.cumsum(sizes) - sizes
        drop[order] |= np.arange(len(order)) - first[place[order]] >= max_documents
    if not drop.any() and not drop_queries.any():
        return sums, LeftOut(0, 0)
    left_out = LeftOut(int(drop_queries.sum()), int(drop.sum()))
    return without(sums, drop, drop_queries), left_out


def table_of(
    sums: QueryDocumentSums, prior: NDArray[np.float64], judged: JudgedSums | None
) -> MemoryTable:
    """Return the table of sums, with the prior of each of their rows, and judgements."""
    judged_columns = [np.zeros(0)] * 2 if judged is None else judged
    return MemoryTable(
        sums.queries,
        np.append(sums.query.searchsorted(sums.queries), len(sums.query)).astype(np.int64),
        sums.impressions.astype(np.float32),
        sums.document,
        sums.clicks.astype(np.float32),
        sums.exposure.astype(np.float32),
        prior.astype(np.float32),
        *(column.astype(np.float32) for column in judged_columns),
    )
