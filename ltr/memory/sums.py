"""Decayed sums of clicks and examination by query and document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .kernels import sum_by_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .units import Units

    Floats = NDArray[np.float64]
    Ids = NDArray[np.uint64]

DAY: Final = 86_400_000_000
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)


class QueryDocumentSums(NamedTuple):
    """Sums of m (query, document), ordered by both, and of q queries, ordered."""

    query: Ids  # shape (m,)
    document: Ids  # shape (m,)
    clicks: Floats  # shape (m,): C = sum w g
    exposure: Floats  # shape (m,): E = sum w e
    score: Floats  # shape (m,): sum w s over the units whose score s is known
    scored: Floats  # shape (m,): sum w of these
    queries: Ids  # shape (q,)
    impressions: Floats  # shape (q,): sum w over executions


class HalfSums(NamedTuple):
    """Sums of units, and what later executions have of them."""

    sums: QueryDocumentSums
    later_clicks: Floats  # shape (m,)
    later_exposure: Floats  # shape (m,)


def no_sums() -> QueryDocumentSums:
    """Return empty sums."""
    kinds = ["u8", "u8", "f8", "f8", "f8", "f8", "u8", "f8"]
    return QueryDocumentSums._make(np.zeros(0, kind) for kind in kinds)


def pair_keys(query: Ids, document: Ids) -> Ids:
    """Return one number for every (query, document); two of m share one with m^2 / 2^65."""
    return np.asarray((query * _MULTIPLIER) ^ document)


def decay(time: NDArray[np.int64], reference: int, half_life: float | None) -> Floats | None:
    """Return the weights 2^(-age / half-life) at a reference time; None where all are 1."""
    if half_life is None:
        return None
    return np.exp2((time.astype(np.float64) - reference) / (half_life * DAY))


def sum_units(
    units: Units,
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    factor: Floats,
    weight: Floats | None,
    later: NDArray[np.bool_] | None = None,
) -> HalfSums:
    """Sum gains and examinations of units, in the order of their executions, by query and document.

    `gain`, `examination`, shape (n,). `factor`: of examination, by position. `weight`, `later`,
    shape (e,): of executions.
    """
    executions = len(units.id)
    w = np.ones(executions) if weight is None else weight
    late = np.zeros(executions, dtype=bool) if later is None else later
    order = np.argsort(units.query, kind="stable")
    queries, start = np.unique(units.query[order], return_index=True)
    start = np.append(start, executions)
    offsets = np.append(0, np.cumsum(np.bincount(units.execution, minlength=executions)))
    size, document, columns = sum_by_document(
        order,
        start,
        offsets,
        units.document,
        w,
        late,
        gain,
        examination,
        factor,
        units.position,
        units.score,
    )
    place = np.repeat(np.arange(len(queries)), np.diff(start))
    impressions = np.bincount(place, w[order], len(queries)).astype(np.float64)
    sums = QueryDocumentSums._make(
        [np.repeat(queries, size), document, *columns[:, :4].T.copy(), queries, impressions]
    )
    return HalfSums(sums, columns[:, 4], columns[:, 5])


def add(parts: Sequence[tuple[QueryDocumentSums, float]]) -> QueryDocumentSums:
    """Add sums, each times a factor."""
    query, document = (np.concatenate([part[i] for part, _ in parts]) for i in (0, 1))
    order = np.lexsort((document, query))
    query, document = query[order], document[order]
    starts = np.ones(len(query), dtype=bool)
    starts[1:] = (query[1:] != query[:-1]) | (document[1:] != document[:-1])
    at = np.flatnonzero(starts)
    values = (np.concatenate([part[i] * factor for part, factor in parts]) for i in (2, 3, 4, 5))
    summed = [np.add.reduceat(v[order], at) if len(at) else v for v in values]
    queries, place = np.unique(np.concatenate([p.queries for p, _ in parts]), return_inverse=True)
    impressions = np.concatenate([part.impressions * factor for part, factor in parts])
    total = np.bincount(place, impressions, len(queries)).astype(np.float64)
    return QueryDocumentSums._make([query[at], document[at], *summed, queries, total])


def without(
    sums: QueryDocumentSums, rows: NDArray[np.bool_], queries: NDArray[np.bool_]
) -> QueryDocumentSums:
    """Return sums without some rows, shape (m,), and some queries, shape (q,)."""
    of_rows = (column[~rows] for column in sums[:6])
    return QueryDocumentSums._make([*of_rows, *(column[~queries] for column in sums[6:])])
