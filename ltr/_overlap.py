"""How much of what a candidate would show the log has shown, and what follows from too little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._estimators import Displays, Target

    Floats = NDArray[np.float64]

LEAST_VARIED = 0.05


@dataclass(frozen=True)
class Overlap:
    """What the log has shown of a candidate's top k; shares weigh by discount and traffic.

    Attributes
    ----------
    shown : float
        Share that can have been shown: that the log showed or, where propensities were given,
        whose propensity is above 0.
    varied : float or None
        Share that was shown at several positions, or in some executions of its query only, among
        the queries that were asked more than once; None if there are none.
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
    documents = displays.documents
    mass = target.weight * documents.traffic
    possible = displays.propensity > 0
    reached = mass * possible
    repeated = mass * (documents.asked[documents.query] > 1)
    varied = repeated[_varied(displays, position)].sum()
    wanted = possible & (mass > 0)
    return Overlap(
        shown=1.0 if (mass[~possible] == 0).all() else _share(reached.sum(), mass.sum()),
        varied=_share(varied, repeated.sum()) if repeated.sum() > 0 else None,
        clipped=_share(reached[displays.propensity < clip].sum(), reached.sum()),
        smallest_propensity=float(displays.propensity[wanted].min(initial=np.inf)),
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _varied(displays: Displays, position: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each document was shown at several positions, or in some executions only."""
    documents = displays.documents
    lowest = np.full(len(documents), np.iinfo(np.int32).max)
    highest = np.full(len(documents), -1)
    np.minimum.at(lowest, documents.of_row, position)
    np.maximum.at(highest, documents.of_row, position)
    shown = documents.shown
    return np.asarray(
        (lowest < highest) | ((shown > 0) & (shown < documents.asked[documents.query]))
    )


def effective_sample_size(displays: Displays, target: Target, clip: float) -> float:
    """Return (sum of weights)^2 / sum of squared weights over the displays that have any.

    A display's weight is the discount of its document over its clipped propensity (Kish, "Survey
    Sampling", 1965): so many equally weighted displays would tell as much.
    """
    weight = displays.weight(target, clip)[displays.documents.of_row]
    squares = float(np.sum(weight**2))
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def missing_overlap(overlap: Overlap, k: int, who: str) -> str | None:
    """Return in plain words why the log cannot tell a value; None if it can."""
    if overlap.shown < 1:
        return (
            f"{1 - overlap.shown:.1%} of what {who} would show among the first {k} (weighted by "
            "rank) was never shown, so the log cannot tell its value. Show such documents to some "
            "users, or rank those alone that were shown"
        )
    if overlap.varied is None:
        return (
            "no query was asked twice, so nothing says that lists ever varied: the estimate would "
            "rest on the examination curve alone"
        )
    if overlap.varied < LEAST_VARIED:
        return (
            f"{1 - overlap.varied:.1%} of what {who} would show among the first {k} was always "
            "shown in one place: one deterministic ranker drew up the lists, and the log holds "
            "nothing of what would happen elsewhere. Let rankers differ, or shuffle some lists"
        )
    return None
