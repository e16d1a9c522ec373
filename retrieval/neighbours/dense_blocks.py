"""The weights furthest from 0 in every row of a dense matrix that is made block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BLOCK: Final = 512
"""Rows that are held at once."""


def largest_weights(
    block_of: Callable[[NDArray[np.int64]], NDArray[np.floating]], n: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return columns and values, shape (n, k), the highest value first; the diagonal counts as 0.

    `block_of`: from row numbers to these rows of an n x n matrix, which may be changed.
    """
    columns = np.empty((n, k), np.int32)
    values = np.empty((n, k), np.float32)
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        block = block_of(rows)
        block[np.arange(len(rows)), rows] = 0.0
        chosen = np.argpartition(-np.abs(block), k - 1, axis=1)[:, :k]
        found = np.take_along_axis(block, chosen, axis=1)
        order = np.lexsort((chosen, -found), axis=1)
        columns[rows] = np.take_along_axis(chosen, order, axis=1)
        values[rows] = np.take_along_axis(found, order, axis=1)
    return columns, values
