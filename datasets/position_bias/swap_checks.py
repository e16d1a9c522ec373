"""Signs that swaps say where documents were clicked, and not how positions were examined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.pair_counts import PairCounts
    from .moves import Moves

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95

EQUALS_RATES = "The curve from swaps does not differ from the raw click rates by position"


def equals_click_rates(
    counts: PairCounts, positions: NDArray[np.int64], log_curve: Floats, information: Floats
) -> bool:
    """Whether a curve from swaps fits the click rates of all documents, and could have missed them.

    Wald's test at 95 %; "could have": the square root of the rates would be refused. `counts`: of
    all pairs, swapped or not. `log_curve`, `information`: at `positions`, the first of which is 0.
    """
    from scipy import stats

    clicks = np.bincount(counts.position, counts.clicks, counts.n_positions)[positions]
    shown = np.bincount(counts.position, counts.shown, counts.n_positions)[positions]
    rates = np.log(clicks / shown)
    rates -= rates[0]
    limit = float(stats.chi2.ppf(CONFIDENCE, len(positions) - 1))

    def distance(other: Floats) -> float:
        return float((log_curve - other) @ information @ (log_curve - other))

    return distance(rates) <= limit < distance(rates / 2)


def swap_notes(moves: Moves | None, *, equal: bool) -> tuple[str, ...]:
    """Return what is to be said of the swaps, if anything."""
    if moves is not None and moves.follow_clicks:
        note = (
            "Moves follow clicks: documents clicked more often than others at their position "
            f"moved up later (by {moves.excess:.4f} in click rate, z = {moves.z:.1f}), as where "
            "production learns from clicks. Swaps then overstate the effect of the position."
        )
        return (f"{note} {EQUALS_RATES}.",) if equal else (note,)
    if equal:
        note = (
            f"{EQUALS_RATES}: right where lists were in random order, too steep where documents "
            "moved because their relevance or clicks had changed."
        )
        return (note,)
    return ()
