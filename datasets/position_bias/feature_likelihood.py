"""The likelihood of documents' clicks in total, given relevance as a function of their features.

Pair i has cells j (positions k_j, features x_j), shown n_j times; its clicks C_i have the mean

    mu_i = sum_j n_j exp(beta_k_j + gamma . z_j)

with beta log examination and z_j a few functions of the features. The likelihood of where a pair's
clicks fell, given C_i, is that of the swaps (`harvesting.all_pairs`): the two share no information
(they are the factors of the negative multinomial likelihood) and may be added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .feature_cells import FeatureCells

    Floats = NDArray[np.float64]

TOLERANCE = 1e-6
MAX_STEP = 1.0
MAX_STEPS = 50
RIDGE = 1e-3
"""Of the information of a standardised function of the features; keeps collinear ones apart."""


@dataclass(frozen=True)
class Fit:
    """A maximum of the likelihood."""

    log_curve: Floats  # shape (n_positions,), 0 at position 0
    free: Floats  # all parameters: intercept, log curve without position 0, functions of features
    # shape (n_positions - 1,) squared: information on the log curve, the others profiled out
    information: Floats


@dataclass(frozen=True, eq=False)
class FeatureLikelihood:
    """Counts, functions of the features, and what every pair counts by."""

    cells: FeatureCells
    functions: Floats  # shape (s, f), standardised
    # shape (p,): 1 where clicks vary as Poisson's do; less where relevance also varies beyond
    # the features, so that many showings of one document are less than so many documents
    precision: Floats

    def fit(self, weight: Floats | None = None, start: Floats | None = None) -> Fit:
        """Maximise by Newton's method; `weight`, shape (p,), multiplies pairs."""
        weight = self.precision if weight is None else self.precision * weight
        free = self._start() if start is None else start.copy()
        ridge = self._ridge()
        for _ in range(MAX_STEPS):
            gradient, information = self._derivatives(weight, free)
            penalty = ridge * np.diag(information)
            step = np.linalg.solve(
                information + np.diag(penalty + 1e-9 * np.diag(information).max()),
                gradient - penalty * free,
            )
            free += np.clip(step, -MAX_STEP, MAX_STEP)
            if np.abs(step).max() < TOLERANCE:
                break
        size = self.cells.n_positions
        information = self._derivatives(weight, free)[1]
        return Fit(np.append(0.0, free[1:size]), free, _profiled(information, size))

    def means(self, free: Floats) -> Floats:
        """Return the expected clicks of every cell."""
        return self._rates(free)

    def _start(self) -> Floats:
        cells = self.cells
        rate = cells.position_sums(cells.clicks) / cells.position_sums(cells.shown)
        curve = np.log(rate)
        return np.concatenate([curve[:1], curve[1:] - curve[0], np.zeros(self.functions.shape[1])])

    def _ridge(self) -> Floats:
        return np.append(np.zeros(self.cells.n_positions), np.full(self.functions.shape[1], RIDGE))

    def _rates(self, free: Floats) -> Floats:
        size = self.cells.n_positions
        log_rate = free[0] + np.append(0.0, free[1:size])[self.cells.position]
        log_rate += self.functions @ free[size:]
        return np.asarray(self.cells.shown * np.exp(np.minimum(log_rate, 50.0)))

    def _derivatives(self, weight: Floats, free: Floats) -> tuple[Floats, Floats]:
        gradient, information = np.zeros(len(free)), np.zeros((len(free), len(free)))
        _add_totals(
            self.cells.offsets,
            self.cells.position,
            self.functions,
            self._rates(free),
            self.cells.clicks,
            weight,
            self.cells.n_positions,
            gradient,
            information,
        )
        lower = np.tril(information, -1)
        return gradient, np.diag(np.diag(information)) + lower + lower.T


def _profiled(information: Floats, size: int) -> Floats:
    """Return the information on parameters 1 to size - 1 where the others are unknown."""
    curve = np.arange(1, size)
    others = np.append(0, np.arange(size, len(information)))
    across = information[np.ix_(others, curve)]
    rest = information[np.ix_(others, others)]
    rest = rest + np.diag(np.full(len(rest), 1e-9 * np.diag(rest).max()))
    return np.asarray(information[np.ix_(curve, curve)] - across.T @ np.linalg.solve(rest, across))


@kernel
def _add_totals(
    offsets: NDArray[np.int64],
    position: NDArray[np.int64],
    functions: Floats,
    rate: Floats,
    clicks: Floats,
    weight: Floats,
    n_positions: int,
    gradient: Floats,
    information: Floats,
) -> None:
    """Add the score and the lower triangle of the information of every pair's total clicks."""
    n_functions = functions.shape[1]
    # Slope of log mu_i in each parameter that touches the pair, and the parameter's number.
    slope = np.empty(n_positions + n_functions)
    number = np.empty(n_positions + n_functions, dtype=np.int64)
    for pair in range(len(offsets) - 1):
        begin, end = offsets[pair], offsets[pair + 1]
        mean, clicked = 0.0, 0.0
        for cell in range(begin, end):
            mean += rate[cell]
            clicked += clicks[cell]
        number[0], slope[0], n = 0, 1.0, 1
        for cell in range(begin, end):  # cells of a pair are ordered by position
            if position[cell] > 0:
                if n == 1 or number[n - 1] != position[cell]:
                    number[n], slope[n] = position[cell], 0.0
                    n += 1
                slope[n - 1] += rate[cell] / mean
        for f in range(n_functions):
            number[n], slope[n] = n_positions + f, 0.0
            for cell in range(begin, end):
                slope[n] += functions[cell, f] * rate[cell] / mean
            n += 1
        surplus, size = weight[pair] * (clicked - mean), weight[pair] * mean
        for one in range(n):
            gradient[number[one]] += surplus * slope[one]
            for other in range(one + 1):
                information[number[one], number[other]] += size * slope[one] * slope[other]
