"""Documents of queries that stand too low, or too high, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..statistics.false_discoveries import adjusted_p_values
from ..statistics.shrunk_rates import shrunk_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..statistics.group_rates import Question
    from .neighbours import Neighbours

    Floats = NDArray[np.float64]


def pair_table(found: Neighbours, question: Question, rate: float) -> pl.DataFrame:
    """Return one row for every query and document.

    Returns
    -------
    DataFrame
        ``query`` and ``document`` (codes), ``displays``, ``persons``, ``position``, ``examined``,
        ``engaged``; ``engagement`` by examination with limits, drawn towards that of its
        neighbours; ``engagement_above`` and ``engagement_below`` of the documents above and below
        it; ``wanted_q``, ``disappointing_q``; ``verdict``: "wanted" or "disappointing" where that
        is at most `rate`, "in place" where it was tested, else null.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        above = found.above_engaged / found.above_examined
        below = found.below_engaged / found.below_examined
    both = found.above_examined + found.below_examined
    around = (found.above_engaged + found.below_engaged) / np.maximum(both, 1e-300)
    overall = found.engaged.sum() / max(float(found.examined.sum()), 1e-300)
    prior = np.where(both > 0, around, overall)
    own = shrunk_rates(found.engaged, found.examined, mean=prior, confidence=question.confidence)
    wanted, low = adjusted_p_values(found.wanted), adjusted_p_values(found.disappointing)
    tested = ~(np.isnan(wanted) & np.isnan(low))
    return pl.DataFrame(
        {
            "query": found.query,
            "document": found.document,
            "displays": found.displays,
            "persons": found.persons,
            "position": found.position,
            "examined": found.examined,
            "engaged": found.engaged,
            "engagement": own.rate,
            "engagement_lower": own.lower,
            "engagement_upper": own.upper,
            "engagement_above": above,
            "engagement_below": below,
            "wanted_q": wanted,
            "disappointing_q": low,
        }
    ).with_columns(
        pl.when(pl.col("wanted_q") <= rate)
        .then(pl.lit("wanted"))
        .when(pl.col("disappointing_q") <= rate)
        .then(pl.lit("disappointing"))
        .when(pl.Series(tested))
        .then(pl.lit("in place"))
        .alias("verdict")
    )
