"""What a log says of every (query, document): a Gamma posterior of its relevance.

Relevance is P(click | examined). A document with C clicks that were not taken back, over displays
whose examination sums up to E, has the posterior Gamma(C + k m, E + k): m is the log's mean,
sum(C) / sum(E), and m / k its prior variance. Two displays i and j of a document for a query have
independent clicks but for its relevance, so that the variance is

    sum over documents and i != j of (c_i - m e_i) (c_j - m e_j)  /  sum of e_i e_j,

whatever the distribution of a single click (moments, as Buehlmann and Straub, "Glaubwuerdigkeit
fuer Schadensaetze", 1970, take them).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ...datasets.counts.cells import index_cells, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

MIN_STRENGTH: Final = 0.5
MAX_STRENGTH: Final = 128.0


@dataclass(frozen=True)
class QueryDocumentCounts:
    """Clicks, examinations and negative signals of m distinct (query, document), by query.

    Attributes
    ----------
    query, document : ndarray of int64, shape (m,)
        Indices into the pairs' `queries` and `documents`; ascending by query.
    clicks : ndarray of float64, shape (m,)
        Displays with a click (or a stronger signal) and no negative signal, by recency weight.
    examination : ndarray of float64, shape (m,)
        Sum of the displays' examination, at least the number of those with a negative signal:
        these were examined.
    returned, rejected : ndarray of float64, shape (m,)
        Displays whose click a return to the results took back; those with a skip or negative
        feedback.
    first_row, last_row : ndarray of int64, shape (m,)
        First and last display of the document for the query.
    clicked_row : ndarray of int64, shape (m,)
        Last display that counts among the clicks, -1 without one.
    mean, variance : float
        Of relevance over the (query, document), each counted by its displays.
    """

    query: Integers
    document: Integers
    clicks: Floats
    examination: Floats
    returned: Floats
    rejected: Floats
    first_row: Integers
    last_row: Integers
    clicked_row: Integers
    mean: float
    variance: float

    def __len__(self) -> int:
        return len(self.query)


def count_query_documents(pairs: TrainingPairs, examination: Floats) -> QueryDocumentCounts:
    """Sum the displays of every (query, document); one pass over the rows for each sum.

    `examination`, shape (n,): of every row, relative to position 0.
    """
    key = pairs.query_document
    of_row, first = index_cells(key.view(np.uint64))
    order = np.argsort(key[first])
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    of_row, first = rank[of_row], first[order]
    size = len(first)
    negative = pairs.negative
    returned = pairs.clicked & (pairs.y == 0)
    engaged = (pairs.y >= 1) & ~negative
    rows = np.arange(len(key))
    # Of an index that occurs several times, numpy keeps the value assigned last.
    last, clicked_row = np.empty(size, np.int64), np.full(size, -1)
    last[of_row] = rows
    clicked_row[of_row[engaged]] = rows[engaged]

    weight = pairs.weight.astype(np.float64)

    def total(values: NDArray[np.bool_] | Floats) -> Floats:
        return sum_by(of_row, values * weight, size)

    clicks, examined = total(engaged), total(examination)
    back, rejected = total(returned), total(negative & ~returned)
    mean = float(clicks.sum() / max(examined.sum(), np.finfo(float).tiny))
    # Pairs of displays are the square of the sum less the sum of the squares.
    excess = np.square(clicks - mean * examined).sum()
    excess -= np.square(weight * (engaged - mean * examination)).sum()
    crossed = np.square(examined).sum() - np.square(weight * examination).sum()
    return QueryDocumentCounts(
        query=key[first] // max(len(pairs.documents), 1),
        document=pairs.document_code[first].astype(np.int64),
        clicks=clicks,
        examination=np.maximum(examined, back + rejected),
        returned=back,
        rejected=rejected,
        first_row=first,
        last_row=last,
        clicked_row=clicked_row,
        mean=mean,
        variance=float(excess / crossed) if crossed > 0 else 0.0,
    )


@dataclass(frozen=True)
class RelevancePosterior:
    """The Gamma posteriors of all (query, document) of some counts.

    Attributes
    ----------
    counts : QueryDocumentCounts
    mean : float
        m: mean relevance of the log, where the prior lies.
    strength : float
        k: examinations that the prior counts as.
    confidence : float
        Probability of each interval from `lower` to `upper`.
    """

    counts: QueryDocumentCounts
    mean: float
    strength: float
    confidence: float

    @cached_property
    def shape(self) -> Floats:
        """Shape of every posterior; shape (m,)."""
        return self.counts.clicks + self.strength * self.mean

    @cached_property
    def rate(self) -> Floats:
        """Rate of every posterior; shape (m,)."""
        return self.counts.examination + self.strength

    @cached_property
    def relevance(self) -> Floats:
        """Mean of every posterior; shape (m,)."""
        return np.asarray(self.shape / self.rate, np.float64)

    @cached_property
    def engaged(self) -> NDArray[np.bool_]:
        """Whether a document was clicked, and more often than the log's mean; shape (m,)."""
        return (self.counts.clicks > 0) & (self.relevance > self.mean)

    def lower(self, which: Integers) -> Floats:
        """Return the lower limits of some posteriors."""
        return self._quantile(which, (1 - self.confidence) / 2)

    def upper(self, which: Integers) -> Floats:
        """Return the upper limits of some posteriors."""
        return self._quantile(which, (1 + self.confidence) / 2)

    def greater(self, left: Integers, right: Integers) -> Floats:
        """Return P(relevance of the left > relevance of the right), exactly.

        For X ~ Gamma(a, b) and Y ~ Gamma(c, d): Y' / (X' + Y') of the standard Gammas X' = b X and
        Y' = d Y is Beta(c, a), and X > Y where it is below d / (b + d).
        """
        at = self.rate[right] / (self.rate[left] + self.rate[right])
        found = special.betainc(self.shape[right], self.shape[left], at)
        return np.asarray(found, np.float64)

    def _quantile(self, which: Integers, probability: float) -> Floats:
        standard = special.gammaincinv(self.shape[which], probability)
        return np.asarray(standard / self.rate[which], np.float64)


def relevance_posterior(counts: QueryDocumentCounts, confidence: float) -> RelevancePosterior:
    """Return the posteriors of counts under the log's own prior."""
    strength = MAX_STRENGTH
    if counts.variance > 0:
        strength = float(np.clip(counts.mean / counts.variance, MIN_STRENGTH, MAX_STRENGTH))
    return RelevancePosterior(counts, counts.mean, strength, confidence)
