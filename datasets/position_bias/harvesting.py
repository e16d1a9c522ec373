"""Intervention harvesting: examination curves from documents that changed their position.

All estimators take counts whose positions are all connected (`Swaps.component`) and one weight
per (query, document), and return log examination, 0 at position 0, NaN where they have no
evidence. Weights serve the bootstrap: the estimate itself is the replicate with all weights 1.

Notation: pair i (a query and a document) was shown n_ik times at position k and clicked c_ik
times; the position-based model says E c_ik = n_ik e_k r_i with an unknown relevance r_i.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.pair_counts import PairCounts

TOLERANCE = 1e-5
ROUNDING = 1e-10
MAX_STEP = 2.0
MAX_STEPS = 100


def all_pairs(
    counts: PairCounts,
    weight: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Maximise the conditional likelihood given each pair's total clicks.

    ``sum_i w_i sum_k c_ik log(n_ik e_k / sum_j n_ij e_j)``: the multinomial (fixed-effects
    Poisson) likelihood of where a pair's clicks fell, given how many there were. The relevance
    r_i cancels, so none has to be estimated, and a pair counts by its information. It is concave
    in log e; Newton's method finds the maximum.
    """
    log_curve = np.zeros(counts.n_positions) if start is None else start.copy()
    value, gradient, curvature = _conditional(counts, weight, log_curve)
    for _ in range(MAX_STEPS):
        step = _newton_step(gradient, curvature)
        if np.abs(step).max() < TOLERANCE:  # what it leaves is the square of it
            return log_curve + step
        trial = _conditional(counts, weight, log_curve + step)
        while trial[0] < value - ROUNDING * abs(value):
            step /= 2
            trial = _conditional(counts, weight, log_curve + step)
        log_curve += step
        value, gradient, curvature = trial
    return log_curve


def least_error(counts: PairCounts, log_curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of log examination that the conditional information allows.

    ``sqrt(diag(I^-1))`` with I the negative second derivative of the conditional likelihood.
    """
    variance = np.diag(np.linalg.inv(conditional_information(counts, log_curve)[1:, 1:]))
    error: NDArray[np.float64] = np.sqrt(np.concatenate([[0.0], variance]))
    return error


def conditional_information(
    counts: PairCounts, log_curve: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the negative second derivative of the conditional likelihood; its rows sum to 0."""
    return _conditional(counts, np.ones(len(counts)), log_curve)[2]


def _newton_step(
    gradient: NDArray[np.float64], curvature: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Newton's step with position 0 held, shortened where it leaps."""
    step = np.zeros(len(gradient))
    step[1:] = np.linalg.solve(curvature[1:, 1:], gradient[1:])
    longest = float(np.abs(step).max())
    return step * (MAX_STEP / longest) if longest > MAX_STEP else step


def pivot(
    counts: PairCounts,
    weight: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Compare every position with position 0 alone, by Mantel-Haenszel ratios."""
    del start  # closed form
    wins = mantel_haenszel(counts, weight)
    curve = _log_ratio(wins[:, 0], wins[0, :])
    curve[0] = 0.0
    return curve


def adjacent(
    counts: PairCounts,
    weight: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Chain the Mantel-Haenszel ratios of neighbouring positions."""
    del start  # closed form
    wins = mantel_haenszel(counts, weight)
    steps = _log_ratio(np.diagonal(wins, offset=-1), np.diagonal(wins, offset=1))
    return np.concatenate([[0.0], np.cumsum(steps)])


def mantel_haenszel(counts: PairCounts, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``W[a, b] = sum_i w_i c_ia n_ib / (n_ia + n_ib)`` over pairs shown at a and b.

    Then ``W[a, b] / W[b, a]`` estimates e_a / e_b (Mantel and Haenszel 1959; for rates, Rothman
    and Boice 1979): consistent even if no pair has more than a few clicks.
    """
    wins = np.zeros((counts.n_positions, counts.n_positions))
    _add_wins(counts.offsets, counts.position, counts.shown, counts.clicks, weight, wins)
    return wins


def _log_ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(above / below), NaN where either is zero."""
    positive = (above > 0) & (below > 0)
    ratio = np.divide(above, below, out=np.ones_like(above), where=positive)
    return np.where(positive, np.log(ratio), np.nan)


def _conditional(
    counts: PairCounts, weight: NDArray[np.float64], log_curve: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the conditional log-likelihood, its gradient and its negative second derivative."""
    size = counts.n_positions
    observed, expected, products = np.zeros(size), np.zeros(size), np.zeros((size, size))
    log_totals = _add_conditional(
        counts.offsets,
        counts.position,
        counts.shown,
        counts.clicks,
        weight,
        np.exp(log_curve),
        observed,
        expected,
        products,
    )
    value = float(observed @ log_curve) - log_totals
    lower = np.tril(products, -1)
    curvature = np.diag(expected - np.diag(products)) - lower - lower.T
    return value, observed - expected, curvature


@kernel
def _add_conditional(
    offsets: NDArray[np.int64],
    position: NDArray[np.int64],
    shown: NDArray[np.float64],
    clicks: NDArray[np.float64],
    weight: NDArray[np.float64],
    curve: NDArray[np.float64],
    observed: NDArray[np.float64],
    expected: NDArray[np.float64],
    products: NDArray[np.float64],
) -> float:
    """Add observed and expected clicks, and the lower triangle of the shares' products."""
    log_totals = 0.0
    share = np.empty(len(curve))
    for pair in range(len(offsets) - 1):
        begin, end = offsets[pair], offsets[pair + 1]
        exposure, clicked = 0.0, 0.0
        for cell in range(begin, end):
            share[cell - begin] = shown[cell] * curve[position[cell]]
            exposure += share[cell - begin]
            clicked += clicks[cell]
            observed[position[cell]] += weight[pair] * clicks[cell]
        clicked *= weight[pair]
        log_totals += clicked * np.log(exposure)
        for one in range(end - begin):
            share[one] /= exposure
            here, gain = position[begin + one], clicked * share[one]
            expected[here] += gain
            for other in range(one + 1):
                products[here, position[begin + other]] += gain * share[other]
    return log_totals


@kernel
def _add_wins(
    offsets: NDArray[np.int64],
    position: NDArray[np.int64],
    shown: NDArray[np.float64],
    clicks: NDArray[np.float64],
    weight: NDArray[np.float64],
    wins: NDArray[np.float64],
) -> None:
    for pair in range(len(offsets) - 1):
        begin, end = offsets[pair], offsets[pair + 1]
        for one in range(begin, end):
            if clicks[one] > 0:
                gain = weight[pair] * clicks[one]
                for other in range(begin, end):
                    if other != one:
                        wins[position[one], position[other]] += (
                            gain * shown[other] / (shown[one] + shown[other])
                        )
