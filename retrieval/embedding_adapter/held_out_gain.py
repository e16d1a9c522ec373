"""What a map is worth on held-out queries, by clicks that are corrected for examination."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.clustered import ClusteredErrors
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table, interval
from ..._shared.summary_html import summary_html
from .display import HeldOutGainDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

LEAST_EXAMINATION: Final = 0.1
"""Examination that a document counts with at least: no click counts for more than 10."""


@dataclass(frozen=True)
class HeldOutGain:
    """DCG of held-out queries under two scores, over the documents that were shown for them.

    A document with C clicks over examinations that sum up to E has the relevance C / E, which is
    unbiased under the position-based model. Documents that were never shown for a query say
    nothing; they count in neither ranking.

    Attributes
    ----------
    k : int
        Ranks that count.
    queries : int
        Held-out queries with a click and two documents that have embeddings.
    baseline, adapted : float
        Mean DCG@k of the embeddings as they are, and mapped.
    gain : float
        The difference.
    lower : float
        One-sided bound of the gain by Student's t over queries; NaN for less than two.
    interval : tuple of float
        Two-sided.
    confidence : float
        Of both.
    """

    k: int
    queries: int
    baseline: float
    adapted: float
    gain: float
    lower: float
    interval: tuple[float, float]
    confidence: float

    @property
    def passed(self) -> bool:
        """Whether the bound lies above 0."""
        return self.lower > 0

    @property
    def relative(self) -> float:
        """The gain over the baseline; NaN where that is 0."""
        return self.gain / self.baseline if self.baseline else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = plain({**asdict(self), "passed": self.passed})
        return values

    def plot(self, ax: Axes | None = None) -> HeldOutGainDisplay:
        """Draw the gain with its interval."""
        return HeldOutGainDisplay(
            k=self.k,
            queries=self.queries,
            baseline=self.baseline,
            adapted=self.adapted,
            gain=self.gain,
            interval=self.interval,
            confidence=self.confidence,
        ).plot(ax)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"DCG@{self.k} on {self.queries:,} held-out queries, corrected for examination: "
            f"{self.baseline:.4f} -> {self.adapted:.4f}, gain {self.gain:+.4f} "
            f"({self.confidence:.0%} interval {low:+.4f} to {high:+.4f}, bound {self.lower:+.4f})"
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        row = (self.baseline, self.adapted, self.gain, interval(self.interval, "+.4f"), self.lower)
        names = ["baseline", "adapted", "gain", f"{self.confidence:.0%} interval", "bound"]
        return Summary(
            f"DCG@{self.k} on {self.queries:,} held-out queries, corrected for examination",
            [Table.of(names, [row])],
        )


@dataclass(frozen=True)
class HeldOutDocuments:
    """Documents that were shown for held-out queries; shape (n,) each.

    Attributes
    ----------
    query : ndarray of int64
        Number of the query, ascending.
    relevance : ndarray of float64
        C / E.
    """

    query: Integers
    relevance: Floats

    def dcg(self, scores: Floats, k: int) -> Floats:
        """Return the DCG@k of every query: sum of relevance / log2(rank + 1); ties as given.

        Examples
        --------
        >>> documents = HeldOutDocuments(np.array([0, 0, 1]), np.array([0.0, 1.0, 2.0]))
        >>> documents.dcg(np.array([1.0, 3.0, 0.0]), k=1)
        array([1., 2.])
        """
        order = np.lexsort((-scores, self.query))
        first = np.flatnonzero(np.diff(self.query, prepend=-1))
        sizes = np.diff(np.append(first, len(order)))
        rank = np.arange(len(order)) - np.repeat(first, sizes) + 1
        gains = np.where(rank <= k, self.relevance[order] / np.log2(rank + 1), 0.0)
        return np.asarray(np.add.reduceat(gains, first)) if len(first) else np.empty(0)


def held_out_documents(query: Integers, clicks: Floats, examination: Floats) -> HeldOutDocuments:
    """Return the documents in the order of their queries."""
    return HeldOutDocuments(query, clicks / np.maximum(examination, LEAST_EXAMINATION))


def held_out_gain(
    documents: HeldOutDocuments, baseline: Floats, adapted: Floats, k: int, confidence: float
) -> HeldOutGain:
    """Compare two scores of the documents, query by query."""
    before, after = documents.dcg(baseline, k), documents.dcg(adapted, k)
    gains = after - before
    n = len(gains)
    gain = float(gains.mean()) if n else 0.0
    errors = ClusteredErrors(np.arange(max(n, 1)))
    error = errors.standard_error(gains - gain) if n > 1 else float("nan")
    one_sided = errors.t_quantile(confidence) * error
    two_sided = errors.t_quantile((1 + confidence) / 2) * error
    return HeldOutGain(
        k=k,
        queries=n,
        baseline=float(before.mean()) if n else 0.0,
        adapted=float(after.mean()) if n else 0.0,
        gain=gain,
        lower=gain - one_sided,
        interval=(gain - two_sided, gain + two_sided),
        confidence=confidence,
    )
