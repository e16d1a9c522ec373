"""Documents that were judged for a query and never shown for it, among those that were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .query_documents import QueryDocuments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from .feature_variants import FeatureVariants

    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class JudgedVariants:
    """The variants of a log with those of documents that were judged only.

    These have one variant each, no row of the pairs (`row` is -1), and no exposure.
    """

    variants: FeatureVariants
    X: NDArray[np.float32]  # shape (v, n_features)
    document: Integers  # shape (j,): document of every judgement; -1 where nothing is known of it

    def only(self, kept: NDArray[np.bool_]) -> JudgedVariants:
        """Return the kept variants, which hold all that were shown; `kept` has shape (v,)."""
        if kept.all():
            return self
        variants, documents = self.variants, self.variants.documents
        known = np.zeros(len(documents), dtype=bool)
        known[variants.document[kept]] = True
        place, document_place = (np.cumsum(each) - 1 for each in (kept, known))
        left = replace(
            variants,
            documents=QueryDocuments(
                of_row=document_place[documents.of_row],
                query=documents.query[known],
                row=documents.row[known],
            ),
            of_row=place[variants.of_row],
            document=document_place[variants.document[kept]],
            row=variants.row[kept],
        )
        used = (self.document >= 0) & known[self.document]
        return JudgedVariants(left, self.X[kept], np.where(used, document_place[self.document], -1))


def with_unshown(
    pairs: TrainingPairs, variants: FeatureVariants, X: NDArray[np.float32]
) -> JudgedVariants:
    """Add the judged documents that have features and were not shown.

    `variants`: of the pairs. `X`, shape (v, n_features): their features.
    """
    judgments = pairs.judgments
    if judgments is None:
        return JudgedVariants(variants, X, np.empty(0, np.int64))
    size = max(len(pairs.documents), 1)
    documents = variants.documents
    shown = documents.query * size + pairs.document_code[documents.row]
    judged = judgments.query_code.astype(np.int64) * size + judgments.document_code
    known = ~np.isnan(judgments.X).all(axis=1) & ~np.isin(judged, shown)
    new, first = np.unique(judged[known], return_index=True)
    keys = np.concatenate([shown, new])
    order = np.argsort(keys)
    place = np.empty(len(keys), np.int64)
    place[order] = np.arange(len(keys))
    document = np.concatenate([place[variants.document], place[len(shown) :]])
    by_document = np.argsort(document, kind="stable")
    moved = np.empty(len(document), np.int64)
    moved[by_document] = np.arange(len(document))
    none = np.full(len(new), -1)
    extended = replace(
        variants,
        documents=QueryDocuments(
            of_row=place[documents.of_row],
            query=keys[order] // size,
            row=np.concatenate([documents.row, none])[order],
        ),
        of_row=moved[variants.of_row],
        document=document[by_document],
        row=np.concatenate([variants.row, none])[by_document],
    )
    at = np.minimum(np.searchsorted(keys[order], judged), len(keys) - 1)
    return JudgedVariants(
        variants=extended,
        X=np.concatenate([X, judgments.X[known][first]])[by_document],
        document=np.where(keys[order][at] == judged, at, -1),
    )
