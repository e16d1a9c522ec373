"""EASE: the linear model that predicts each document's engagement from all others'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from ...errors import InvalidInputError
from .dense_blocks import BLOCK, largest_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse


def ease_bytes(n_documents: int) -> int:
    """Return the memory that `ease_weights` takes for its dense matrix."""
    return 8 * n_documents * (n_documents + 4 * BLOCK)


def ease_weights(
    engagement: sparse.csr_matrix, regularization: float, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return columns and values, shape (documents, k), of the k weights furthest from 0 per row.

    B = I - P diag(1 / diag P) with P = (X'X + lambda I)^-1: ridge regression of every column of X
    on all others (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019).
    lambda is `regularization` times the mean of the diagonal of X'X.
    """
    n = engagement.shape[1]
    inverse = _inverse(_regularized(engagement, regularization))
    diagonal = np.diag(inverse).copy()

    def block_of(rows: NDArray[np.int64]) -> NDArray[np.floating]:
        # LAPACK fills in the lower triangle only.
        lower = rows[:, None] >= np.arange(n)
        return np.where(lower, inverse[rows], inverse[:, rows].T) / -diagonal

    return largest_weights(block_of, n, k)


def _regularized(engagement: sparse.csr_matrix, regularization: float) -> NDArray[np.float64]:
    """Return X'X + lambda I, dense, filled in block by block."""
    n = engagement.shape[1]
    by_document = engagement.T.tocsr().astype(np.float64)
    by_user = engagement.astype(np.float64)
    gram = np.empty((n, n), np.float64, order="F")
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        gram[:, rows] = (by_document[rows] @ by_user).toarray().T
    mean = float(np.trace(gram)) / max(n, 1)
    gram[np.diag_indices(n)] += regularization * (mean or 1.0)
    return gram


def _inverse(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert a positive definite matrix in its own memory; the lower triangle is filled."""
    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1, clean=0)
    inverse, unsolved = (factor, failed) if failed else lapack.dpotri(factor, 1, overwrite_c=1)
    if failed or unsolved:
        msg = (
            "regularization: X'X is singular to working precision; give a higher regularization "
            "than the present one"
        )
        raise InvalidInputError(msg)
    return np.asarray(inverse)
