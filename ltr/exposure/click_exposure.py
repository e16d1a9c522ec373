"""How likely each row of a log was examined, by a click model.

The sum over a document's executions, its exposure, is what clicks have to be divided by to give
relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...datasets.counts.click_counts import click_counts
from ...datasets.pairs.row_blocks import collected
from .examination import curve_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ...datasets.counts.click_counts import ClickCounts
    from ...datasets.pairs.row_blocks import RowBlock, RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

MAX_STEPS = 200
MAX_DBN_STEPS = 25
MAX_PROBABILITY = 0.999

_STATE_CLICKS = 5.0
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ClickExposure:
    """The examination of a log's rows by one click model."""

    name: str  # "pbm", "ubm" or "dbn"
    pairs: TrainingPairs
    # Expected examination of every row of the pairs, relative to the first position
    rows: RowValues
    # ``click_probability(pairs, relevance)``: P(click) of every row of other pairs, given the
    # clicks above it, where the rows' documents have that relevance
    click_probability: Callable[[TrainingPairs, Floats], Floats]

    @cached_property
    def examination(self) -> Floats:
        """Examination of all rows as one array; shape (n,)."""
        return collected(self.pairs, self.rows)

    def weighted(self, block: RowBlock) -> Floats:
        """Return the examination of the rows of a block, times their recency weight."""
        return np.asarray(self.rows(block) * self.pairs.weight[block.rows], np.float64)


def pbm_exposure(
    pairs: TrainingPairs, curve: Floats, examination: RowValues | None = None
) -> ClickExposure:
    """Return the examination by the position-based model with a known curve: e(position).

    `curve`, shape (positions,): examination by position. `examination`: of every row, where it
    depends on more than the position.
    """

    def click_probability(other: TrainingPairs, relevance: Floats) -> Floats:
        return _at(curve, other.position) * relevance

    rows = curve_values(curve, pairs.position) if examination is None else examination
    return ClickExposure("pbm", pairs, rows, click_probability)


def ubm_exposure(pairs: TrainingPairs, curve: Floats) -> ClickExposure:
    """Return the examination by the user browsing model: theta(position, last click above)."""
    counts = click_counts(pairs, "last_click")
    theta = state_examination(counts, curve)
    state_of = counts.states_of_blocks(pairs)

    def click_probability(other: TrainingPairs, relevance: Floats) -> Floats:
        return theta[counts.states_of(other)] * relevance

    return ClickExposure("ubm", pairs, lambda block: theta[state_of(block)], click_probability)


def dbn_exposure(pairs: TrainingPairs) -> ClickExposure:
    """Return the examination by the dynamic Bayesian network.

    Everything down to the last click was examined, and what is below it with some probability.
    """
    from ...datasets.click_models import DBN

    model = DBN(max_iterations=MAX_DBN_STEPS, prior_strength=4.0).fit(pairs)

    def click_probability(other: TrainingPairs, relevance: Floats) -> Floats:
        return model.examination_given_clicks(other, relevance) * relevance

    return ClickExposure("dbn", pairs, model.examinations_of, click_probability)


def state_examination(counts: ClickCounts, curve: Floats) -> Floats:
    """Return the examination of every (position, last click above), relative to position 0.

    Harvested like the curve itself: under ``E[c_is] = n_is theta_s r_i`` the relevance r_i of a
    document cancels in the multinomial (fixed-effects Poisson) likelihood of the states in which
    its clicks fell. The maximum is the fixed point of

        theta_s = (c_s + a) / (sum_i n_is C_i / sum_t n_it theta_t  +  a / e_s)

    with c_s the clicks in state s, C_i those on document i, and a = 5 pseudo-clicks that draw
    states with little evidence to the examination e_s of their position; every step is scaled to
    1 at position 0.

    `counts`: by "last_click". `curve`, shape (positions,): examination by position, relative to the
    first.

    References: Dupret and Piwowarski, SIGIR 2008 (the model); Agarwal et al., WSDM 2019
    (harvesting).
    """
    base = _at(curve, counts.position_of_state)
    theta = base.copy()
    in_state = counts.by_state(counts.clicks)
    on_document = counts.by_document(counts.clicks)
    for _ in range(MAX_STEPS):
        exposure = counts.by_document(counts.shown * theta[counts.state])
        relevance = np.divide(on_document, exposure, out=np.zeros(len(counts)), where=exposure > 0)
        expected = counts.by_state(counts.shown * relevance[counts.document])
        updated = (in_state + _STATE_CLICKS) / (expected + _STATE_CLICKS / base)
        updated /= updated[0]
        change = float(np.abs(np.log(updated / theta)).max())
        theta = updated
        if change < _TOLERANCE:
            break
    return theta


def log_likelihood(pairs: TrainingPairs, click_probability: Floats) -> Floats:
    """Return the log-likelihood of every execution's clicks; shape (e,).

    `click_probability`, shape (n,): P(click) of every row; clipped off 0 and 1, so that no click is
    infinitely unlikely.
    """
    probability = np.clip(click_probability, 1 - MAX_PROBABILITY, MAX_PROBABILITY)
    rows = np.where(pairs.clicked, np.log(probability), np.log1p(-probability))
    return np.asarray(np.add.reduceat(rows, pairs.offsets[:-1]))


def _at(curve: Floats, position: NDArray[np.integer]) -> Floats:
    return np.asarray(curve[np.minimum(position, len(curve) - 1)])
