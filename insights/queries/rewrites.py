"""Candidates for rewrites and synonyms, from chains that end in success."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..statistics.false_discoveries import adjusted_p_values

if TYPE_CHECKING:
    from numpy.typing import NDArray


def find_rewrites(
    chains: pl.DataFrame, cluster: NDArray[np.int64], rate: float, min_persons: int
) -> pl.DataFrame:
    """Return candidates, the best supported first.

    A rewrite is directional: the first query failed people and the second served them, more often
    than by chance, than the other way round, and than the first query serves its own searches. Its
    p-value is the largest of the three. Both directions are tested of every two queries with a
    step beyond chance in either: that choice favours none. Synonyms have such a step, lead to the
    same documents, and the second query served at least `min_persons` whom the first had failed.

    `chains`: what `find_chains` returns. `cluster`: of every query. `rate`: of false discoveries.

    Returns
    -------
    DataFrame
        ``from`` and ``to`` (codes), ``kind``, ``persons``, ``failed``, ``rescued``,
        ``rescued_back``, ``q``.
    """
    chains = chains.with_columns(
        pl.Series("alike", cluster[chains["from"]] == cluster[chains["to"]]),
        pl.min_horizontal("from", "to").alias("low"),
        pl.max_horizontal("from", "to").alias("high"),
    )
    beyond = chains.filter(pl.col("q") <= rate).select("low", "high").unique()
    chains = chains.join(beyond, on=["low", "high"], how="semi", maintain_order="left")
    together = np.ones(2 * len(beyond))  # a direction that too few took is not among the chains
    together[: len(chains)] = chains.select(
        pl.max_horizontal("p", "p_direction", "p_gain")
    ).to_series()
    chains = chains.with_columns(
        pl.Series("q_rewrite", adjusted_p_values(together)[: len(chains)]),
    )
    rewrite = pl.col("q_rewrite") <= rate
    synonym = (
        ~rewrite & (pl.col("q") <= rate) & pl.col("alike") & (pl.col("rescued") >= min_persons)
    )
    found = chains.filter(rewrite | synonym).with_columns(
        pl.when(rewrite).then(pl.lit("rewrite")).otherwise(pl.lit("synonym")).alias("kind"),
        pl.when(rewrite).then("q_rewrite").otherwise("q").alias("q"),
    )
    return (
        # Of synonyms in both directions the more frequent one; a rewrite has one direction.
        found.sort("kind", "rescued", "from", "to", descending=[False, True, False, False])
        .unique(["low", "high"], keep="first", maintain_order=True)
        .select("from", "to", "kind", "persons", "failed", "rescued", "rescued_back", "q")
    )
