"""Documents to be reranked: dicts or a table in, the same kind out, best first."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.pairs.feature_columns import DAY, MISSING_TEXTS, TRUTHS
from ...datasets.record.fault import FaultError
from ...datasets.record.times import microseconds, moment_of
from ...errors import InvalidInputError
from .matrix import feature_matrix, is_pandas, series_from_pandas, to_polars
from .unknown_categories import UnknownCategories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Score = Callable[[NDArray[np.float32]], NDArray[np.float32]]
    Categories = Mapping[str, Sequence[str]]

logger = logging.getLogger("rankloom")

EXECUTION = "execution_id"

_MAX_FEATURE = float(np.finfo(np.float32).max)


def rank_dicts(
    documents: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    categories: Categories,
    score: Score,
    unknown: UnknownCategories | None = None,
) -> list[dict[str, Any]]:
    """Return copies of the documents with `score`, best first within each execution.

    Executions are in the order of their first document, ties in the order given. `unknown` counts
    categories that the model was not trained on.
    """
    matrix = document_matrix(documents, names, categories, unknown)
    if len(matrix) and np.isnan(matrix).all():
        logger.warning("rank: no document carries any of the model's %d features", len(names))
    scores = score(matrix)
    executions = [document.get(EXECUTION) for document in documents]
    order = _best_first(scores, _numbered(executions))
    return [{**documents[i], "score": float(scores[i])} for i in order]


def rank_table(
    table: Any,
    names: Sequence[str],
    categories: Categories,
    score: Score,
    unknown: UnknownCategories | None = None,
) -> Any:
    """Return the table with a column `score`, best first within each execution."""
    scores = score(feature_matrix(table, names, categories, unknown))
    if is_pandas(table):
        order = _best_first(scores, _executions(table, list(map(str, table.columns))))
        return table.assign(score=scores).iloc[order]
    frame = to_polars(table)
    order = _best_first(scores, _executions(frame, frame.columns))
    ranked = frame.with_columns(pl.Series("score", scores))[order]
    return ranked if isinstance(table, pl.DataFrame) else ranked.to_arrow()


def ids_of_table(table: Any) -> list[str]:
    """Return the feature_id of every row as text; empty ones without such a column."""
    frame = table if is_pandas(table) else to_polars(table)
    if "feature_id" not in list(map(str, frame.columns)):
        return [""] * len(frame)
    column = frame["feature_id"]
    values = column.to_list() if isinstance(column, pl.Series) else column.tolist()
    return [str(value) for value in values]


def document_matrix(
    documents: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    categories: Categories,
    unknown: UnknownCategories | None = None,
) -> NDArray[np.float32]:
    """Return the named features of documents, shape (n, n_features); NaN where absent."""
    unknown = UnknownCategories() if unknown is None else unknown
    matrix = np.full((len(documents), len(names)), np.nan, dtype=np.float32)
    codes = {name: {c: i for i, c in enumerate(values)} for name, values in categories.items()}
    for i, document in enumerate(documents):
        features = _features(i, document)
        for j, name in enumerate(names):
            value = features.get(name, document.get(name))
            if value is None:
                continue
            if name in codes:
                matrix[i, j] = _code(i, name, value, codes[name], unknown)
            else:
                matrix[i, j] = _number(i, name, _days(name, value))
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
        _number(index, "document_score", score)
    return features or {}


def _code(
    index: int, name: str, value: Any, codes: Mapping[str, int], unknown: UnknownCategories
) -> float:
    """Return the code of a category, by the rules of `category_texts`; NaN where unknown."""
    if isinstance(value, float | np.floating) and np.isnan(value):
        return np.nan
    truths = tuple(codes) == TRUTHS
    if isinstance(value, bool | np.bool_) or (truths and value in (0, 1)):
        value = TRUTHS[int(value)]
    if not isinstance(value, str):
        msg = f"documents[{index}].{name}: a categorical feature needs text, got {value!r:.80}"
        raise InvalidInputError(msg)
    text = value.strip()
    if text in MISSING_TEXTS:
        return np.nan
    if text not in codes:
        unknown.add(name, 1, text)
    return codes.get(text, np.nan)


def _number(index: int, name: str, value: Any) -> float:
    if not isinstance(value, int | float | np.number | np.bool_):
        msg = f"documents[{index}].{name}: expected a number or null, got {value!r:.80}"
        raise InvalidInputError(msg)
    if value != value:  # noqa: PLR0124 - NaN, of any type
        return np.nan
    if not -_MAX_FEATURE <= value <= _MAX_FEATURE:
        msg = f"documents[{index}].{name}: expected a finite float32 number, got {value!r:.80}"
        raise InvalidInputError(msg)
    return float(value)


def _days(name: str, value: Any) -> Any:
    """Return dates and times, which JSON holds as text, as days since 1970; others as they are."""
    if isinstance(value, str):
        try:
            value = moment_of(name, value) or value
        except FaultError:
            return value
    if isinstance(value, dt.datetime):
        return microseconds(value) / DAY
    return (value - dt.date(1970, 1, 1)).days if isinstance(value, dt.date) else value


def _numbered(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return a number for each value, in the order of their first occurrence."""
    number: dict[Any, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], dtype=np.int64)


def _executions(table: Any, columns: Sequence[str]) -> NDArray[np.int64]:
    if EXECUTION not in columns:
        return np.zeros(len(table), dtype=np.int64)
    column = table[EXECUTION]
    values = column if isinstance(column, pl.Series) else series_from_pandas(column, EXECUTION)
    return _numbered(values.to_list())


def _best_first(scores: NDArray[np.float32], execution: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.lexsort((-scores, execution))
