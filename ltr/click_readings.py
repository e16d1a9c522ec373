"""How click models read a log: clicks and expected examinations of every (query, document).

A click model says how likely each shown document was examined. Its sum over a document's
executions, the document's exposure, is what clicks have to be divided by to give relevance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.click_models.counts import click_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..datasets.click_models.counts import ClickCounts
    from ..datasets.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

_STATE_CLICKS = 5.0
_TOLERANCE = 1e-3
_MOST_STEPS = 200
_DBN_STEPS = 25
_HIGHEST_CHANCE = 0.999


@dataclass(frozen=True)
class Documents:
    """The distinct (query, document) pairs of a log, ordered by query.

    Attributes
    ----------
    row : ndarray of int64, shape (m,)
        Row of the pairs that holds the features: the document's latest execution.
    query : ndarray of int64, shape (m,)
    clicks : ndarray of float64, shape (m,)
        Clicks, times recency weight.
    of_row : ndarray of int64, shape (n,)
        Document of every row of the pairs.
    """

    row: NDArray[np.int64]
    query: NDArray[np.int64]
    clicks: Floats
    of_row: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.row)

    @property
    def group(self) -> NDArray[np.int64]:
        """Documents of each query; shape (q,)."""
        return group_sizes(self.query)

    def total(self, values: Floats) -> Floats:
        """Sum values of rows over every document."""
        sums = np.bincount(self.of_row, weights=values, minlength=len(self))
        return sums.astype(np.float64, copy=False)


@dataclass(frozen=True)
class Reading:
    """One click model's account of a log.

    Attributes
    ----------
    name : {"pbm", "ubm", "dbn"}
    exposure : ndarray of float64, shape (m,)
        Expected examinations of every document, times recency weight.
    chance : callable
        ``chance(pairs, relevance)``: P(click) of every row of other pairs, given the clicks above
        it, where the rows' documents have that relevance.
    """

    name: str
    exposure: Floats
    chance: Callable[[TrainingPairs, Floats], Floats]


def group_sizes(query: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many documents each query has, where they are ordered by query."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    return np.diff(np.append(starts, len(query)))


def documents_of(pairs: TrainingPairs) -> tuple[Documents, ClickCounts]:
    """Return the log's documents, and its counts by position."""
    counts = click_counts(pairs)
    found = Documents(
        row=counts.row,
        query=counts.query,
        clicks=counts.by_document(counts.clicks),
        of_row=counts.find(pairs),
    )
    return found, counts


def read_pbm(counts: ClickCounts, curve: Floats) -> Reading:
    """Read by the position-based model with a known curve: exposure = sum w e(position)."""
    theta = _at(curve, counts.position_of_state)

    def chance(pairs: TrainingPairs, relevance: Floats) -> Floats:
        return _at(curve, pairs.position) * relevance

    return Reading("pbm", counts.by_document(counts.shown * theta[counts.state]), chance)


def read_ubm(pairs: TrainingPairs, curve: Floats) -> Reading:
    """Read by the user browsing model: exposure = sum w theta(position, last click above)."""
    counts = click_counts(pairs, "last_click")
    theta = state_examination(counts, curve)

    def chance(other: TrainingPairs, relevance: Floats) -> Floats:
        return theta[counts.states_of(other)] * relevance

    return Reading("ubm", counts.by_document(counts.shown * theta[counts.state]), chance)


def read_dbn(pairs: TrainingPairs) -> Reading:
    """Read by the dynamic Bayesian network: examined down to the last click, and maybe below."""
    from ..datasets.click_models import DBN

    model = DBN(max_iterations=_DBN_STEPS, prior_strength=4.0).fit(pairs)

    def chance(other: TrainingPairs, relevance: Floats) -> Floats:
        return model.examination_given_clicks(other, relevance) * relevance

    return Reading("dbn", model.examinations(), chance)


def state_examination(counts: ClickCounts, curve: Floats) -> Floats:
    """Return the examination of every (position, last click above), relative to position 0.

    Harvested like the curve itself: under ``E[c_is] = n_is theta_s r_i`` the relevance r_i of a
    document cancels in the multinomial (fixed-effects Poisson) likelihood of the states in which
    its clicks fell. The maximum is the fixed point of

        theta_s = (c_s + a) / (sum_i n_is C_i / sum_t n_it theta_t  +  a / e_s)

    with c_s the clicks in state s, C_i those on document i, and a = 5 pseudo-clicks that draw
    states with little evidence to the examination e_s of their position; every step is scaled to
    1 at position 0.

    Parameters
    ----------
    counts : ClickCounts
        By "last_click".
    curve : ndarray of float64, shape (positions,)
        Examination by position, relative to the first.

    References
    ----------
    Dupret and Piwowarski, SIGIR 2008 (the model); Agarwal et al., WSDM 2019 (harvesting).
    """
    base = _at(curve, counts.position_of_state)
    theta = base.copy()
    in_state = counts.by_state(counts.clicks)
    on_document = counts.by_document(counts.clicks)
    for _ in range(_MOST_STEPS):
        exposure = counts.by_document(counts.shown * theta[counts.state])
        relevance = np.divide(on_document, exposure, out=np.zeros(len(counts)), where=exposure > 0)
        expected = counts.by_state(counts.shown * relevance[counts.document])
        after = (in_state + _STATE_CLICKS) / (expected + _STATE_CLICKS / base)
        after /= after[0]
        moved = float(np.abs(np.log(after / theta)).max())
        theta = after
        if moved < _TOLERANCE:
            break
    return theta


def log_likelihood(pairs: TrainingPairs, chance: Floats) -> Floats:
    """Return the log-likelihood of every execution's clicks; shape (e,)."""
    sure = np.clip(chance, 1 - _HIGHEST_CHANCE, _HIGHEST_CHANCE)
    rows = np.where(pairs.clicked, np.log(sure), np.log1p(-sure))
    return np.asarray(np.add.reduceat(rows, pairs.offsets[:-1]))


def _at(curve: Floats, position: NDArray[np.integer]) -> Floats:
    return np.asarray(curve[np.minimum(position, len(curve) - 1)])
