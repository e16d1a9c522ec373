"""Guards against negatives that are relevant: engaged with under related queries, near-duplicates.

Two queries are related where the documents that users engaged with under them overlap: the cosine
of their sets is at least `RELATED`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Matrix = sparse.csr_array[Any, tuple[int, int]]

RELATED: Final = 0.5
"""Cosine of two queries' sets of engaged documents from which they count as related."""

COMMON: Final = 100
"""Queries from which on a document says nothing of how they are related."""

BLOCK: Final = 20_000
"""Queries that are compared with all others at a time."""

_PAIRS: Final = 500_000


def engaged_under_related_queries(
    query: Integers, document: Integers, engaged: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which (query, document) are engaged with under another query that is related.

    Parameters
    ----------
    query, document : ndarray of int64, shape (m,)
        Codes; ascending by query, each pair once.
    engaged : ndarray of bool, shape (m,)

    Examples
    --------
    >>> query, document = np.array([0, 0, 0, 1, 1, 1]), np.array([7, 8, 9, 7, 8, 9])
    >>> engaged = np.array([True, True, False, True, True, True])
    >>> engaged_under_related_queries(query, document, engaged)
    array([ True,  True,  True,  True,  True, False])
    """
    q, d = np.unique(query, return_inverse=True)[1], np.unique(document, return_inverse=True)[1]
    found = np.zeros(len(query), np.bool_)
    if not engaged.any():
        return found
    shape = (int(q[-1]) + 1, int(d.max()) + 1)
    sets = sparse.csr_array((np.ones(int(engaged.sum())), (q[engaged], d[engaged])), shape)
    similar = _unit_rows(sets, np.bincount(d[engaged], minlength=shape[1]) < COMMON)
    everywhere = similar.T.tocsr()
    # Columns of the product are documents: look each (query, document) up by its flat number.
    starts = np.searchsorted(q, np.arange(0, shape[0] + BLOCK, BLOCK))
    for block, (low, high) in enumerate(pairwise(starts)):
        first = block * BLOCK
        related = _related(similar[first : first + BLOCK], everywhere, first)
        reached = (related @ sets).tocsr()
        reached.sort_indices()
        rows = np.repeat(np.arange(reached.shape[0]), np.diff(reached.indptr))
        flat = rows * np.int64(shape[1]) + reached.indices
        wanted = (q[low:high] - first) * np.int64(shape[1]) + d[low:high]
        found[low:high] = _is_in(wanted, flat)
    return found


def _unit_rows(sets: Matrix, informative: NDArray[np.bool_]) -> Matrix:
    """Return the sets without documents that are common, each of length 1."""
    chosen = (sets @ sparse.diags_array(informative.astype(np.float64))).tocsr()
    chosen.eliminate_zeros()
    length = np.sqrt(np.maximum(chosen.sum(axis=1), 1))
    return (sparse.diags_array(1 / length) @ chosen).tocsr()


def _related(rows: Matrix, everywhere: Matrix, first: int) -> Matrix:
    """Return 1 for every related query of a block of queries but themselves."""
    cosine = (rows @ everywhere).tocoo()
    kept = (cosine.data > RELATED - 1e-9) & (cosine.row + first != cosine.col)
    ones = np.ones(int(kept.sum()))
    return sparse.csr_array((ones, (cosine.row[kept], cosine.col[kept])), cosine.shape)


def _is_in(wanted: Integers, ordered: Integers) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.asarray(ordered[at] == wanted)


@dataclass(frozen=True)
class TextSimilarity:
    """How much the texts of documents have in common."""

    terms: Matrix  # shape (documents, terms): 1 for every term of a document
    size: NDArray[np.float64]  # shape (documents,): distinct terms

    def jaccard(self, left: Integers, right: Integers) -> NDArray[np.float64]:
        """Return the Jaccard coefficient of the terms of each two documents.

        Examples
        --------
        >>> texts = pl.Series(["Red shoes, size 42", "red SHOES size 42!", "Blue hat"])
        >>> similarity = text_similarity(texts)
        >>> similarity.jaccard(np.array([0, 0]), np.array([1, 2]))
        array([1., 0.])
        """
        shared = np.empty(len(left))
        for start in range(0, len(left), _PAIRS):
            block = slice(start, start + _PAIRS)
            both = self.terms[left[block]].multiply(self.terms[right[block]])
            shared[block] = both.sum(axis=1)
        union = self.size[left] + self.size[right] - shared
        return np.divide(shared, union, out=np.zeros(len(left)), where=union > 0)


def text_similarity(texts: pl.Series) -> TextSimilarity:
    """Return the terms of texts: their distinct words and pairs of neighbouring words.

    Case and punctuation are passed over. A text without words has no terms.
    """
    words = (
        pl.DataFrame({"document": np.arange(len(texts)), "word": texts})
        .with_columns(pl.col("word").str.to_lowercase().str.extract_all(r"\w+"))
        .explode("word", empty_as_null=False, keep_nulls=False)
    )
    following = pl.col("word").shift(-1).over("document")
    pairs = words.with_columns(word=pl.col("word") + " " + following).drop_nulls()
    terms = pl.concat([words, pairs]).unique(maintain_order=True)
    code = terms["word"].rank("dense").cast(pl.Int64).to_numpy() - 1
    document = terms["document"].to_numpy()
    shape = (len(texts), int(code.max(initial=-1)) + 1)
    matrix = sparse.csr_array((np.ones(len(code)), (document, code)), shape)
    return TextSimilarity(matrix, np.asarray(matrix.sum(axis=1), np.float64))
