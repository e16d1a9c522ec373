"""Whether what was learnt beats production: estimated on queries that the model did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..datasets.training_pairs import TrainingPairs
from ._feature_table import is_pandas, is_table, to_polars
from .choice import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from .click_readings import Documents

    Floats = NDArray[np.float64]

_SCORE = "document_score"
_LARGEST = np.finfo(np.float32).max

FOLDS = 2
FEWEST_QUERIES = 20
CONFIDENCE = 0.90
"""Two-sided; its lower end holds with 95 %."""


def gain_over_production(
    pairs: TrainingPairs,
    documents: Documents,
    curve: Floats,
    scores_of_others: Callable[[NDArray[np.bool_]], Floats],
    seed: int,
) -> Bound | None:
    """Estimate the gain of models over the logged order, on queries that they did not see.

    The queries are split in two; each half is scored by a model trained on the other.

    Parameters
    ----------
    pairs : TrainingPairs
    documents : Documents
    curve : ndarray of float64, shape (positions,)
        Examination by position.
    scores_of_others : callable
        Mask over the documents -> scores of all others by a model trained on these.
    seed : int

    Returns
    -------
    Bound or None
        None where there are too few queries.
    """
    from .counterfactual import evaluate_from_logs

    queries, number = np.unique(documents.query, return_inverse=True)
    if len(queries) < FEWEST_QUERIES:
        return None
    fold = np.random.default_rng(seed).permutation(len(queries)) % FOLDS
    of_document = fold[number]
    scores = np.empty(len(documents))
    for here in range(FOLDS):
        scores[of_document == here] = scores_of_others(of_document != here)
    report = evaluate_from_logs(
        pairs,
        scores[documents.of_row],
        examination=curve,
        pool="execution",
        clips=(),
        confidence=CONFIDENCE,
        require_overlap=False,
    )
    return Bound(report.gain.value, report.gain.lower, report.metric)


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
    return scores.astype(np.float32) if (np.abs(scores) <= _LARGEST).all() else None
