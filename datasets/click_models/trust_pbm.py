"""The position-based click model with trust bias: false clicks that depend on the position.

Assumption: an examined document is clicked if it looks relevant, and readers who trust the ranker
take irrelevant documents for relevant the more often, the higher they are ranked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .state_model import StateModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TrustPBM(StateModel):
    """Trust-biased position-based model: ``P(click | q, d, k) = alpha_k r_qd + beta_k``.

    Parameters
    ----------
    by, prior_mean, prior_strength, max_iterations
        See `PBM`: one alpha and beta per value of `by`.
    tolerance : float
        Stop when no log P(click | relevant) moves by more, relative to position 0, and no beta.

    Attributes
    ----------
    examination_ : ndarray of float64, shape (n_positions,)
        alpha relative to position 0: what a difference in relevance is worth at a position.
    alpha_, beta_ : ndarray of float64, shape (n_positions,), or (n_values, n_positions) with `by`
        P(click) of an irrelevant document is beta, of a relevant one alpha + beta.
    curves_ : dict of str to ndarray of float64
        With `by`: value -> alpha relative to its position 0.
    relevance_, counts_, prior_mean_, identifiable_, n_iterations_
        See `PBM`.

    Notes
    -----
    Agarwal et al., "Addressing Trust Bias for Unbiased Learning-to-Rank" (WWW 2019) write
    ``theta_k (eps+_k r + eps-_k (1 - r))``. Clicks see eps and theta as products only, so the
    parameters here are ``alpha_k = theta_k (eps+_k - eps-_k)`` and ``beta_k = theta_k eps-_k``:
    the affine form of Vardasbi, Oosterhuis and de Rijke, "When Inverse Propensity Scoring does
    not Work" (CIKM 2020).

    What is identified: relevance up to an affine map r -> a r + b, which changes alpha by a factor
    and moves a share of alpha into beta. So `examination_`, and P(click) itself, but neither the
    height of beta nor how relevance is spread: those follow the start (small false clicks) and
    the prior. Documents that were shown at three positions or more contribute most.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> log = simulate_interactions(n_executions=2000, click_model="trust", random_state=0)
    >>> model = TrustPBM().fit(load_pairs(log))
    >>> model.alpha_.shape, bool((model.beta_ >= 0).all())
    ((10,), True)
    """

    false_clicks: ClassVar[bool] = True
    alpha_: NDArray[np.float64]
    beta_: NDArray[np.float64]

    def _name_parameters(self) -> None:
        table = self._table
        self.alpha_ = table.public(table.relevant - table.irrelevant)
        self.beta_ = table.public(table.irrelevant)

    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """Return the positive parameters that have `intervals`, by name."""
        return {**super().parameters(), "beta": self.beta_}
