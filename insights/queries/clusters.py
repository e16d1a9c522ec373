"""Queries that lead to the same documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ...datasets.counts.cells import index_cells, sum_by
from ..statistics.shrunk_rates import prior_strength

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from ..searches.searches import Searches

    Floats = NDArray[np.float64]

MIN_ENGAGED: Final = 3
"""Engagements below which a query stays by itself."""

MAX_QUERIES_OF_DOCUMENT: Final = 300
"""Documents that more queries lead to say little of any, and cost the square of them."""

_MAX_STRENGTH: Final = 100.0
_BLOCK: Final = 2_000


def cluster_queries(
    searches: Searches, examination: Floats, order: NDArray[np.int64], similarity: float
) -> NDArray[np.int64]:
    """Return the cluster of every query: the code of the query that leads it; shape (q,).

    A query is the vector of its documents' engagement over examination, ``C / (E + k)``, so that
    neither single clicks nor high positions rule, times ``log(1 + q / queries of the document)``.
    In the given order a query joins the leader with the highest cosine of at least `similarity`,
    or leads a cluster itself. Nothing is random.

    `examination`, shape (n,). `order`, shape (q,): queries, those first that may lead.
    """
    leader = np.arange(len(order), dtype=np.int64)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    vectors = _vectors(searches, examination, order)
    leads = np.zeros(len(order), np.bool_)  # by rank
    for place, near, cosine in _neighbours(vectors, similarity):
        usable = near[leads[near]]
        if not len(usable):
            leads[place] = True
            continue
        best = usable[np.lexsort((usable, -cosine[leads[near]]))[0]]
        leader[order[place]] = order[best]
    return leader


def _vectors(searches: Searches, examination: Floats, order: NDArray[np.int64]) -> sparse.csr_array:
    """Return the vectors of the queries in their order; those with too few engagements are 0."""
    from scipy import sparse

    displays, n = searches.displays, len(order)
    query = searches.query.codes[displays.search]
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    chosen = np.flatnonzero((examination > 0) & (query >= 0))
    n_documents = max(len(displays.document.texts), 1)
    packed = rank[query[chosen]] * n_documents + displays.document.codes[chosen]
    cell, first = index_cells(packed.astype(np.uint64))
    clicks = sum_by(cell, displays.engaged[chosen].astype(np.float64), len(first))
    seen = sum_by(cell, examination[chosen], len(first))
    row, column = np.divmod(packed[first], n_documents)
    mean = np.full(len(first), clicks.sum() / max(seen.sum(), 1e-300))
    strength = min(prior_strength(clicks, seen, mean), _MAX_STRENGTH)
    engaged = sum_by(row, clicks, n)
    of_document = np.bincount(column[clicks > 0], minlength=n_documents)
    used = (clicks > 0) & (engaged[row] >= MIN_ENGAGED)
    used &= of_document[column] <= MAX_QUERIES_OF_DOCUMENT
    row, column = row[used], column[used]
    value = clicks[used] / (seen[used] + strength) * np.log1p(n / of_document[column])
    length = np.sqrt(sum_by(row, value**2, n))
    shape = (n, n_documents)
    return sparse.csr_array((value / length[row], (row, column)), shape=shape)


def _neighbours(
    vectors: sparse.csr_array, similarity: float
) -> Iterator[tuple[int, NDArray[np.int64], Floats]]:
    """Yield every row with the earlier rows that are similar to it, and their cosines."""
    columns = vectors.T.tocsr()
    for start in range(0, vectors.shape[0], _BLOCK):
        products = (vectors[start : start + _BLOCK] @ columns).tocsr()
        for i in range(products.shape[0]):
            part = slice(products.indptr[i], products.indptr[i + 1])
            near, cosine = products.indices[part].astype(np.int64), products.data[part]
            close = (near < start + i) & (cosine >= similarity)
            yield start + i, near[close], cosine[close]
