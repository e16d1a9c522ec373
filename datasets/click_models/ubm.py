"""The user browsing model.

Assumption: whether a document is examined depends on its position and on where the reader clicked
last; an examined document is clicked if and only if it is relevant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..._shared.jit import kernel
from .state_model import StateModel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..counts.click_counts import StateName
    from ..pairs.training_pairs import TrainingPairs


class UBM(StateModel):
    """User browsing model: ``P(click | q, d, k, j) = theta_kj r_qd``, j the last click above.

    Parameters
    ----------
    by, prior_mean, prior_strength, max_iterations, tolerance
        See `PBM`.
    state_strength : float
        Pseudo-showings that draw a theta_kj to the mean of all states of position k: long lists
        have many states with few showings.

    Attributes
    ----------
    theta_ : ndarray of float64, shape (n_states,), or (n_values, n_states) with `by`
        In the order of ``click_counts(pairs, "last_click")``; see `theta`.
    examination_, curves_, relevance_, counts_, prior_mean_, identifiable_, n_iterations_
        See `PBM`.

    Notes
    -----
    Dupret and Piwowarski, "A User Browsing Model to Predict Search Engine Click Data from Past
    Observations" (SIGIR 2008). Fitted as `PBM` is, on counts by position and last click; what is
    identified is the same: theta up to a factor.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=2000, random_state=0)
    >>> model = UBM().fit(load_pairs(log))
    >>> model.theta_.shape, model.theta(3, 1).shape
    ((55,), ())
    """

    states: ClassVar[StateName] = "last_click"
    theta_: NDArray[np.float64]

    def __init__(
        self,
        *,
        by: str | None = None,
        prior_mean: float | None = None,
        prior_strength: float = 2.0,
        state_strength: float = 1.0,
        max_iterations: int = 300,
        tolerance: float = 1e-5,
    ) -> None:
        super().__init__(
            by=by,
            prior_mean=prior_mean,
            prior_strength=prior_strength,
            max_iterations=max_iterations,
            tolerance=tolerance,
        )
        self.state_strength = state_strength

    def theta(
        self, position: ArrayLike, last_click: ArrayLike = -1, *, value: str | None = None
    ) -> NDArray[np.float64]:
        """Return the examination of 0-based positions; last_click is -1 if none was above."""
        return self.click_probability(position, 1.0, last_click, value=value)

    def click_probability(
        self,
        position: ArrayLike,
        relevance: ArrayLike,
        last_click: ArrayLike = -1,
        *,
        value: str | None = None,
    ) -> NDArray[np.float64]:
        """Return P(click) at 0-based positions, given the position of the last click above.

        Parameters
        ----------
        position : array-like of int
            Beyond the fit, its last position.
        relevance : array-like of float
        last_click : array-like of int
            -1 where nothing above was clicked.
        value : str, optional
            A context value, of a model fitted with `by`; the values' mean without it.
        """
        self._check_fitted()
        return self._table.chance(position, relevance, last_click, value)

    def row_click_probability(
        self, pairs: TrainingPairs, *, conditional: bool = True
    ) -> NDArray[np.float64]:
        """Return P(click) of every row of (other) pairs; see `ClickModel`."""
        if conditional:
            return super().row_click_probability(pairs)
        self._check_log()
        number, chance = self.counts_.values_of(pairs), np.empty(len(pairs))
        table, relevance = self._table.with_mean()[0], self._relevance_of(pairs)
        number[number < 0] = len(table) - 1
        _marginal(
            pairs.offsets, pairs.position, number, relevance, table, self._table.n_positions, chance
        )
        return chance

    def _name_parameters(self) -> None:
        self.theta_ = self._table.public(self._table.relevant)

    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """Return the positive parameters that have `intervals`, by name."""
        relative = self.theta_ / self.theta_[..., :1]
        return {**super().parameters(), "relative_theta": relative}


@kernel
def _marginal(
    offsets: NDArray[np.int64],
    position: NDArray[np.int32],
    number: NDArray[np.int64],
    relevance: NDArray[np.float64],
    table: NDArray[np.float64],
    n_positions: int,
    chance: NDArray[np.float64],
) -> None:
    """Fill in P(click) of every row by the distribution of the last click above it."""
    last = np.empty(n_positions + 1)  # P(last click above was at j - 1)
    missed = np.empty(n_positions + 1)  # P(no click at this position | last click)
    for execution in range(len(offsets) - 1):
        last[:], missed[:], above = 0.0, 1.0, -1
        last[0] = 1.0
        for row in range(offsets[execution], offsets[execution + 1]):
            k = min(position[row], n_positions - 1)
            # Results that share a position do not see each other's clicks: the last click moves
            # on only where the position does.
            if above >= 0 and position[row] > position[row - 1]:
                clicked = 0.0
                for j in range(above + 1):
                    clicked += last[j] * (1 - missed[j])
                    last[j] *= missed[j]
                    missed[j] = 1.0
                last[min(above, n_positions - 2) + 1] += clicked
            above = k
            total = 0.0
            for j in range(k + 1):
                state = k * (k + 1) // 2 + j
                examined = table[number[row], state] * relevance[row]
                total += last[j] * examined
                missed[j] *= 1 - examined
            chance[row] = total
