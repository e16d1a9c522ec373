"""Bands of queries by how often they were shown."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS: Final = (1, 5, 20, 100)
"""Fewest impressions of a query in each frequency band."""


def band_of(impressions: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the frequency band of queries with so many impressions."""
    above = np.searchsorted(BANDS, np.asarray(impressions) + 1e-9, side="right")
    return np.maximum(above, 1) - 1


def band_of_query(impressions: float) -> int:
    """Return the frequency band of one query; see `band_of`.

    >>> [band_of_query(n) for n in (0.2, 4, 5, 1000)]
    [0, 0, 1, 3]
    """
    return max(bisect_right(BANDS, impressions + 1e-9), 1) - 1
