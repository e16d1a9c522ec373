"""The fitted parameters of models on counts, by context value and state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError, did_you_mean
from ..counts.click_counts import state_number
from .squarem import MIN_PROBABILITY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..counts.click_counts import ClickCounts, StateName


@dataclass(frozen=True, eq=False)
class StateTable:
    """P(click) of relevant and of irrelevant documents, by context value and state."""

    relevant: NDArray[np.float64]  # shape (v, s): p1 and p0
    irrelevant: NDArray[np.float64]  # shape (v, s)
    shown: NDArray[np.float64]  # shape (v, s): how often the states occurred
    place: NDArray[np.int64]  # shape (s,): position of each state
    states: StateName = "position"  # what a state is
    values: tuple[str, ...] = ()  # context values; empty where v is 1 for want of a context column

    @property
    def n_positions(self) -> int:
        """Number of positions that have states of their own."""
        return int(self.place[-1]) + 1

    def public(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a table as models show it: without the axis of values where there are none."""
        return table if self.values else table[0]

    def curve(self, value: str | None = None) -> NDArray[np.float64]:
        """Return p1 - p0 by position, the mean over how often states occurred, relative to 0."""
        chosen = slice(None) if value is None else [self.values.index(value)]
        rise = np.maximum((self.relevant - self.irrelevant)[chosen], MIN_PROBABILITY)
        place = np.tile(self.place, len(rise))
        # States that never occurred still make up the mean where their position has no others.
        weight = np.maximum(self.shown[chosen], 1e-9).ravel()
        curve = np.bincount(place, weight * rise.ravel()) / np.bincount(place, weight)
        return np.asarray(curve / curve[0], dtype=np.float64)

    def with_mean(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return p1 and p0 with the values' mean as last row; shape (v + 1, s)."""
        weight = np.maximum(self.shown, 1e-9)
        weight = weight / weight.sum(axis=0)
        return (
            np.vstack([self.relevant, (weight * self.relevant).sum(axis=0)]),
            np.vstack([self.irrelevant, (weight * self.irrelevant).sum(axis=0)]),
        )

    def chance(
        self,
        position: ArrayLike,
        relevance: ArrayLike,
        last_click: ArrayLike,
        value: str | None,
    ) -> NDArray[np.float64]:
        """Return P(click) at 0-based positions, given the position of the last click above."""
        if value is not None and value not in self.values:
            msg = (
                f"value: got {value!r}, expected one of {self.values} or None."
                f"{did_you_mean(value, self.values)}"
            )
            raise InvalidInputError(msg)
        places, last = np.asarray(position), np.asarray(last_click)
        state = state_number(self.states, places, last, self.n_positions)
        p1, p0 = (table[self._row(value)] for table in self.with_mean())
        return mixed(p1, p0, state, np.asarray(relevance, dtype=np.float64))

    def in_states_of(self, counts: ClickCounts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return p1 and p0 in the states of (other) counts."""
        rows = [self._row(value if counts.by else None) for value in counts.values]
        position = counts.position_of_state[: counts.states_per_value]
        last = np.arange(len(position)) - position * (position + 1) // 2 - 1
        states = state_number(self.states, position, last, self.n_positions)
        p1, p0 = self.with_mean()
        return p1[rows][:, states].ravel(), p0[rows][:, states].ravel()

    def _row(self, value: str | None) -> int:
        """Return the row of a context value in `with_mean`; the last, the mean, without one."""
        return self.values.index(value) if value in self.values else -1


def mixed(
    p1: NDArray[np.float64],
    p0: NDArray[np.float64],
    state: NDArray[np.int64],
    relevance: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return p1 r + p0 (1 - r)."""
    return np.asarray(p0[state] + (p1[state] - p0[state]) * relevance)
