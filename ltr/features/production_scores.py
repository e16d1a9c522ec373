"""The production system's own scores of documents, where all of them are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.pairs.training_pairs import TrainingPairs
from .matrix import is_pandas, is_table, to_polars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SCORE = "document_score"
_MAX_SCORE = np.finfo(np.float32).max


def production_scores(data: Any) -> NDArray[np.float32] | None:
    """Return the document_score of pairs or of a table; None unless every row has a finite one."""
    if isinstance(data, TrainingPairs):
        return _if_complete(data.document_score)
    if not is_table(data):
        return None
    frame = data if is_pandas(data) else to_polars(data)
    if _SCORE not in list(map(str, frame.columns)):
        return None
    column = frame[_SCORE]
    values = column.to_list() if isinstance(column, pl.Series) else column.tolist()
    return _from_values(values)


def production_scores_of_dicts(
    documents: Sequence[Mapping[str, Any]],
) -> NDArray[np.float32] | None:
    """Return the document_score of every document; None unless all have a finite one."""
    return _from_values([document.get(_SCORE) for document in documents])


def _from_values(values: Sequence[Any]) -> NDArray[np.float32] | None:
    try:
        return _if_complete(np.array(values, dtype=np.float64))
    except (TypeError, ValueError):
        return None


def _if_complete(scores: NDArray[np.float64]) -> NDArray[np.float32] | None:
    return scores.astype(np.float32) if (np.abs(scores) <= _MAX_SCORE).all() else None
