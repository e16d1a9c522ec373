"""Overlap: how much of what a candidate would show was shown, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.clustered import effective_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .estimators import Displays, Target

    Floats = NDArray[np.float64]

MIN_VARIED = 0.05


@dataclass(frozen=True)
class Overlap:
    """What was shown of a candidate's top k; shares are weighted by discount and executions.

    Attributes
    ----------
    shown : float
        Share that can have been shown: documents that the log showed or, where propensities were
        given, whose propensity is above 0.
    varied : float or None
        Share that was shown at several positions, or in some executions of its query only, among
        the queries with more than one execution; None if there are none.
    clipped : float
        Share of the documents shown whose propensity is below the clip.
    smallest_propensity : float
        Of the documents shown.
    """

    shown: float
    varied: float | None
    clipped: float
    smallest_propensity: float


def find_overlap(
    displays: Displays, target: Target, position: NDArray[np.int32], clip: float
) -> Overlap:
    """Return the overlap of a target with the log."""
    executions = displays.log.executions
    mass, propensity = target.weight * executions, displays.propensity
    repeated = mass * (executions > 1)
    varied = repeated[_varied(displays, position)].sum()
    shown = 1.0 if (mass[propensity == 0] == 0).all() else _share(mass[propensity > 0], mass)
    if displays.row_level and target.by_row is not None:
        mass, propensity = target.by_row, displays.examination
    reached = mass * (propensity > 0)
    return Overlap(
        shown=shown,
        varied=float(varied / repeated.sum()) if repeated.sum() > 0 else None,
        clipped=_share(reached[propensity < clip], reached),
        smallest_propensity=float(propensity[reached > 0].min(initial=np.inf)),
    )


def _share(part: Floats, whole: Floats) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() > 0 else 0.0


def _varied(displays: Displays, position: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each document was shown at several positions, or in some executions only."""
    shown = displays.log.shown
    lowest = np.full(len(shown), np.iinfo(np.int32).max)
    highest = np.full(len(shown), -1)
    np.minimum.at(lowest, displays.document, position)
    np.maximum.at(highest, displays.document, position)
    return np.asarray((lowest < highest) | ((shown > 0) & (shown < displays.log.executions)))


def effective_sample_size(displays: Displays, target: Target, clip: float) -> float:
    """Return the effective number of displays: a weight is discount over clipped propensity."""
    return effective_size(displays.weight(target, clip))


def missing_overlap(
    overlap: Overlap, k: int, ranking: str, *, by_features: bool = False
) -> str | None:
    """Return in words why the log does not identify a ranking's value; None if it does.

    `by_features`: whether the curve was estimated with the help of features, so that it does not
    depend on documents that were shown at several positions.
    """
    if overlap.shown < 1:
        return (
            f"{1 - overlap.shown:.1%} of what {ranking} would show among the first {k} (weighted "
            "by rank) was never shown, so its value cannot be estimated from the log. Show such "
            "documents to some users, or rank only those that were shown"
        )
    if by_features:
        return None
    if overlap.varied is None:
        return (
            "no query has two executions, so there is no evidence that lists ever varied: the "
            "estimate would depend on the examination curve alone"
        )
    if overlap.varied < MIN_VARIED:
        return (
            f"{1 - overlap.varied:.1%} of what {ranking} would show among the first {k} was always "
            "shown at one position: one deterministic ranker ordered the lists, and the log holds "
            "no evidence about other positions. Use several rankers, or shuffle some lists"
        )
    return None
