"""One step of expectation-maximisation for click models whose clicks depend on a state.

All of them assume ``P(click) = p1[state] r + p0[state] (1 - r)``: a document is relevant with
probability r and then clicked with p1, or irrelevant and clicked with p0 (0 without false
clicks). The relevance of a showing is the only hidden variable; examination is summed out, which
leaves the same maxima as steps over both and takes fewer of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel
from .squarem import accelerated_step, clip_probability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.click_counts import ClickCounts


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of a fit at one step."""

    # shape (n_states,): P(click) of a relevant and of an irrelevant document, p1 and p0
    relevant: NDArray[np.float64]
    irrelevant: NDArray[np.float64]  # shape (n_states,)
    relevance: NDArray[np.float64]  # shape (m,): r of every document

    def flat(self, *, false_clicks: bool) -> NDArray[np.float64]:
        """Return the free parameters in one array."""
        free = [self.relevant, self.relevance]
        return np.concatenate([*free, self.irrelevant] if false_clicks else free)

    def replaced(self, flat: NDArray[np.float64]) -> Parameters:
        """Return parameters with the values of one array; what it does not hold stays."""
        states, end = len(self.relevant), len(self.relevant) + len(self.relevance)
        irrelevant = flat[end:] if len(flat) > end else self.irrelevant
        return Parameters(flat[:states], irrelevant, flat[states:end])


@dataclass(frozen=True)
class EMStep:
    """The counts, weights and priors of a fit, and its steps."""

    counts: ClickCounts
    # shape (m,): how often each document's counts are taken for the states' parameters
    weight: NDArray[np.float64]
    prior_mean: float | None  # of the relevances; None for their mean, computed anew in every step
    prior_strength: float  # pseudo-showings of known relevance behind every relevance
    # pseudo-showings that draw a state to the mean of all states of its position
    state_strength: float
    false_clicks: bool  # whether irrelevant documents are clicked too

    def step(self, old: Parameters) -> Parameters:
        """Return the parameters after one step of expectation-maximisation."""
        counts = self.counts
        mean = float(old.relevance.mean()) if self.prior_mean is None else self.prior_mean
        relevance = np.empty_like(old.relevance)
        sums = np.zeros((4, counts.n_states))
        expected_relevance(
            counts.offsets,
            counts.state,
            counts.shown,
            counts.clicks,
            self.weight,
            old.relevant,
            old.irrelevant,
            old.relevance,
            mean * self.prior_strength,
            self.prior_strength,
            relevance,
            sums,
        )
        relevant = self._shares(sums[0], sums[1], old.relevant)
        irrelevant = old.irrelevant
        if self.false_clicks:
            irrelevant = clip_probability(self._shares(sums[2], sums[3], irrelevant))
        return Parameters(clip_probability(relevant), irrelevant, clip_probability(relevance))

    def _shares(
        self, clicks: NDArray[np.float64], shown: NDArray[np.float64], old: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return each state's share of clicks, drawn to its position's where evidence is thin."""
        position = self.counts.position_of_state
        pooled = np.bincount(position, clicks) / np.maximum(np.bincount(position, shown), 1e-300)
        strength = np.where(shown > 0, self.state_strength, 1.0)
        never_shown = np.bincount(position, shown) <= 0
        shares = (clicks + strength * pooled[position]) / np.maximum(shown + strength, 1e-300)
        return np.where(never_shown[position], old, shares)

    def accelerated_step(self, old: Parameters) -> Parameters:
        """Return the parameters after three steps, the last from a point extrapolated from two."""
        free = old.flat(false_clicks=self.false_clicks)
        return old.replaced(accelerated_step(lambda flat: self._flat_step(old, flat), free))

    def _flat_step(self, old: Parameters, flat: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.step(old.replaced(flat)).flat(false_clicks=self.false_clicks)

    def moved(self, before: Parameters, after: Parameters) -> float:
        """Return the largest move of a log ratio of two p1, or of a p0."""
        logs = np.log(after.relevant / before.relevant)
        false = np.abs(after.irrelevant - before.irrelevant)
        return max(float(np.abs(logs - logs[0]).max()), float(false.max()))


@kernel
def expected_relevance(
    offsets: NDArray[np.int64],
    state: NDArray[np.int64],
    shown: NDArray[np.float64],
    clicks: NDArray[np.float64],
    weight: NDArray[np.float64],
    relevant: NDArray[np.float64],
    irrelevant: NDArray[np.float64],
    relevance: NDArray[np.float64],
    prior_relevant: float,
    prior_strength: float,
    new_relevance: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Fill in the new relevances and, by state, clicks and showings if relevant, if irrelevant."""
    for document in range(len(offsets) - 1):
        r, w = relevance[document], weight[document]
        total, shown_here = prior_relevant, prior_strength
        for cell in range(offsets[document], offsets[document + 1]):
            s = state[cell]
            p1, p0 = relevant[s] * r, irrelevant[s] * (1 - r)
            missed = shown[cell] - clicks[cell]
            # Bayes: P(relevant | click) and P(relevant | no click).
            clicked_relevant = clicks[cell] * p1 / (p1 + p0)
            missed_relevant = missed * (r - p1) / (1 - p1 - p0)
            expected = clicked_relevant + missed_relevant
            total += expected
            shown_here += shown[cell]
            sums[0, s] += w * clicked_relevant
            sums[1, s] += w * expected
            sums[2, s] += w * (clicks[cell] - clicked_relevant)
            sums[3, s] += w * (shown[cell] - expected)
        new_relevance[document] = total / shown_here if shown_here > 0 else r
