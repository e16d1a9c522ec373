"""Counts of clicks and curves of examination from parts, whose pairs stay with the workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..counts.click_counts import ClickCounts, click_counts
from ..counts.merged_counts import merged_counts
from ..counts.pair_counts import MAX_POSITIONS
from ..position_bias.estimator import PositionBias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..counts.click_counts import StateName
    from .part_pairs import PairParts, PartRows


@dataclass(frozen=True, eq=False)
class CountedDocuments:
    """Counts of all parts, and the features of each document in its latest execution.

    Attributes
    ----------
    counts : ClickCounts
        `row` is among all pairs of the log.
    X : ndarray of float32, shape (m, n_features)
    """

    counts: ClickCounts
    X: NDArray[np.float32]


def count_documents(
    parts: PairParts,
    states: StateName = "position",
    *,
    by: str | None = None,
    weighted: bool = True,
    max_position: int | None = None,
) -> CountedDocuments:
    """Return what `click_counts` counts in all pairs, and the features of its rows.

    Workers count each part, and this process adds the counts: it holds one row a distinct
    (query, document). Click models are fitted on the counts as they are on pairs. Sums are
    those of one process but for rounding; see `click_counts` for parameters and errors.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from distributed import Client
    >>> from rankloom.datasets import PBM, simulate_interactions
    >>> from rankloom.datasets.distributed import count_documents, pair_parts
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = Path(folder.name, "log.parquet")
    >>> simulate_interactions(n_executions=100, random_state=0).write_parquet(log)
    >>> with (
    ...     Client(processes=False, n_workers=1, dashboard_address=":0") as client,
    ...     pair_parts(log, client=client, workdir=folder.name) as parts,
    ... ):
    ...     found = count_documents(parts)
    >>> float(found.counts.shown.sum()), len(PBM().fit(found.counts).relevance_) == len(found.X)
    (1000.0, True)
    >>> folder.cleanup()
    """
    found = [
        each
        for each in parts.run("count", _count, states, by, weighted, max_position)
        if each is not None
    ]
    counts = merged_counts([each.counts for each in found])
    X = np.empty((len(counts), found[0].X.shape[1]), np.float32)
    for each in found:
        document = np.searchsorted(counts.key, each.counts.key)
        latest = counts.row[document] == each.counts.row
        X[document[latest]] = each.X[latest]
    counts = replace(counts, queries=parts.queries, documents=parts.documents)
    return CountedDocuments(counts, X)


def _count(
    rows: PartRows,
    states: StateName,
    by: str | None,
    weighted: bool,  # noqa: FBT001 - tasks take their arguments by place
    max_position: int | None,
) -> CountedDocuments | None:
    """Count one part; None where it has no pair."""
    pairs = rows.pairs
    if not len(pairs):
        return None
    counts = click_counts(pairs, states, by=by, weighted=weighted, max_position=max_position)
    X, nothing = pairs.X[counts.row], pl.Series(dtype=pl.String)
    own = replace(counts, row=rows.row[counts.row], queries=nothing, documents=nothing)
    return CountedDocuments(own, X)


def fit_position_bias(parts: PairParts, bias: PositionBias | None = None) -> PositionBias:
    """Fit an examination curve by swaps to all parts; see `PositionBias.fit_counts`.

    Parameters
    ----------
    parts : PairParts
    bias : PositionBias, optional
        With an estimator by swaps; ``PositionBias("all_pairs")`` if None.
    """
    bias = PositionBias("all_pairs") if bias is None else bias
    # Deeper positions are counted as one more, which the fit leaves out.
    limit = MAX_POSITIONS if bias.max_position is None else bias.max_position + 1
    return bias.fit_counts(count_documents(parts, weighted=False, max_position=limit).counts)
