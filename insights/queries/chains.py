"""Queries that follow each other more often than by chance, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..statistics.false_discoveries import adjusted_p_values
from ..statistics.shrunk_rates import shrunk_shares
from ..statistics.tails import binomial_at_least

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .steps import Steps

    Floats = NDArray[np.float64]


def find_chains(
    steps: Steps, min_persons: int, least_lift: float, confidence: float
) -> pl.DataFrame:
    """Return pairs of queries of which the second followed the first for enough persons.

    Parameters
    ----------
    steps : Steps
    min_persons : int
        Persons who took the step.
    least_lift : float
        How many times as frequent as by chance is still taken for chance.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        ``from`` and ``to`` (codes), ``persons``, ``lift``, ``succeeded`` (share of whom the second
        query served) with ``succeeded_lower`` and ``succeeded_upper``, ``failed`` (persons whom
        the first had failed), ``rescued`` (those of them whom the second served),
        ``rescued_back`` (the same in the other direction), and p-values:
        ``p`` (more often than by chance), ``p_direction`` (rescued more often than back),
        ``p_gain`` (the second serves more often than the first).

    Notes
    -----
    By chance the step from a leads to b with the probability ``n_b / (N - n_a)``: n_b of all N
    steps lead to b, and none from a to a. ``p = P(X >= n) / P(X >= min_persons)`` for the binomial
    count of the persons n at `least_lift` times this probability: only pairs with as many are
    looked at, so the test is conditional on it. ``p_direction`` is the sign test, ``p_gain``
    Fisher's exact test.
    """
    counted = _counted(steps.steps)
    chosen = counted.filter(pl.col("persons") >= min_persons)
    back = counted.select(pl.col("to").alias("from"), pl.col("from").alias("to"), "rescued")
    chosen = (
        chosen.join(back, on=["from", "to"], how="left", suffix="_back", maintain_order="left")
        .with_columns(pl.col("rescued_back").fill_null(0))
        .join(_attempts(steps.attempts), on="from", how="left", maintain_order="left")
    )
    n, of, chance = (chosen[name].to_numpy() for name in ("persons", "steps_from", "chance"))
    served = shrunk_shares(chosen["served"], n, confidence=confidence)
    least = np.full(len(n), float(min_persons))
    usual = np.minimum(least_lift * chance, 1.0)
    enough = binomial_at_least(least, of.astype(float), usual)
    p = binomial_at_least(n.astype(float), of.astype(float), usual) / np.maximum(enough, 1e-300)
    return chosen.select(
        "from",
        "to",
        "persons",
        (pl.col("persons") / (pl.col("steps_from") * pl.col("chance"))).alias("lift"),
        pl.Series("succeeded", served.rate),
        pl.Series("succeeded_lower", served.lower),
        pl.Series("succeeded_upper", served.upper),
        "failed",
        "rescued",
        "rescued_back",
        pl.Series("p", np.minimum(p, 1.0)),
        pl.Series("p_direction", _direction(chosen)),
        pl.Series("p_gain", _gain(chosen)),
    ).with_columns(pl.Series("q", adjusted_p_values(np.minimum(p, 1.0))))


def _counted(steps: pl.DataFrame) -> pl.DataFrame:
    """Count persons by pair of queries, with the chance of the step."""
    failed = ~pl.col("from_succeeded")
    pairs = steps.group_by("from", "to").agg(
        pl.len().cast(pl.Int64).alias("persons"),
        pl.col("to_succeeded").sum().cast(pl.Int64).alias("served"),
        failed.sum().cast(pl.Int64).alias("failed"),
        (failed & pl.col("to_succeeded")).sum().cast(pl.Int64).alias("rescued"),
    )
    to = steps.group_by("to").agg(pl.len().cast(pl.Int64).alias("steps_to"))
    came_to_from = to.rename({"to": "from", "steps_to": "steps_to_from"})
    return (
        pairs.with_columns(pl.col("persons").sum().over("from").alias("steps_from"))
        .join(to, on="to", how="left")
        .join(came_to_from, on="from", how="left")
        .with_columns(
            (
                pl.col("steps_to")
                / (len(steps) - pl.col("steps_to_from").fill_null(0)).clip(lower_bound=1)
            )
            .clip(upper_bound=1.0)
            .alias("chance")
        )
        .sort("persons", "from", "to", descending=[True, False, False])
    )


def _attempts(attempts: pl.DataFrame) -> pl.DataFrame:
    """Count persons who tried a query, and those whom it served."""
    return attempts.group_by(pl.col("query").alias("from")).agg(
        pl.len().cast(pl.Int64).alias("tried"),
        pl.col("succeeded").sum().cast(pl.Int64).alias("tried_served"),
    )


def _direction(chosen: pl.DataFrame) -> Floats:
    rescued = chosen["rescued"].to_numpy().astype(float)
    both = rescued + chosen["rescued_back"].to_numpy()
    return binomial_at_least(rescued, both, np.full(len(both), 0.5))


def _gain(chosen: pl.DataFrame) -> Floats:
    """Return p of the second query serving those whom the first failed no better than the first."""
    from scipy import stats

    names = ("rescued", "failed", "tried", "tried_served")
    rescued, failed, tried, served = (chosen[name].to_numpy() for name in names)
    if not len(rescued):
        return np.zeros(0)
    p = stats.hypergeom.sf(rescued - 1, failed + tried, rescued + served, failed)
    return np.where(failed > 0, p, 1.0)
