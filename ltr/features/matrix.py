"""Features by name: pairs, arrays and tables of several libraries become one float32 matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...datasets.pairs.array_storage import give_back, unchanged_files
from ...datasets.pairs.feature_columns import (
    TRUTHS,
    category_codes,
    category_texts,
    numeric_values,
)
from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError, did_you_mean
from .unknown_categories import UnknownCategories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Categories = Mapping[str, Sequence[str]]

_BLOCK = 1 << 16


def feature_matrix(
    data: Any,
    names: Sequence[str],
    categories: Categories,
    unknown: UnknownCategories | None = None,
) -> Matrix:
    """Return the named features of pairs, a 2-D array or a table; C order, NaN where absent.

    `data`: pairs, an array of shape (n, n_features), or a table: a polars or pandas DataFrame or
        any object with the Arrow C stream interface, whose columns are matched by name, in any
        order; further columns are ignored.
    `names`: the model's features, in its order.
    `categories`: categorical features; a category that is not among them becomes NaN, which
        `unknown` counts.
    Raises InvalidInputError if a feature is missing, is not numeric, or holds an infinite value.
    """
    unknown = UnknownCategories() if unknown is None else unknown
    if isinstance(data, TrainingPairs):
        matrix = _from_pairs(data, names, categories, unknown)
    elif is_table(data):
        matrix = _from_table(data, names, categories, unknown)
    else:
        matrix = _from_array(data, names)
    refuse_infinite(matrix, names)
    return matrix


def is_table(data: Any) -> bool:
    """Whether the data have named columns."""
    return is_pandas(data) or isinstance(data, pl.DataFrame) or hasattr(data, "__arrow_c_stream__")


def is_pandas(data: Any) -> bool:
    """Whether the data are a pandas DataFrame; pandas is not imported for it."""
    return type(data).__module__.split(".")[0] == "pandas" and hasattr(data, "columns")


def refuse_infinite(matrix: Matrix, names: Sequence[str]) -> None:
    """Raise if a value is infinite (or was too large for float32)."""
    files = unchanged_files(matrix)
    for start in range(0, len(matrix), _BLOCK):
        bad = np.isinf(matrix[start : start + _BLOCK])
        give_back(files)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            msg = (
                f"feature {names[column]!r}: infinite value in row {start + row}; expected finite "
                "float32 numbers, or NaN where a value is absent"
            )
            raise InvalidInputError(msg)


def _from_pairs(
    pairs: TrainingPairs, names: Sequence[str], categories: Categories, unknown: UnknownCategories
) -> Matrix:
    for name in names:
        _require(name, pairs.feature_names, "pairs")
        given, model = pairs.categories.get(name, TRUTHS), categories.get(name, TRUTHS)
        one_sided = (name in categories) != (name in pairs.categories)
        if one_sided and not tuple(given) == tuple(model) == TRUTHS:  # whose codes are numbers
            here = "categorical" if name in categories else "numeric"
            msg = f"pairs: feature {name!r} is {here} in the model but not in the pairs given"
            raise InvalidInputError(msg)
    changed = [
        name
        for name in names
        if name in categories and name in pairs.categories
        if [*pairs.categories[name]] != [*categories[name]]
    ]
    if tuple(names) == tuple(pairs.feature_names) and not changed:
        return np.ascontiguousarray(pairs.X, dtype=np.float32)
    at = {name: i for i, name in enumerate(pairs.feature_names)}
    matrix = np.ascontiguousarray(pairs.X[:, [at[name] for name in names]], dtype=np.float32)
    for name in changed:
        column = matrix[:, list(names).index(name)]
        texts = pl.Series([*pairs.categories[name], None], dtype=pl.String)
        new = _coded(name, texts, categories[name], None)
        some = (column >= 0) & (column < len(texts) - 1)
        old = np.where(some, column, len(texts) - 1).astype(np.int64)
        column[:] = new[old]
        lost = some & np.isnan(column)
        if lost.any():
            unknown.add(name, int(lost.sum()), texts[int(old[np.argmax(lost)])])
    return matrix


def _from_array(data: Any, names: Sequence[str]) -> Matrix:
    try:
        array = np.asarray(data)
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            array = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            "X: expected TrainingPairs, a 2-D array of numbers or a table (polars, pandas, Arrow), "
            f"got {type(data).__name__}; documents as dicts go to rank()"
        )
        raise InvalidInputError(msg) from error
    if array.ndim != 2 or array.shape[1] != len(names):
        msg = (
            f"X: expected shape (n, {len(names)}), one column for each feature, got {array.shape}; "
            "give a table to have columns matched by name"
        )
        raise InvalidInputError(msg)
    with np.errstate(over="ignore"):  # becomes infinite, which is refused by name
        return np.ascontiguousarray(array, dtype=np.float32)


def _from_table(
    table: Any, names: Sequence[str], categories: Categories, unknown: UnknownCategories
) -> Matrix:
    frame = table if is_pandas(table) else to_polars(table)
    columns = [str(name) for name in frame.columns]
    matrix = np.empty((len(frame), len(names)), dtype=np.float32)
    for i, name in enumerate(names):
        _require(name, columns, "table")
        matrix[:, i] = _column(frame, name, categories.get(name), unknown)
    return matrix


def to_polars(table: Any) -> pl.DataFrame:
    """Return an Arrow table or polars frame as polars."""
    if isinstance(table, pl.DataFrame):
        return table
    try:
        return pl.DataFrame(table)
    except Exception as error:
        msg = f"table: cannot read {type(table).__name__} as an Arrow table: {error}"
        raise InvalidInputError(msg) from error


def _column(
    frame: Any, name: str, categories: Sequence[str] | None, unknown: UnknownCategories
) -> NDArray[np.float32]:
    column = frame[name]
    values = column if isinstance(column, pl.Series) else series_from_pandas(column, name)
    if categories is not None:
        return _coded(name, values, categories, unknown)
    numbers = numeric_values(values)
    if numbers is None:
        msg = f"table: feature {name!r} must be numeric or a date, got {values.dtype}"
        raise InvalidInputError(msg)
    with np.errstate(over="ignore"):
        return numbers.to_numpy().astype(np.float32)


def _coded(
    name: str, values: pl.Series, categories: Sequence[str], unknown: UnknownCategories | None
) -> NDArray[np.float32]:
    """Return codes of categories, NaN where missing or unknown."""
    truths = tuple(categories) == TRUTHS
    if values.dtype.is_numeric() and not truths and not values.is_null().all():
        msg = f"table: feature {name!r} is categorical and needs text, got {values.dtype}"
        raise InvalidInputError(msg)
    codes = category_codes(values, categories)
    if unknown is not None and not values.dtype.is_numeric():
        texts = category_texts(values)
        lost = texts.is_not_null().to_numpy() & np.isnan(codes)
        if lost.any():
            unknown.add(name, int(lost.sum()), texts[int(np.argmax(lost))])
    return codes


def series_from_pandas(column: Any, name: str) -> pl.Series:
    """Return a pandas column as polars, without needing pyarrow."""
    if getattr(column, "ndim", 1) != 1:
        msg = f"table: column {name!r} occurs more than once; drop or rename one"
        raise InvalidInputError(msg)
    if column.dtype.kind in "biuf":
        return pl.Series(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
    values = [None if missing else v for v, missing in zip(column, column.isna(), strict=True)]
    try:
        return pl.Series(name, values, strict=True)
    except Exception as error:
        msg = f"table: column {name!r} holds values of several types: {error}"
        raise InvalidInputError(msg) from error


def _require(name: str, known: Sequence[str], where: str) -> None:
    if name not in known:
        msg = f"{where}: feature {name!r} is missing.{did_you_mean(name, known)}"
        raise InvalidInputError(msg)
