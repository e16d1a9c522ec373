"""Weighted sums of normalised scores for many queries, and the best documents of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .normalise import Runs, normalise

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from .normalise import Floats, FusionMethod, Integers


class Hits(NamedTuple):
    """One row per (query, channel, document) that a channel found, in arrays of equal length."""

    query: Integers
    channel: Integers
    document: Integers
    score: Floats

    def rows(self, rows: Integers) -> Hits:
        """Return the rows that are named, in that order."""
        return Hits(self.query[rows], self.channel[rows], self.document[rows], self.score[rows])


@dataclass(frozen=True, eq=False)
class FusedColumns:
    """The fused rankings of many queries: m rows, query after query, best first; C channels.

    Attributes
    ----------
    query, document : ndarray of int64, shape (m,)
        The codes that were given.
    position : ndarray of int64, shape (m,)
        0-based position in the query's ranking.
    score : ndarray of float64, shape (m,)
        Fused score.
    channel_scores : ndarray of float64, shape (m, C)
        Each channel's score as fused; 0 where the channel did not find the document.
    found : ndarray of bool, shape (m, C)
        Whether the channel found the document.
    """

    query: Integers
    document: Integers
    position: Integers
    score: Floats
    channel_scores: Floats
    found: NDArray[np.bool_]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each document: ``query``, ``document``, ``position``, ``score``."""
        import polars as pl

        names = ("query", "document", "position", "score")
        return pl.DataFrame({name: getattr(self, name) for name in names})

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        queries = len(np.unique(self.query))
        return Summary(
            f"FusedColumns: {len(self.query):,} documents of {queries:,} queries",
            [Table.of_frame(self.to_frame())],
        )


def by_list(hits: Hits) -> Hits:
    """Order the rows by query, channel and document, so that their given order changes nothing."""
    return hits.rows(_order(hits.query, hits.channel, hits.document))


def _order(*codes: Integers) -> Integers:
    """Return the stable order by the codes, the first of them before the next ones.

    As `numpy.lexsort`, several times faster where all codes fit into one number of 64 bits.
    """
    spans = [int(each.max(initial=0)) + 1 for each in codes]
    if math.prod(spans) > np.iinfo(np.int64).max:
        return np.lexsort(codes[::-1])
    joined = codes[0]
    for each, span in zip(codes[1:], spans[1:], strict=True):
        joined = joined * span + each
    return np.argsort(joined, kind="stable")


def combine(
    hits: Hits, weights: Floats, method: FusionMethod, k: int | None, rank_constant: float
) -> FusedColumns:
    """Normalise every list, add up by document, keep the best k of each query.

    `hits`: ordered by `by_list`, finite, without repeats. `weights`, shape (C,) for all
    queries or (queries, C). `method`, `k`, `rank_constant`: as in `fuse`.
    """
    x = normalise(hits.score, Runs.of(hits.query, hits.channel), method, rank_constant)
    by_document = _order(hits.query, hits.document)
    query, channel, document, x = hits._replace(score=x).rows(by_document)
    documents = Runs.of(query, document)
    weight = weights[channel] if weights.ndim == 1 else weights[query, channel]
    total = documents.sums(weight * x)
    top, position = _best(total, query[documents.start], k)
    slot = np.full(len(total), -1)
    slot[top] = np.arange(len(top))
    row = slot[documents.of_row]
    shown = row >= 0
    channel_scores = np.zeros((len(top), weights.shape[-1]))
    found = np.zeros(channel_scores.shape, dtype=np.bool_)
    channel_scores[row[shown], channel[shown]] = x[shown]
    found[row[shown], channel[shown]] = True
    first = documents.start[top]
    return FusedColumns(query[first], document[first], position, total[top], channel_scores, found)


def _best(total: Floats, query: Integers, k: int | None) -> tuple[Integers, Integers]:
    """Return the rows of the first k of each query and their positions; rows break ties."""
    order = np.lexsort((-total, query))
    position = Runs.of(query).places()
    if k is None:
        return order, position
    within = position < k
    return order[within], position[within]


def check_options(k: int | None, rank_constant: float) -> None:
    """Raise unless k is a cut-off and rank_constant a number that ranks can be added to."""
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
        msg = f"k: expected a whole number >= 1, or None for all documents, got {k!r}"
        raise InvalidInputError(msg)
    number = isinstance(rank_constant, int | float | np.integer | np.floating)
    if isinstance(rank_constant, bool) or not number or not 0 <= rank_constant < np.inf:
        msg = f"rank_constant: expected a finite number >= 0 (usually 60), got {rank_constant!r}"
        raise InvalidInputError(msg)
