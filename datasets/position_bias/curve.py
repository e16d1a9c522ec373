"""One examination curve with its intervals and the evidence behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..counts.bootstrap import no_intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .features import Confounding
    from .moves import Moves


@dataclass(frozen=True, eq=False)
class PositionGroup:
    """Positions that swaps tie to each other, but not to position 0.

    g is the number of its positions, at least 2.
    """

    positions: NDArray[np.int64]  # shape (g,), ascending
    ratio: NDArray[np.float64]  # shape (g,): examination relative to the first of the group
    lower: NDArray[np.float64]  # shape (g,): pointwise limits; NaN without a bootstrap
    upper: NDArray[np.float64]  # shape (g,)

    def __str__(self) -> str:
        """Return the positions and their ratios, on one line."""
        ratios = [
            f"{ratio:.4f}" + (f" ({low:.4f}-{high:.4f})" if np.isfinite(low) else "")
            for ratio, low, high in zip(self.ratio[1:], self.lower[1:], self.upper[1:], strict=True)
        ]
        return f"{', '.join(map(str, self.positions))}: 1, {', '.join(ratios)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; unknown limits are None."""
        return {
            "positions": self.positions.tolist(),
            "ratio": self.ratio.tolist(),
            "lower": _plain(self.lower),
            "upper": _plain(self.upper),
        }


@dataclass(frozen=True, eq=False)
class ExaminationCurve:
    """Examination by position, with intervals and the evidence behind it.

    m is the number of positions that the curve covers, k the number of positions counted.
    """

    # shape (m,): probability of examination relative to position 0; beyond it the last value
    # holds. NaN where positions are tied to others, but not to position 0
    examination: NDArray[np.float64]
    lower: NDArray[np.float64]  # shape (m,): pointwise limits; NaN without a bootstrap
    upper: NDArray[np.float64]  # shape (m,)
    # shape (m,): limits that hold for all positions at once; NaN without a bootstrap
    band_lower: NDArray[np.float64]
    band_upper: NDArray[np.float64]  # shape (m,)
    # shape (k, k): (query, document) pairs shown at both positions; on the diagonal, at that one
    swaps: NDArray[np.int64]
    # shape (k, k): clicks at the row's position of the pairs shown at both
    swap_clicks: NDArray[np.float64]
    connected: bool  # whether the curve covers every position that was shown
    n_queries: int  # queries with a document that was clicked and shown at several positions
    # Curve of every estimator over the m positions, NaN where it has no evidence
    estimates: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # Estimator -> largest relative difference from this curve over the positions it covers
    disagreement: dict[str, float] = field(default_factory=dict)
    # "swaps", "features" -> their share of the estimate's precision; shape (m,)
    contributions: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    # shape (m, m): covariance of log examination, where features contributed
    log_covariance: NDArray[np.float64] | None = None
    # "sampling", "confounding" -> standard errors of log examination; shape (m,). By features only
    errors: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    confounding: Confounding | None = None  # how far features predict positions and clicks
    # Whether swaps and features are further apart than their errors explain
    contradicted: bool = False
    moves: Moves | None = None  # whether documents' moves follow their clicks
    groups: tuple[PositionGroup, ...] = ()  # positions tied to each other alone
    notes: tuple[str, ...] = ()  # limits of the estimate

    def __len__(self) -> int:
        """Return the number of positions that the curve covers."""
        return len(self.examination)

    def at(self, position: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the examination of 0-based positions; beyond the curve its last value."""
        values = self.examination.astype(np.float32)
        return values[np.minimum(position, len(values) - 1)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; unknown limits are None."""
        limits = ("lower", "upper", "band_lower", "band_upper")
        return {
            "examination": _plain(self.examination),
            **{name: _plain(getattr(self, name)) for name in limits},
            "swaps": self.swaps.tolist(),
            "swap_clicks": self.swap_clicks.tolist(),
            "connected": self.connected,
            "n_queries": self.n_queries,
            "estimates": {name: _plain(curve) for name, curve in self.estimates.items()},
            "disagreement": dict(self.disagreement),
            "contributions": {name: _plain(share) for name, share in self.contributions.items()},
            "errors": {name: _plain(error) for name, error in self.errors.items()},
            "confounding": None if self.confounding is None else self.confounding.to_dict(),
            "contradicted": self.contradicted,
            "moves": None if self.moves is None else self.moves.to_dict(),
            "groups": [group.to_dict() for group in self.groups],
            "notes": list(self.notes),
        }


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def known_curve(examination: NDArray[np.float64]) -> ExaminationCurve:
    """Return a curve that was given, not estimated."""
    nothing = no_intervals(len(examination))
    return ExaminationCurve(
        examination / examination[0],
        nothing.lower,
        nothing.upper,
        nothing.band_lower,
        nothing.band_upper,
        swaps=np.zeros((0, 0), dtype=np.int64),
        swap_clicks=np.zeros((0, 0)),
        connected=True,
        n_queries=0,
        notes=("given, not estimated from a log",),
    )
