"""The curve by features, alone or joined with the swaps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import NotIdentifiableError
from ..counts.bootstrap import (
    BootstrapSettings,
    blocks_of_queries,
    intervals,
    no_intervals,
    replicates_of_blocks,
)
from ..counts.swap_graph import count_swaps
from .combination import Combination
from .curve import ExaminationCurve
from .feature_cells import MAX_CELLS
from .features import FeatureEstimate, estimate_from_features, refuse_features
from .harvesting import all_pairs, conditional_information, least_error
from .swap_checks import equals_click_rates, swap_notes
from .swap_curve import curve_from_swaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ..counts.pair_counts import PairCounts
    from .feature_cells import FeatureCells
    from .moves import Moves

    Floats = NDArray[np.float64]

PRECISE = 0.02
"""Standard error of log examination by swaps below which features are not fitted."""

PRECISE_ENOUGH = 0.15
"""The same where no intervals are wanted: rankers gain nothing from a curve more precise."""

LEFT_OUT = "The swaps were left out for this reason: the curve is that of the features."

MIN_REPLICATES = 30
"""Replicates by which errors are scaled where no intervals are wanted."""


@dataclass(frozen=True, eq=False)
class SwapGroup:
    """Positions that swaps tie to each other."""

    positions: NDArray[np.int64]
    counts: PairCounts  # of the pairs shown at two of them or more, positions renumbered
    log_curve: Floats  # 0 at the first of the positions
    information: Floats

    @classmethod
    def of(cls, counts: PairCounts, positions: NDArray[np.int64]) -> SwapGroup:
        """Estimate the ratios within a group."""
        chosen = counts.at_positions(positions)
        log_curve = all_pairs(chosen, np.ones(len(chosen)))
        return cls(positions, chosen, log_curve, conditional_information(chosen, log_curve))

    def replicate(self, weight_of_query: Floats) -> Floats:
        """Return the log curve with queries weighted."""
        return all_pairs(self.counts, weight_of_query[self.counts.query], self.log_curve)


def curve_from_features(
    counts: PairCounts,
    cells: Callable[[], FeatureCells] | None,
    queries: pl.Series,
    settings: BootstrapSettings,
) -> ExaminationCurve:
    """Return the curve by features alone, or raise `NotIdentifiableError`.

    `cells`: counts them by features, on demand; None where the pairs have no features.
    """
    estimate = _features(cells, queries)
    return _curve(counts, queries, estimate, [], settings)


def joined_curve(
    counts: PairCounts,
    cells: Callable[[], FeatureCells] | None,
    queries: pl.Series,
    settings: BootstrapSettings,
    moves: Moves | None = None,
) -> ExaminationCurve:
    """Return the curve by swaps and features; by one of them where the other is uninformative.

    `cells`: see `curve_from_features`. `moves`: whether documents' moves follow their clicks. Where
    they do and the swaps' curve is that of the raw click rates, or is further from that of the
    features than errors explain, the swaps are left out.
    """
    if _precise(counts, moves, PRECISE if settings.n_bootstrap else PRECISE_ENOUGH):
        return curve_from_swaps(counts, queries, "all_pairs", settings, moves)
    try:
        estimate = _features(cells, queries)
    except NotIdentifiableError as error:
        return _from_swaps_alone(counts, queries, settings, moves, str(error))
    size = len(estimate.log_curve)
    covered = counts.keep_cells(counts.position < size)
    covered = replace(covered, n_positions=size)
    groups = [SwapGroup.of(covered, positions) for positions in count_swaps(covered).components()]
    if not groups:
        return _curve(counts, queries, estimate, groups, settings)
    equal = any(
        equals_click_rates(covered, group.positions, group.log_curve, group.information)
        for group in groups
        if group.positions[0] == 0
    )
    curve = _curve(counts, queries, estimate, groups, settings)
    notes = swap_notes(moves, equal=equal)
    if moves is not None and moves.follow_clicks and (equal or curve.contradicted):
        notes = (*notes, LEFT_OUT)
        curve = _curve(counts, queries, estimate, [], settings)
    return replace(curve, notes=(*curve.notes, *notes))


def _precise(counts: PairCounts, moves: Moves | None, limit: float) -> bool:
    """Whether swaps alone give every position so precisely that features could add little."""
    if moves is not None and moves.follow_clicks:
        return False
    tied = count_swaps(counts).component()
    shown = np.unique(counts.position)
    if len(tied) < 2 or len(tied) != len(shown):
        return False
    chosen = counts.at_positions(tied)
    error = least_error(chosen, all_pairs(chosen, np.ones(len(chosen))))
    return bool(error.max() < limit)


def _from_swaps_alone(
    counts: PairCounts,
    queries: pl.Series,
    settings: BootstrapSettings,
    moves: Moves | None,
    cause: str,
) -> ExaminationCurve:
    try:
        curve = curve_from_swaps(counts, queries, "all_pairs", settings, moves)
    except NotIdentifiableError as error:
        before, _, after = str(error).partition(" Ways out:")
        msg = f"{before} {cause} Ways out:{after}"
        raise NotIdentifiableError(msg) from error
    return replace(curve, notes=(*curve.notes, cause))


def _features(cells: Callable[[], FeatureCells] | None, queries: pl.Series) -> FeatureEstimate:
    """Estimate the curve over all positions from 0 on that were clicked."""
    if cells is None:
        refuse_features("the pairs have none (load_pairs(..., features=TABLE) joins them)")
    counted = cells()
    clicked = counted.position_sums(counted.clicks) > 0
    size = len(clicked) if clicked.all() else int(np.argmin(clicked))
    if size < 2:
        refuse_features("position 0 or position 1 was never clicked")
    return estimate_from_features(counted.first_positions(size), queries)


def _curve(
    counts: PairCounts,
    queries: pl.Series,
    features: FeatureEstimate,
    groups: Sequence[SwapGroup],
    settings: BootstrapSettings,
) -> ExaminationCurve:
    size = len(features.log_curve)
    joint, sampled, replicates, n_blocks = _combined(counts, queries, features, groups, settings)
    log_curve = joint.log_curve(_embedded(groups, size), features.log_curve)
    limits = no_intervals(size)
    if settings.n_bootstrap:
        floor = np.zeros(size)
        limits = intervals(log_curve, replicates, floor, n_blocks, settings.confidence)
    estimates = _estimates(features, groups)
    graph = count_swaps(counts)
    used = [features.likelihood.cells.query, *(group.counts.query for group in groups)]
    return ExaminationCurve(
        np.exp(log_curve),
        np.exp(limits.lower),
        np.exp(limits.upper),
        np.exp(limits.band_lower),
        np.exp(limits.band_upper),
        swaps=graph.pairs,
        swap_clicks=graph.clicks,
        connected=size == int((np.diagonal(graph.pairs) > 0).sum()),
        n_queries=len(np.unique(np.concatenate(used))),
        estimates={name: np.exp(curve) for name, curve in estimates.items()},
        disagreement={
            name: float(np.nanmax(np.abs(np.expm1(curve - log_curve))))
            for name, curve in estimates.items()
            if groups
        },
        contributions=joint.shares(),
        log_covariance=np.cov(replicates.T),
        errors={
            "sampling": sampled.std(axis=0, ddof=1),
            "confounding": joint.errors_beyond_sampling(),
        },
        confounding=features.confounding,
        contradicted=joint.contradicted,
        notes=_notes(features),
    )


def _combined(
    counts: PairCounts,
    queries: pl.Series,
    features: FeatureEstimate,
    groups: Sequence[SwapGroup],
    settings: BootstrapSettings,
) -> tuple[Combination, Floats, Floats, int]:
    """Weigh the two by errors that a bootstrap over queries scales.

    Returns the weights, replicates of the joint log curve, shape (replicates, k), the same with
    errors that resampling does not show, and the number of blocks of queries.
    """
    size = len(features.log_curve)
    block, n_blocks = blocks_of_queries(counts, queries)
    of_query = np.zeros(int(counts.query.max()) + 1, dtype=np.int64)
    of_query[counts.query] = block
    rng = np.random.default_rng(settings.random_state)
    number = max(settings.n_bootstrap, MIN_REPLICATES)
    by_features, by_swaps = np.empty((number, size)), np.empty((number, size))
    for index, weight in enumerate(replicates_of_blocks(n_blocks, number, rng)):
        of_each = weight[of_query]
        by_features[index] = features.replicate(of_each[features.likelihood.cells.query])
        by_swaps[index] = _embedded(groups, size, of_each)
    information = features.fit.information
    scale = _dispersion(by_features[:, 1:], information)
    swap_information = _swap_information(groups, by_swaps, size)
    once = _embedded(groups, size)
    joint = Combination.of(
        swap_information, information / scale, once, features.log_curve, features.unlearnt[1:]
    )
    sampled = [joint.log_curve(*each) for each in zip(by_swaps, by_features, strict=True)]
    by_features[:, 1:] += joint.draw_beyond_sampling(rng, number)
    replicates = [joint.log_curve(*each) for each in zip(by_swaps, by_features, strict=True)]
    return joint, np.array(sampled), np.array(replicates), n_blocks


def _estimates(features: FeatureEstimate, groups: Sequence[SwapGroup]) -> dict[str, Floats]:
    """Return the log curves by each of the two, NaN where swaps leave positions open."""
    estimates = {"features": features.log_curve}
    for group in groups:
        if group.positions[0] == 0:
            estimates["all_pairs"] = np.full(len(features.log_curve), np.nan)
            estimates["all_pairs"][group.positions] = group.log_curve
    return estimates


def _notes(features: FeatureEstimate) -> tuple[str, ...]:
    left_out = features.likelihood.cells.n_queries_left_out
    if not left_out:
        return ()
    return (
        f"Features were fitted to {MAX_CELLS:,} counts at most: {left_out:,} queries were left out",
    )


def _embedded(groups: Sequence[SwapGroup], size: int, weight: Floats | None = None) -> Floats:
    """Return the groups' log curves, each 0 at its first position, and 0 elsewhere."""
    curve = np.zeros(size)
    for group in groups:
        curve[group.positions] = group.log_curve if weight is None else group.replicate(weight)
    return curve


def _swap_information(groups: Sequence[SwapGroup], replicates: Floats, size: int) -> Floats:
    information = np.zeros((size, size))
    for group in groups:
        at = group.positions
        scale = _dispersion(replicates[:, at[1:]], group.information[1:, 1:])
        information[np.ix_(at, at)] += group.information / scale
    return information


def _dispersion(replicates: Floats, information: Floats) -> float:
    """Return by how much the bootstrap's variance exceeds the likelihood's, at least 1."""
    variance = np.diag(np.linalg.inv(information))
    return max(float((replicates.var(axis=0, ddof=1) / variance).mean()), 1.0)
