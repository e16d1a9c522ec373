"""The part of a log that is compared: searches, each with its retriever and its cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from ...errors import InvalidInputError, did_you_mean
from ..outcomes.clusters_of_searches import SearchClusters, clusters_of
from ..outcomes.search_outcomes import SearchOutcomes
from ..statistics.clustered_means import GroupedClusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches

MIN_SEARCHES = 10
"""A retriever with fewer searches is counted and not compared."""


@dataclass(frozen=True)
class Traffic:
    """Searches with their retrievers.

    Attributes
    ----------
    searches : Searches
    names : list of str
        Of the retrievers; the baseline is the first.
    retriever : ndarray of int64, shape (n,)
        Index into `names` of every search.
    latency : ndarray of float64, shape (n,), or None
    balance : tuple of str
        Fields of the context whose mix should not differ.
    """

    searches: Searches
    names: list[str]
    retriever: NDArray[np.int64]
    latency: NDArray[np.float64] | None
    balance: tuple[str, ...] = ()

    @cached_property
    def outcomes(self) -> SearchOutcomes:
        """What came of every search."""
        return SearchOutcomes(self.searches)

    @cached_property
    def clusters(self) -> SearchClusters:
        """Which searches are not independent."""
        return clusters_of(self.searches)

    @cached_property
    def sample(self) -> GroupedClusters:
        """Searches by retriever and cluster."""
        return GroupedClusters(self.retriever, self.clusters.codes, len(self.names))

    @cached_property
    def one_of_each_cluster(self) -> NDArray[np.int64]:
        """Index of a search of every cluster, drawn at random: these are independent."""
        order = np.random.default_rng(0).permutation(len(self.retriever))
        _, first = np.unique(self.clusters.codes[order], return_index=True)
        return order[first]

    def between(self, retriever: int) -> NDArray[np.bool_]:
        """Return which searches are of a retriever or of the baseline; shape (n,)."""
        return np.isin(self.retriever, [0, retriever])


class Grouping(NamedTuple):
    """Retrievers of searches: their names, and the index of every search's, -1 for none."""

    names: list[str]
    retriever: NDArray[np.int64]
    left_out: dict[str, int]


def find_retrievers(searches: Searches, by: str, baseline: str | None) -> Grouping:
    """Return the retrievers with enough searches, the baseline first, then by their names.

    Without a `baseline` it is the one with the most searches.
    """
    column = searches.retriever if by == "retriever_id" else searches.context[by]
    counts = np.bincount(column.codes[column.known], minlength=len(column.texts))
    texts = column.texts.to_list()
    named = {str(texts[code]): int(code) for code in np.flatnonzero(counts)}
    left_out = {
        f"no {by}": int((~column.known).sum()),
        f"{by} with fewer than {MIN_SEARCHES} searches": int(
            counts[(counts > 0) & (counts < MIN_SEARCHES)].sum()
        ),
    }
    names = sorted(name for name, code in named.items() if counts[code] >= MIN_SEARCHES)
    first = _baseline(names, baseline, by, {name: int(counts[named[name]]) for name in names})
    names = [first, *(name for name in names if name != first)] if names else []
    index = np.full(len(texts) + 1, -1, np.int64)
    index[[named[name] for name in names]] = np.arange(len(names))
    return Grouping(
        names, index[column.codes], {reason: count for reason, count in left_out.items() if count}
    )


def _baseline(names: list[str], baseline: str | None, by: str, counts: dict[str, int]) -> str:
    if baseline is None:
        return max(names, key=lambda name: (counts[name], name), default="")
    if baseline not in names:
        msg = (
            f"baseline: no {by} {baseline!r} with at least {MIN_SEARCHES} searches; there are "
            f"{', '.join(names[:10]) or 'none'}.{did_you_mean(baseline, names)}"
        )
        raise InvalidInputError(msg)
    return baseline


def read_latency(searches: Searches, field: str | None) -> tuple[NDArray[np.float64] | None, int]:
    """Return the latency of every search, NaN where none is logged, and how many are no number."""
    if field is None:
        return None, 0
    column = searches.context[field]
    numbers = column.texts.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    numbers = np.where(np.isfinite(numbers) & (numbers >= 0), numbers, np.nan)
    latency = np.append(numbers, np.nan)[column.codes]
    return latency, int((np.isnan(latency) & column.known).sum())
