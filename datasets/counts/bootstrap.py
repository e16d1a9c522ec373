"""Intervals for examination curves by a bootstrap over queries.

A query's documents and all its executions stay together, because its relevances and its share of
the traffic are what varies from log to log. Queries get random weights (the Bayesian bootstrap,
Rubin 1981) instead of being drawn with replacement: no weight is zero, so every replicate keeps
every swap and has a finite estimate.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.progress import tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl
    from numpy.typing import NDArray

    from .pair_counts import PairCounts

MAX_BLOCKS = 1000
MIN_QUERIES = 20


class BootstrapSettings(NamedTuple):
    """How to resample."""

    n_bootstrap: int
    confidence: float
    random_state: int | np.random.Generator | None


@dataclass(frozen=True)
class Intervals:
    """Limits of log examination; NaN without a bootstrap."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    band_lower: NDArray[np.float64]
    band_upper: NDArray[np.float64]


def blocks_of_queries(counts: PairCounts, queries: pl.Series) -> tuple[NDArray[np.int64], int]:
    """Put every pair into a block of whole queries, or each into one where queries are too few.

    Queries are ordered by a hash of their text and spread over at most 1,000 blocks, so neither the
    order of the log nor the numbering of the queries matters.

    Returns `block`, shape (n_pairs,).
    """
    codes, inverse = np.unique(counts.query, return_inverse=True)
    if len(codes) < MIN_QUERIES:
        return np.arange(len(counts)), len(counts)
    rank = ordered_queries(codes, queries)
    return rank[inverse] % MAX_BLOCKS, min(len(codes), MAX_BLOCKS)


def ordered_queries(codes: NDArray[np.integer], queries: pl.Series) -> NDArray[np.int64]:
    """Return the place of every query in the order of a hash of their texts.

    `codes`, shape (q,): index of each into `queries`.
    """
    digests = [_digest(text) for text in queries.gather(codes).to_list()]
    rank = np.empty(len(codes), dtype=np.int64)
    rank[np.argsort(np.array(digests, dtype=np.uint64), kind="stable")] = np.arange(len(codes))
    return rank


def _digest(text: str | None) -> int:
    return int.from_bytes(hashlib.blake2b((text or "").encode(), digest_size=8).digest(), "big")


def replicate(
    estimate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    block: NDArray[np.int64],
    n_blocks: int,
    n_bootstrap: int,
    random_state: int | np.random.Generator | None,
) -> NDArray[np.float64]:
    """Return log curves under random block weights; shape (n_bootstrap, n_positions).

    `estimate`: weights of the pairs -> log examination.
    """
    weights = replicates_of_blocks(n_blocks, n_bootstrap, random_state)
    return np.array([estimate(weight[block]) for weight in weights])


def replicates_of_blocks(
    n_blocks: int, n_bootstrap: int, random_state: int | np.random.Generator | None
) -> Iterator[NDArray[np.float64]]:
    """Yield random weights of the blocks, one array for every replicate."""
    generator = np.random.default_rng(random_state)
    weights = (generator.standard_exponential(n_blocks) for _ in range(n_bootstrap))
    return tracked(weights, "Bootstrap", n_bootstrap)


def intervals(
    log_curve: NDArray[np.float64],
    replicates: NDArray[np.float64],
    least_error: NDArray[np.float64],
    n_blocks: int,
    confidence: float,
) -> Intervals:
    """Return pointwise and simultaneous limits around a log curve.

    Pointwise: ``log e(k) +- t s_k``, t Student's quantile with n_blocks - 1 degrees of freedom
    and s_k the replicates' standard error or `least_error`, whichever is larger: resampling
    cannot see the variance of a step that a single query decides. Simultaneous: t is replaced by
    the quantile of the replicates' largest deviation in standard errors (the max-statistic),
    widened in the same proportion as t is wider than the normal quantile. On the log scale the
    estimates are close to normal even where a position has few clicks; percentiles of 200
    replicates covered less.
    """
    from scipy import stats

    spread = replicates.std(axis=0, ddof=1)
    error = np.maximum(spread, least_error)
    chance = (1 + confidence) / 2
    student = float(stats.t.ppf(chance, max(n_blocks - 1, 1)))
    scaled = np.abs(replicates - log_curve) / np.where(spread > 0, spread, np.inf)
    largest = float(np.quantile(scaled.max(axis=1), confidence))
    widened = max(largest * student / float(stats.norm.ppf(chance)), student)
    return Intervals(
        log_curve - student * error,
        log_curve + student * error,
        log_curve - widened * error,
        log_curve + widened * error,
    )


def no_intervals(n_positions: int) -> Intervals:
    """Return limits for a fit without a bootstrap: unknown."""
    unknown = np.full(n_positions, np.nan)
    return Intervals(unknown, unknown.copy(), unknown.copy(), unknown.copy())
