"""Similarity of documents within the strongest directions of taste."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import svds

from .dense_blocks import BLOCK, largest_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse


def low_rank_bytes(n_users: int, n_documents: int, rank: int) -> int:
    """Return the memory that `low_rank_weights` takes beside a copy of its input."""
    return 8 * (3 * rank * (n_users + n_documents) + 3 * BLOCK * n_documents)


def low_rank_weights(
    vectors: sparse.csr_matrix, rank: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return columns and values, shape (documents, k), of the k weights furthest from 0 per row.

    `vectors`, shape (documents, users): of length 1. B = D^-1 U U' D, with their left singular
    vectors U of the `rank` largest singular values, and D the square root of each document's users.
    Popular documents so fill neither the directions nor the sums over what a user engaged with.
    This is EigenRec (Nikolakopoulos et al., "EigenRec: generalizing PureSVD for effective and
    efficient top-N recommendations", Knowledge and Information Systems 2019).
    """
    users = np.sqrt(np.maximum(np.diff(vectors.indptr), 1.0))
    # A fixed start: equal input gives equal neighbours.
    start = np.ones(min(vectors.shape))
    directions = svds(vectors.astype(np.float64), rank, v0=start)[0]

    def block_of(rows: NDArray[np.int64]) -> NDArray[np.floating]:
        return (directions[rows] / users[rows, None]) @ (directions.T * users)

    return largest_weights(block_of, vectors.shape[0], k)
