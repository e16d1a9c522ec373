"""The rows of a log that differ in query, document or feature values.

Features of a document may differ between executions: how much this user likes it, its price that
day. What a ranker is trained on are then the distinct (query, document, feature values), here
called the variants of a document. Where no feature differs, a document has one variant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ...datasets.pairs.array_storage import gathered
from ...datasets.pairs.row_blocks import row_blocks
from ...datasets.pairs.row_digests import row_digests
from .query_documents import QueryDocuments, query_documents, sums, sums_of_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.row_blocks import RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureVariants:
    """The distinct (query, document, feature values) of some pairs, ordered by document.

    n is the number of rows of the pairs, m that of the documents, v that of the variants.
    """

    documents: QueryDocuments
    of_row: NDArray[np.integer]  # shape (n,): variant of every row
    document: Integers  # shape (v,): document of every variant, ascending
    row: Integers  # shape (v,): last row with the variant
    # Features that differ between executions of one (query, document)
    varying: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of variants."""
        return len(self.row)

    @property
    def query(self) -> Integers:
        """Query of every variant; shape (v,)."""
        return self.documents.query[self.document]

    def total(self, values: Floats) -> Floats:
        """Sum values of rows over every variant; shape (v,)."""
        return sums(self.of_row, values, len(self))

    def total_of(self, pairs: TrainingPairs, values: RowValues) -> Floats:
        """Sum values of the rows of the pairs over every variant, block by block; shape (v,)."""
        return sums_of_rows(pairs, self.of_row, values, len(self))

    def as_documents(self, pairs: TrainingPairs) -> TrainingPairs:
        """Return the pairs with every variant as a document of its own."""
        if not self.varying:
            return pairs
        codes = pl.int_range(len(self), eager=True)
        return replace(pairs, document_code=self.of_row.astype(np.int32), documents=codes)


def feature_variants(pairs: TrainingPairs) -> FeatureVariants:
    """Return the variants of the documents of the pairs."""
    documents = query_documents(pairs)
    differs = np.zeros(pairs.X.shape[1], dtype=bool)
    latest = gathered(pairs.X, documents.row)
    for block in row_blocks(pairs):
        own = latest[documents.of_row[block.rows]]
        differs |= _different(pairs.X[block.rows], own).any(axis=0)
    if not differs.any():
        every = np.arange(len(documents))
        return FeatureVariants(documents, documents.of_row, every, documents.row)
    columns = np.flatnonzero(differs)
    varying = tuple(pairs.feature_names[i] for i in columns)
    return _distinct(documents, pairs.X[:, columns], varying)


def _distinct(documents: QueryDocuments, X: Matrix, varying: tuple[str, ...]) -> FeatureVariants:
    digest = row_digests(X)
    order = np.lexsort((digest, documents.of_row))
    document, digest = documents.of_row[order].astype(np.int64), digest[order]
    starts = np.append(True, (np.diff(document) != 0) | (digest[1:] != digest[:-1]))
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = np.cumsum(starts) - 1
    first = np.flatnonzero(starts)
    last = order[np.append(first[1:], len(order)) - 1]  # the sort is stable
    return FeatureVariants(documents, of_row, document[first], last, varying)


def _different(a: Matrix, b: Matrix) -> NDArray[np.bool_]:
    return np.asarray((a != b) & ~(np.isnan(a) & np.isnan(b)))
