"""Searches to numbers, one for each search and outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches

    Floats = NDArray[np.float64]

MIN_EXAMINATION: Final = 0.05
"""No engagement counts as more than 1 / 0.05, as in the ranker's debiased metrics."""

LOWER_IS_BETTER: Final = frozenset(
    {"abandonment", "zero_results", "latency_p50", "latency_p95", "latency_p99"}
)

DESCRIPTIONS: Final = {
    "engaged_searches": "share of searches with an engagement",
    "engagements": "documents engaged with, a search",
    "corrected_engagements": "engagements, each over its examination, a search",
    "corrected_dcg": "gain over examination, discounted by rank, a search",
    "abandonment": "share of searches with results and no engagement",
    "zero_results": "share of searches that found nothing",
}
"""Outcome -> what its mean is."""


@dataclass(frozen=True)
class SearchOutcomes:
    """Numbers of every search; of n searches, arrays of shape (n,).

    An engagement is a display with a grade of at least 1. With examination e, relative to the first
    position, the sum of ``1 / e`` over engagements estimates how many documents of the list are
    attractive, and that of ``(2^grade - 1) / e / log2(rank + 1)`` its DCG (Joachims, Swaminathan
    and Schnabel, "Unbiased Learning-to-Rank with Biased Feedback", WSDM 2017).
    """

    searches: Searches

    @cached_property
    def values(self) -> dict[str, Floats]:
        """Outcome -> value of every search, NaN where it has none."""
        searches = self.searches
        engaged = searches.displays.engaged.astype(np.float64)
        found = {
            "engaged_searches": searches.succeeded.astype(np.float64),
            "engagements": self._sum(engaged),
        }
        if searches.displays.examination is not None:
            found["corrected_engagements"] = self._sum(self.corrected)
            gain = np.exp2(searches.displays.grade) - 1.0
            discount = np.log2(searches.displays.position + 2.0)
            found["corrected_dcg"] = self._sum(self.corrected * gain / discount)
        unused = np.where(searches.succeeded, 0.0, 1.0)
        found["abandonment"] = np.where(searches.shown > 0, unused, np.nan)
        if searches.zero_results.any():
            found["zero_results"] = searches.zero_results.astype(np.float64)
        return found

    @cached_property
    def corrected(self) -> Floats:
        """Of every display: engagement over examination, 0 without an engagement."""
        displays = self.searches.displays
        if displays.examination is None:
            return np.full(len(displays), np.nan)
        weight = 1.0 / np.maximum(displays.examination.astype(np.float64), MIN_EXAMINATION)
        return np.where(displays.engaged, weight, 0.0)

    def by_grade(self) -> dict[int, tuple[Floats, Floats | None]]:
        """Return for each grade that occurs its engagements, raw and corrected, by search."""
        displays = self.searches.displays
        known = displays.examination is not None
        found = {}
        for grade in np.unique(displays.grade[displays.engaged]).tolist():
            chosen = (displays.grade == grade).astype(np.float64)
            corrected = self._sum(chosen * self.corrected) if known else None
            found[int(grade)] = (self._sum(chosen), corrected)
        return found

    def _sum(self, values: Floats) -> Floats:
        """Return the sum over the displays of each search."""
        search, n = self.searches.displays.search, len(self.searches)
        return np.asarray(np.bincount(search, weights=values, minlength=n), np.float64)
