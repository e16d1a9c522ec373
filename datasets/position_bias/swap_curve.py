"""A curve from swaps: documents that were shown at several positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ...errors import NotIdentifiableError
from ..counts.bootstrap import (
    MIN_QUERIES,
    BootstrapSettings,
    Intervals,
    blocks_of_queries,
    intervals,
    no_intervals,
    replicate,
)
from ..counts.swap_graph import Swaps, count_swaps
from .curve import ExaminationCurve, PositionGroup
from .harvesting import all_pairs, conditional_information, least_error
from .swap_checks import equals_click_rates, swap_notes
from .swap_estimators import ESTIMATORS, CurveEstimator, EstimatorName, make_estimator

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from ..counts.pair_counts import PairCounts
    from .moves import Moves

    Floats = NDArray[np.float64]

WAYS_OUT = (
    "Ways out: log a share of the executions with swapped neighbours or with another ranker; "
    'use Ranker(debias="position"), which needs no curve; or give a curve known from elsewhere '
    "by PositionBias.from_curve([1.0, ...])."
)


NOT_TIED = (
    "No swap ties position 0 to another position: the curve is unknown, and only ratios within "
    "groups of positions are reported."
)


def curve_from_swaps(
    counts: PairCounts,
    queries: pl.Series,
    name: EstimatorName,
    settings: BootstrapSettings,
    moves: Moves | None = None,
) -> ExaminationCurve:
    """Estimate one curve, or raise `NotIdentifiableError`.

    `counts`: of all (query, document) pairs, swapped or not. `queries`: texts of the query codes.
    `moves`: whether documents' moves follow their clicks.
    """
    swaps = count_swaps(counts)
    groups = _groups(counts, swaps, queries, settings) if name == "all_pairs" else ()
    component = _require_swaps(swaps, tied_elsewhere=bool(groups))
    if len(component) < 2:
        return _without_position_0(swaps, groups)
    connected = counts.at_positions(component)
    if len(connected) < 2:
        refuse("a single (query, document) was shown at several positions and clicked")
    estimators: dict[str, CurveEstimator] = {other: make_estimator(other) for other in ESTIMATORS}
    once = np.ones(len(connected))
    estimates = {other: fit(connected, once) for other, fit in estimators.items()}
    covered = _covered(estimates[name], component, name)
    log_curve = estimates[name][:covered]
    limits = _limits(connected, queries, estimators[name], estimates, log_curve, settings)
    shown = int((np.diagonal(swaps.pairs) > 0).sum())
    all_pairs_curve = estimates["all_pairs"]
    information = conditional_information(connected, all_pairs_curve)
    equal = equals_click_rates(counts, component, all_pairs_curve, information)
    return ExaminationCurve(
        np.exp(log_curve),
        np.exp(limits.lower),
        np.exp(limits.upper),
        np.exp(limits.band_lower),
        np.exp(limits.band_upper),
        swaps=swaps.pairs,
        swap_clicks=swaps.clicks,
        connected=covered == shown,
        n_queries=len(np.unique(connected.query)),
        estimates={other: np.exp(curve[:covered]) for other, curve in estimates.items()},
        disagreement=disagreement(estimates, name, covered),
        contributions={"swaps": np.ones(covered)},
        groups=groups,
        notes=(*_notes(swaps, covered, connected), *swap_notes(moves, equal=equal)),
    )


def _covered(log_curve: NDArray[np.float64], component: NDArray[np.int64], name: str) -> int:
    """Return how many positions from 0 on, without a gap, have an estimate."""
    estimated = (component == np.arange(len(component))) & np.isfinite(log_curve)
    covered = len(estimated) if estimated.all() else int(np.argmin(estimated))
    if covered < 2:
        msg = (
            f"estimator={name!r}: no (query, document) was clicked at positions 0 and 1 both, "
            'which it needs to compare them. estimator="all_pairs" also uses detours over other '
            f"positions, if the log has any. {WAYS_OUT}"
        )
        raise NotIdentifiableError(msg)
    return covered


def _limits(
    counts: PairCounts,
    queries: pl.Series,
    estimator: CurveEstimator,
    estimates: dict[str, NDArray[np.float64]],
    log_curve: NDArray[np.float64],
    settings: BootstrapSettings,
) -> Intervals:
    if settings.n_bootstrap == 0:
        return no_intervals(len(log_curve))
    covered, start = len(log_curve), estimates["all_pairs"]
    floor = least_error(counts, start)[:covered]
    block, n_blocks = blocks_of_queries(counts, queries)
    replicates = replicate(
        lambda weight: estimator(counts, weight, start)[:covered],
        block,
        n_blocks,
        settings.n_bootstrap,
        settings.random_state,
    )
    return intervals(log_curve, replicates, floor, n_blocks, settings.confidence)


def disagreement(
    estimates: dict[str, NDArray[np.float64]], name: str, covered: int
) -> dict[str, float]:
    """Return every other estimator's largest relative difference where it has evidence."""
    gaps = {
        other: np.abs(np.expm1(curve[1:covered] - estimates[name][1:covered]))
        for other, curve in estimates.items()
        if other != name
    }
    return {other: float(np.nanmax(gap)) for other, gap in gaps.items() if np.isfinite(gap).any()}


