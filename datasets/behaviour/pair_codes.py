"""Compiled numbering of pairs of codes: one number for each (user, document), say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.jit import kernel
from .by_key import by_key

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pair_codes(
    first: NDArray[np.integer], second: NDArray[np.integer], n_second: int
) -> NDArray[np.int64]:
    """Return numbers of pairs in the order in which they appear, -1 where a code is -1.

    One pass over the rows of each first code, for which a table of the second codes is small enough
    to stay in the processor's cache, as a hash table of all pairs is not.
    """
    n_first = int(first.max(initial=-1)) + 1
    starts, rows = by_key(first, np.arange(len(first)), n_first)
    return _by_appearance(*_numbered(second, starts, rows, n_second))


@kernel
def _numbered(
    second: NDArray[Any], starts: NDArray[np.int64], rows: NDArray[np.int32], n_second: int
) -> tuple[NDArray[np.int64], int]:
    """Return the number of each row's pair, in the order of the first codes, and how many."""
    number = np.full(len(second), -1, np.int64)
    met_by = np.full(n_second, -1, np.int64)
    given = np.empty(n_second, np.int64)
    n = 0
    for k in range(len(starts) - 1):
        for at in range(starts[k], starts[k + 1]):
            row = rows[at]
            code = second[row]
            if code < 0:
                continue
            if met_by[code] != k:
                met_by[code], given[code] = k, n
                n += 1
            number[row] = given[code]
    return number, n


@kernel
def _by_appearance(number: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the numbers anew, in place, in the order of the rows."""
    new = np.full(n, -1, np.int64)
    used = 0
    for row in range(len(number)):
        old = number[row]
        if old < 0:
            continue
        if new[old] < 0:
            new[old] = used
            used += 1
        number[row] = new[old]
    return number
