"""Rows of a feature matrix as numbers that are equal for equal rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 16


def row_digests(
    X: NDArray[np.float32], rows: NDArray[np.int64] | None = None
) -> NDArray[np.uint64]:
    """Return a number for every (chosen) row: equal for equal values, NaN included, else different.

    A sum of the values' bits times random odd numbers, modulo 2^64: two rows that differ have the
    same with a probability below 2^-32.
    """
    factors = np.random.default_rng(0).integers(0, 2**63, X.shape[1], np.uint64) * 2 + 1
    size = len(X) if rows is None else len(rows)
    digests = np.empty(size, dtype=np.uint64)
    for start in range(0, size, _BLOCK):  # blocks: memory stays small
        part = slice(start, start + _BLOCK)
        values = X[part if rows is None else rows[part]] + np.float32(0)  # -0 becomes 0
        values[np.isnan(values)] = np.nan  # one of the many bit patterns
        bits = values.view(np.uint32).astype(np.uint64)
        digests[part] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return digests
