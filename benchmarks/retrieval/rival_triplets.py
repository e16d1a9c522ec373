"""Triplets as others take them from clicks, without a correction for position.

``skipped above``: within a list, a clicked document against each unclicked one that stood above it
(Joachims, "Optimizing Search Engines Using Clickthrough Data", KDD 2002). ``any unclicked``: a
clicked document against each unclicked one of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from rankloom.datasets import TrainingPairs


def clicked_against(pairs: TrainingPairs, *, above: bool) -> pl.DataFrame:
    """Return the distinct triplets of a log with the number of lists that say so, most first.

    Columns as in `TrainingTriplets.frame`, as far as they apply, and ``lists``.
    """
    rows = pl.DataFrame(
        {
            "execution": pairs.execution_index,
            "query": np.repeat(pairs.query_code, pairs.group),
            "document": pairs.document_code,
            "position": pairs.position,
            "clicked": pairs.clicked,
        }
    )
    both = rows.filter("clicked").join(rows.filter(~pl.col("clicked")), on="execution")
    if above:
        both = both.filter(pl.col("position_right") < pl.col("position"))
    keys = ["query", "document", "document_right"]
    found = both.group_by(keys).agg(lists=pl.len())
    found = found.sort("lists", *keys, descending=[True, False, False, False])
    query = pairs.queries.gather(found["query"])
    return pl.DataFrame(
        {
            "part": pl.repeat("train", len(found), eager=True),
            "query_id": query,
            "positive_id": pairs.documents.gather(found["document"]),
            "negative_id": pairs.documents.gather(found["document_right"]),
            "weight": found["lists"].cast(pl.Float64),
            "lists": found["lists"],
        }
    )
