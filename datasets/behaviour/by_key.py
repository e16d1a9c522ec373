"""Compiled counting sort: the members of every key, in a given order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def by_key(
    key: NDArray[Any], order: NDArray[np.int64], n_keys: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where every key starts, and its members in the given order; -1 is no key."""
    starts = np.zeros(n_keys + 1, np.int64)
    for i in order:
        if key[i] >= 0:
            starts[key[i] + 1] += 1
    for k in range(n_keys):
        starts[k + 1] += starts[k]
    fill = starts[:-1].copy()
    index = np.empty(starts[-1], np.int32)
    for i in order:
        if key[i] >= 0:
            index[fill[key[i]]] = i
            fill[key[i]] += 1
    return starts, index
