"""The estimators of a curve from swaps, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..click_models.pbm import PBM
from .harvesting import adjacent, all_pairs, pivot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.pair_counts import PairCounts

EstimatorName = Literal["auto", "features", "all_pairs", "pivot", "adjacent", "em"]


class CurveEstimator(Protocol):
    """Counts and weights of the pairs -> log examination, NaN where there is no evidence."""

    def __call__(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return log examination, 0 at position 0."""
        ...


class ExpectationMaximisation:
    """The position-based model's examination; remembers its first fit to start the next from."""

    def __init__(self) -> None:
        self.first: PBM | None = None

    def __call__(
        self,
        counts: PairCounts,
        weight: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return log examination, 0 at position 0."""
        del start  # the first fit holds the relevances too
        tolerance = 1e-5 if self.first is None else 1e-4
        model = PBM(prior_strength=0.0, tolerance=tolerance)
        model.fit(counts, weight=weight, start=self.first)
        self.first = self.first or model
        log_curve: NDArray[np.float64] = np.log(model.examination_)
        return log_curve


def make_estimator(name: str) -> CurveEstimator:
    """Return a fresh estimator by its name."""
    if name == "em":
        return ExpectationMaximisation()
    simple: dict[str, CurveEstimator] = {
        "all_pairs": all_pairs,
        "pivot": pivot,
        "adjacent": adjacent,
    }
    return simple[name]


ESTIMATORS: tuple[EstimatorName, ...] = ("all_pairs", "pivot", "adjacent", "em")
"""Those that need swaps."""
