"""Arrays as scikit-learn and LightGBM take them become training pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.pairs.feature_columns import feature_column
from ...datasets.pairs.features import LEAKS
from ...datasets.pairs.load_report import LoadReport
from ...datasets.pairs.training_pairs import NO_POSITION, TrainingPairs
from ...errors import InvalidInputError
from .matrix import is_pandas, is_table, series_from_pandas, to_polars

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Matrix = NDArray[np.float32]
    Categories = Mapping[str, tuple[str, ...]]

_GROUP_HINT = "group is the number of rows of each list, in the order of the rows, as in LightGBM"


def pairs_from_arrays(
    X: Any,
    y: ArrayLike,
    *,
    group: ArrayLike,
    position: ArrayLike | None = None,
    query: ArrayLike | None = None,
    document: ArrayLike | None = None,
) -> TrainingPairs:
    """Return training pairs of a feature matrix, labels and the sizes of lists.

    Parameters
    ----------
    X : array-like of shape (n, n_features), or table
        The columns of a table (polars, pandas, Arrow) keep their names, and text becomes categories
        as in `load_pairs`; those of an array are called ``x0``, ``x1`` and so on. NaN is missing.
    y : array-like of shape (n,)
        Clicks (0 or 1) or higher grades of what users did, with `position`; else judged grades.
    group : array-like of int, shape (e,)
        Rows of each list that was shown, or judged: they are neighbours.
    position : array-like of int, shape (n,), optional
        0-based position at which each document was shown. Rows of a list are put in its order.
    query : array-like of shape (e,), optional
        The query of each list; by default every list has a query of its own.
    document : array-like of shape (n,), optional
        The document of each row; by default every row is a document of its own. What is learnt from
        a document at several positions needs both.

    Returns
    -------
    TrainingPairs
        Without times.

    Raises
    ------
    InvalidInputError
        If lengths do not match, or values are not what is expected.

    Examples
    --------
    >>> pairs = pairs_from_arrays([[1.0], [3.0], [2.0]], [0, 1, 0], group=[2, 1])
    >>> pairs.n_executions, pairs.feature_names, pairs.has_positions
    (2, ('x0',), False)
    """
    matrix, names, categories = _matrix(X)
    n = len(matrix)
    sizes = _sizes(group, n)
    grade = _numbers("y", y, n).astype(np.float32)
    place = np.full(n, NO_POSITION) if position is None else _positions(position, n)
    lists = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((place, lists))
    queries, query_code = _coded("query", query, len(sizes), "lists of group")
    documents, document_code = _coded("document", document, n, "rows of X")
    return TrainingPairs(
        X=np.ascontiguousarray(matrix[order]),
        y=grade[order],
        clicked=grade[order] >= 1,
        negative=np.zeros(n, dtype=np.bool_),
        group=sizes,
        position=place[order].astype(np.int32),
        document_score=np.full(n, np.nan),
        age_days=np.full(n, np.nan, dtype=np.float32),
        weight=np.ones(n, dtype=np.float32),
        time=np.full(len(sizes), "NaT", dtype="datetime64[us]"),
        execution_id=pl.Series("execution_id", np.arange(len(sizes))).cast(pl.String),
        query_code=query_code,
        queries=queries.alias("query_id"),
        document_code=document_code[order],
        documents=documents.alias("document_id"),
        feature_names=names,
        categories=dict(categories),
        report=LoadReport(rows_read=n, rows_kept=n, executions=len(sizes)),
    )


def _matrix(X: Any) -> tuple[Matrix, tuple[str, ...], Categories]:
    if is_table(X):
        return _of_table(X)
    try:
        array = np.asarray(X)
        if array.dtype.kind not in "biuf":
            array = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            "X: expected TrainingPairs, a 2-D array of numbers or a table (polars, pandas, Arrow), "
            f"got {type(X).__name__}"
        )
        raise InvalidInputError(msg) from error
    if array.ndim != 2:
        msg = f"X: expected shape (n, n_features), got {array.shape}"
        if hasattr(X, "toarray"):
            msg += "; sparse matrices are not taken, so give X.toarray()"
        raise InvalidInputError(msg)
    with np.errstate(over="ignore"):  # becomes infinite, which the fit refuses by name
        values = array.astype(np.float32)
    return values, tuple(f"x{i}" for i in range(array.shape[1])), {}


def _of_table(table: Any) -> tuple[Matrix, tuple[str, ...], Categories]:
    frame = table if is_pandas(table) else to_polars(table)
    names = tuple(str(name) for name in frame.columns)
    matrix = np.empty((len(frame), len(names)), dtype=np.float32)
    categories = {}
    for i, name in enumerate(frame.columns):
        if str(name).lower() in LEAKS:
            msg = (
                f"X: column {name!r} is the position or the label by its name, and would leak it "
                "into the ranker. Leave it out, or rename it if it is something else"
            )
            raise InvalidInputError(msg)
        column = frame[name]
        values = column if isinstance(column, pl.Series) else series_from_pandas(column, str(name))
        feature = feature_column(values)
        if isinstance(feature, str):
            msg = f"X: column {name!r}: {feature}; encode it as numbers or leave it out"
            raise InvalidInputError(msg)
        matrix[:, i] = feature.values.to_numpy()
        if feature.categories is not None:
            categories[names[i]] = feature.categories
    return matrix, names, categories


def _numbers(name: str, values: ArrayLike, n: int, rows: str = "rows of X") -> NDArray[Any]:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "biuf" or numbers.shape != (n,):
        msg = (
            f"{name}: expected a number for each of {n:,} {rows}, got shape {numbers.shape} of "
            f"{numbers.dtype}"
        )
        raise InvalidInputError(msg)
    if not np.isfinite(numbers).all():
        msg = f"{name}: expected finite numbers, got {numbers[~np.isfinite(numbers)][0]}"
        raise InvalidInputError(msg)
    return numbers


def _sizes(group: ArrayLike, n: int) -> NDArray[np.int32]:
    sizes = np.asarray(group)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any():
        msg = f"group: expected whole numbers of at least 1, got {sizes!r:.100}; {_GROUP_HINT}"
        raise InvalidInputError(msg)
    total = int(sizes.sum())
    if total != n:
        msg = f"group: the sizes sum to {total:,}, but X has {n:,} rows; {_GROUP_HINT}"
        if len(sizes) == n:
            msg += ". One number for each row was given: count the rows of each query instead"
        raise InvalidInputError(msg)
    return sizes.astype(np.int32)


def _positions(position: ArrayLike, n: int) -> NDArray[np.int64]:
    places = _numbers("position", position, n)
    if (places != np.floor(places)).any() or places.min(initial=0) < 0:
        bad = places[(places != np.floor(places)) | (places < 0)][0]
        msg = f"position: expected whole numbers from 0, the top, got {bad}"
        raise InvalidInputError(msg)
    return places.astype(np.int64)


def _coded(
    name: str, values: ArrayLike | None, n: int, rows: str
) -> tuple[pl.Series, NDArray[np.int32]]:
    """Return distinct ids as text, and the index of each value among them."""
    if values is None:
        return pl.Series(np.arange(n)).cast(pl.String), np.arange(n, dtype=np.int32)
    texts = [str(value) for value in np.asarray(values).tolist()]
    if len(texts) != n:
        msg = f"{name}: expected one for each of {n:,} {rows}, got {len(texts):,}"
        raise InvalidInputError(msg)
    distinct, code = np.unique(np.array(texts, dtype=object), return_inverse=True)
    return pl.Series(distinct.tolist(), dtype=pl.String), code.astype(np.int32)
