"""Python values, as JSON and lists of dicts hold them, as columns; every value decides its type."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NUMBERS: Final = frozenset({bool, int, float})
_TIMES: Final = {dt.date: pl.Date(), dt.datetime: pl.Datetime("us")}


def value_columns(rows: Sequence[Mapping[Any, Any]]) -> tuple[pl.DataFrame, frozenset[str]]:
    """Return rows as columns, and the names of those that mix numbers and text.

    All keys of all rows become columns, in the order in which they first appear. Numbers are
    Float64 (Boolean where all are), text is String, dates and times stay what they are, and
    nested values are Objects. None and NaN are null. A column of numbers and text becomes text.

    Examples
    --------
    >>> frame, mixed = value_columns([{"a": 0, "b": "x"}, {"a": 0.5, "c": True}, {"c": "NA"}])
    >>> frame.rows(), sorted(mixed)
    ([(0.0, 'x', None), (0.5, None, 'true'), (None, None, 'NA')], ['c'])
    """
    names = {str(key): key for key in dict.fromkeys(key for row in rows for key in row)}
    columns = {name: _column(name, [row.get(key) for row in rows]) for name, key in names.items()}
    mixed = frozenset(name for name, (_, is_mixed) in columns.items() if is_mixed)
    return pl.DataFrame([series for series, _ in columns.values()]), mixed


def columns_frame(columns: Mapping[Any, Any]) -> pl.DataFrame:
    """Return columns of equal length, in lists or arrays, as a frame.

    Whole numbers stay whole, so that ids keep all their digits.

    Raises
    ------
    TypeError, ValueError, OverflowError, PolarsError
        If the values of a column have no common type.
    """
    return pl.DataFrame([_whole_column(str(name), each) for name, each in columns.items()])


def plain_values(values: Any) -> list[Any]:
    """Return the values of a list, an array or a series in Python's plain types, or decimals."""
    return [each if isinstance(each, decimal.Decimal) else _plain(each) for each in values]


def _whole_column(name: str, values: Any) -> pl.Series:
    is_arrow = hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")
    if is_arrow or (isinstance(values, np.ndarray) and values.dtype != object):
        column = pl.Series(name, values)
        return column.fill_nan(None) if column.dtype.is_float() else column
    plain = [None if v != v else v for v in plain_values(values)]  # noqa: PLR0124 - NaN
    column = pl.Series(name, plain, strict=True)
    if column.dtype == pl.Object:
        msg = f"column {name!r} holds values of several types"
        raise TypeError(msg)
    return column


def _column(name: str, values: list[Any]) -> tuple[pl.Series, bool]:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds <= {*_NUMBERS, str}:
        values = [_plain(value) for value in values]
        kinds = set(map(type, values)) - {type(None)}
    if kinds <= {bool}:
        return pl.Series(name, values, pl.Boolean if kinds else pl.Null), False
    if kinds <= _NUMBERS:
        with suppress(OverflowError):  # by whole numbers of more than 308 digits
            return pl.Series(name, np.array(values, np.float64)).fill_nan(None), False
    if kinds == {str}:
        return pl.Series(name, values, pl.String), False
    if kinds <= {*_NUMBERS, str}:
        return pl.Series(name, map(_word, values), pl.String), True
    (kind, *others) = kinds
    if kind in _TIMES and not others:
        return pl.Series(name, values, _TIMES[kind]), False
    return pl.Series(name, values, pl.Object), False


def _plain(value: Any) -> Any:
    """Return a value of numpy, pandas or the standard library as one of Python's plain types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime):
        return _naive(value)
    # pandas' NA and NaT belong to no type that could be asked for without importing it.
    return None if type(value).__name__ in {"NAType", "NaTType"} else value


def _naive(moment: dt.datetime) -> dt.datetime:
    utc = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return dt.datetime.combine(utc.date(), utc.time())


def _word(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return repr(value).removesuffix(".0")
    return None if value is None else str(value)
