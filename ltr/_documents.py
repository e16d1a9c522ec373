"""Documents to be reranked: dicts or a table in, the same kind out, best first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..errors import InvalidInputError
from ._feature_table import feature_matrix, is_pandas, series_from_pandas, to_polars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Score = Callable[[NDArray[np.float32]], NDArray[np.float32]]
    Categories = Mapping[str, Sequence[str]]

logger = logging.getLogger("rankloom")

EXECUTION = "execution_id"

_LARGEST = float(np.finfo(np.float32).max)


def rank_dicts(
    documents: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    categories: Categories,
    score: Score,
) -> list[dict[str, Any]]:
    """Return copies of the documents with `score`, best first within each execution.

    Executions keep the order of their first document; ties keep the order given.
    """
    matrix = _matrix(documents, names, categories)
    if len(matrix) and np.isnan(matrix).all():
        logger.warning("rank: no document carries any of the model's %d features", len(names))
    scores = score(matrix)
    executions = [document.get(EXECUTION) for document in documents]
    order = _best_first(scores, _first_seen(executions))
    return [{**documents[i], "score": float(scores[i])} for i in order]


def rank_table(table: Any, names: Sequence[str], categories: Categories, score: Score) -> Any:
    """Return the table with a column `score`, best first within each execution."""
    scores = score(feature_matrix(table, names, categories))
    if is_pandas(table):
        order = _best_first(scores, _executions(table, list(map(str, table.columns))))
        return table.assign(score=scores).iloc[order]
    frame = to_polars(table)
    order = _best_first(scores, _executions(frame, frame.columns))
    ranked = frame.with_columns(pl.Series("score", scores))[order]
    return ranked if isinstance(table, pl.DataFrame) else ranked.to_arrow()


def _matrix(
    documents: Sequence[Mapping[str, Any]], names: Sequence[str], categories: Categories
) -> NDArray[np.float32]:
    matrix = np.full((len(documents), len(names)), np.nan, dtype=np.float32)
    codes = {name: {c: i for i, c in enumerate(values)} for name, values in categories.items()}
    for i, document in enumerate(documents):
        features = _features(i, document)
        for j, name in enumerate(names):
            value = features.get(name, document.get(name))
            if value is not None:
                matrix[i, j] = _number(i, name, value, codes.get(name))
    return matrix


def _features(index: int, document: Any) -> Mapping[str, Any]:
    """Return the document's own features, after checking the fields that every document has."""
    if not isinstance(document, dict):
        msg = f"documents[{index}]: expected a dict, got {type(document).__name__}"
        raise InvalidInputError(msg)
    features = document.get("features")
    if features is not None and not isinstance(features, dict):
        msg = (
            f"documents[{index}].features: expected a dict of feature name to number, "
            f"got {type(features).__name__}"
        )
        raise InvalidInputError(msg)
    for name in ("feature_id", EXECUTION):
        value = document.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            msg = f"documents[{index}].{name}: expected text, got {value!r:.80}"
            raise InvalidInputError(msg)
    score = document.get("document_score")
    if score is not None:
        _number(index, "document_score", score, None)
    return features or {}


def _number(index: int, name: str, value: Any, codes: Mapping[str, int] | None) -> float:
    if codes is not None:
        if not isinstance(value, str):
            msg = f"documents[{index}].{name}: a categorical feature needs text, got {value!r:.80}"
            raise InvalidInputError(msg)
        return codes.get(value, np.nan)
    if not isinstance(value, int | float | np.number | np.bool_):
        msg = f"documents[{index}].{name}: expected a number or null, got {value!r:.80}"
        raise InvalidInputError(msg)
    if value != value:  # noqa: PLR0124 - NaN, of whatever type
        return np.nan
    if not -_LARGEST <= value <= _LARGEST:
        msg = f"documents[{index}].{name}: expected a finite float32 number, got {value!r:.80}"
        raise InvalidInputError(msg)
    return float(value)


def _first_seen(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return a number for each value, in the order of their first occurrence."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def _executions(table: Any, columns: Sequence[str]) -> NDArray[np.int64]:
    if EXECUTION not in columns:
        return np.zeros(len(table), dtype=np.int64)
    column = table[EXECUTION]
    values = column if isinstance(column, pl.Series) else series_from_pandas(column, EXECUTION)
    return _first_seen(values.to_list())


def _best_first(scores: NDArray[np.float32], execution: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.lexsort((-scores, execution))
