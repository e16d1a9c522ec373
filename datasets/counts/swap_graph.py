"""Which positions documents were swapped between: the graph that ties them to position 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pair_counts import PairCounts


@dataclass(frozen=True)
class Swaps:
    """Which positions can be compared, and by how much evidence."""

    # shape (k, k): (query, document) pairs shown at both positions; on the diagonal, shown at that
    # one
    pairs: NDArray[np.int64]
    # shape (k, k): ``clicks[a, b]``: clicks at position a of the pairs shown at both a and b
    clicks: NDArray[np.float64]

    def component(self) -> NDArray[np.int64]:
        """Return the positions that clicks tie to position 0, in ascending order.

        The likelihood has a finite maximum only if from each position every other is reached by
        steps a -> b where a pair shown at both was clicked at a (Ford's condition, 1957): a
        position whose swapped documents were never clicked there would get the estimate 0.
        """
        labels = self._labels()
        return np.flatnonzero(labels == labels[0])

    def components(self) -> list[NDArray[np.int64]]:
        """Return every group of two positions or more that clicks tie to each other, ascending."""
        labels = self._labels()
        groups = (np.flatnonzero(labels == label) for label in np.unique(labels))
        return sorted((group for group in groups if len(group) > 1), key=lambda group: group[0])

    def _labels(self) -> NDArray[np.int32]:
        from scipy.sparse.csgraph import connected_components

        edges = ((self.pairs > 0) & (self.clicks > 0)).astype(np.int8)
        labels: NDArray[np.int32] = connected_components(edges, directed=True, connection="strong")[
            1
        ]
        return labels


def count_swaps(counts: PairCounts) -> Swaps:
    """Count, for every two positions, the pairs shown at both and their clicks."""
    size = counts.n_positions
    pairs = np.zeros((size, size), dtype=np.int64)
    clicks = np.zeros((size, size))
    _add_swaps(counts.offsets, counts.position, counts.clicks, pairs, clicks)
    return Swaps(pairs, clicks)


@kernel
def _add_swaps(
    offsets: NDArray[np.int64],
    position: NDArray[np.int64],
    clicks: NDArray[np.float64],
    pairs_out: NDArray[np.int64],
    clicks_out: NDArray[np.float64],
) -> None:
    for pair in range(len(offsets) - 1):
        for one in range(offsets[pair], offsets[pair + 1]):
            for other in range(offsets[pair], offsets[pair + 1]):
                pairs_out[position[one], position[other]] += 1
                clicks_out[position[one], position[other]] += clicks[one]
