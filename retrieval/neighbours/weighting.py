"""Rows of an engagement matrix as vectors whose products are similarities: cosine, BM25."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class RowWeighting:
    """Turns rows into vectors of length 1, with or without BM25 weights.

    Attributes
    ----------
    idf : ndarray of float32, shape (columns,), or None
        log(1 + (n - n_c + 1/2) / (n_c + 1/2)): of n rows with entries, n_c have one in the column.
        None: values stay as they are.
    mean_length : float
        Mean of the sums of rows with entries.
    k1, b : float
        Saturation of values, and how far long rows are scaled down.
    """

    idf: NDArray[np.float32] | None
    mean_length: float = 1.0
    k1: float = 1.2
    b: float = 0.75

    @classmethod
    def named(cls, method: str, rows: sparse.csr_matrix, k1: float = 1.2, b: float = 0.75) -> Self:
        """Return the weighting of a method, "cosine" or "bm25"."""
        return cls.bm25(rows, k1, b) if method == "bm25" else cls.cosine()

    @classmethod
    def cosine(cls) -> Self:
        """Return the weighting that leaves values as they are."""
        return cls(None)

    @classmethod
    def bm25(cls, rows: sparse.csr_matrix, k1: float, b: float) -> Self:
        """Return the BM25 weighting of some rows (Robertson and Zaragoza, 2009)."""
        n = int(np.count_nonzero(np.diff(rows.indptr)))
        count = np.bincount(rows.indices, minlength=rows.shape[1])
        idf = np.log1p((n - count + 0.5) / (count + 0.5)).astype(np.float32)
        mean = float(rows.data.sum(dtype=np.float64)) / max(n, 1)
        return cls(idf, mean or 1.0, k1, b)

    def vectors(self, rows: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return rows weighted and scaled to length 1; empty rows stay empty."""
        data = rows.data.astype(np.float32)
        if self.idf is not None:
            length = sums_of_rows(rows, rows.data)
            scale = self.k1 * (1.0 - self.b + self.b * length / self.mean_length)
            saturation = np.repeat(scale.astype(np.float32), np.diff(rows.indptr))
            data *= np.float32(self.k1 + 1.0) * self.idf[rows.indices] / (data + saturation)
        norm = np.sqrt(sums_of_rows(rows, np.square(data, dtype=np.float64)))
        norm[norm == 0] = 1.0
        data /= np.repeat(norm.astype(np.float32), np.diff(rows.indptr))
        return csr(data, rows.indices, rows.indptr, rows.shape)


def sums_of_rows(rows: sparse.csr_matrix, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of the entries' values in each row."""
    filled = np.diff(rows.indptr) > 0
    sums = np.zeros(rows.shape[0])
    if filled.any():
        starts = rows.indptr[:-1][filled]
        sums[filled] = np.add.reduceat(values, starts, dtype=np.float64)
    return sums


def csr(
    data: NDArray[np.floating],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Return a CSR matrix over arrays that are not copied."""
    return sparse.csr_matrix((data, indices, indptr), shape, copy=False)