def _notes(swaps: Swaps, covered: int, counts: PairCounts) -> tuple[str, ...]:
    notes = []
    shown = np.flatnonzero(np.diagonal(swaps.pairs) > 0)
    if (shown >= covered).any():
        notes.append(
            f"The curve ends at position {covered - 1} of {shown[-1]}: beyond it no document "
            "that changed its position was clicked on both sides."
        )
    queries = len(np.unique(counts.query))
    if queries < MIN_QUERIES:
        notes.append(
            f"Fewer than {MIN_QUERIES} queries have swaps ({queries}): (query, document) pairs "
            "were resampled instead of queries, so the intervals may be too narrow."
        )
    return tuple(notes)


def _groups(
    counts: PairCounts, swaps: Swaps, queries: pl.Series, settings: BootstrapSettings
) -> tuple[PositionGroup, ...]:
    """Return the groups of positions that are tied to each other and not to position 0."""
    return tuple(
        _group(counts.at_positions(positions), positions, queries, settings)
        for positions in swaps.components()
        if positions[0] > 0
    )


def _group(
    counts: PairCounts,
    positions: NDArray[np.int64],
    queries: pl.Series,
    settings: BootstrapSettings,
) -> PositionGroup:
    log_curve = all_pairs(counts, np.ones(len(counts)))
    limits = _limits(counts, queries, all_pairs, {"all_pairs": log_curve}, log_curve, settings)
    return PositionGroup(positions, np.exp(log_curve), np.exp(limits.lower), np.exp(limits.upper))


def _without_position_0(swaps: Swaps, groups: tuple[PositionGroup, ...]) -> ExaminationCurve:
    """Return a curve that is unknown beyond position 0, with the ratios within groups."""
    size = int(groups[-1].positions[-1]) + 1
    curve = np.append(1.0, np.full(size - 1, np.nan))
    limits = no_intervals(size)
    return ExaminationCurve(
        curve,
        limits.lower,
        limits.upper,
        limits.band_lower,
        limits.band_upper,
        swaps=swaps.pairs,
        swap_clicks=swaps.clicks,
        connected=False,
        n_queries=0,
        groups=groups,
        notes=(NOT_TIED,),
    )


def _require_swaps(swaps: Swaps, *, tied_elsewhere: bool) -> NDArray[np.int64]:
    """Return the positions tied to position 0, or raise with the cause.

    `tied_elsewhere`: whether other positions are tied to each other, which is worth a report.
    """
    if swaps.clicks.sum() == 0:
        refuse("no shown document was clicked at the positions counted")
    if swaps.pairs[0, 0] == 0:
        first = int(np.flatnonzero(np.diagonal(swaps.pairs))[0])
        refuse(
            f"no document was shown at position 0 (the lowest in the log is {first}); positions "
            "are 0-based, so subtract 1 if the log counts from 1"
        )
    if len(swaps.pairs) == 1:
        refuse("every document was shown at position 0; a curve needs two positions or more")
    moved = swaps.pairs - np.diag(np.diagonal(swaps.pairs))
    if moved.sum() == 0:
        refuse(
            "every document of a query was always shown at one position: the log comes from one "
            "deterministic ranker, and the effect of a position cannot be "
            "separated from that of its documents"
        )
    component = swaps.component()
    if (len(component) < 2 or component[1] != 1) and not tied_elsewhere:
        refuse(
            f"{int(moved[0].max())} (query, document) pairs at most were shown at position 0 and "
            "at another one, and their clicks do not tie position 1 to position 0: documents "
            "shown at both need clicks at both"
        )
    return component if len(component) > 1 and component[1] == 1 else component[:1]


def refuse(cause: str) -> NoReturn:
    """Raise with a cause and the ways out."""
    msg = f"The examination curve is not identifiable: {cause}. {WAYS_OUT}"
    raise NotIdentifiableError(msg)
