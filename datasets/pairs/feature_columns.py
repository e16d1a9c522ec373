"""Columns of a feature table as numbers: text as categories, dates as days.

The same rules turn columns into numbers where a ranker is trained and where it predicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..record.ids import NULL_WORDS
from ..record.times import parse_times
from .text_codes import index_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TRUTHS: Final = ("false", "true")
"""Categories of a column of truth values."""

MAX_CATEGORIES: Final = 10_000

MISSING_TEXTS: Final = NULL_WORDS | {""}
"""Texts that other programs write where a value is missing; NA is one among numbers only."""

_MIN_DISTINCT: Final = 20
DAY: Final = 86_400_000_000
"""Microseconds."""


class FeatureColumn(NamedTuple):
    """One feature of every row of a table.

    Attributes
    ----------
    values : Series of Float32
        Null where missing; codes of a categorical feature.
    categories : tuple of str, or None
        In the order of their codes; None for numbers.
    """

    values: pl.Series
    categories: tuple[str, ...] | None = None


def feature_column(values: pl.Series) -> FeatureColumn | str:
    """Return a column as a feature, or the reason why it is none.

    Numbers stay numbers; dates and times become days since 1970 (UTC), as does text if all of it is
    ISO 8601; truth values and other text become categories.

    Raises
    ------
    InvalidInputError
        If its type has no meaning as a feature.

    Examples
    --------
    >>> feature_column(pl.Series(["red", None, "blue"])).categories
    ('blue', 'red')
    >>> feature_column(pl.Series(["1970-01-03", "1970-01-02T12:00:00Z"])).values.to_list()
    [2.0, 1.5]
    """
    numbers = numeric_values(values)
    if numbers is not None and values.dtype != pl.Boolean:
        return FeatureColumn(numbers.cast(pl.Float32))
    texts = category_texts(values)
    categories = _categories(values, texts)
    rows = len(texts) - texts.null_count()
    if len(categories) > MAX_CATEGORIES or len(categories) > max(_MIN_DISTINCT, rows / 2):
        return f"{len(categories):,} different texts in {rows:,} rows are no categories"
    codes = category_codes(values, categories)
    return FeatureColumn(pl.Series(values.name, codes, pl.Float32).fill_nan(None), categories)


def numeric_values(values: pl.Series) -> pl.Series | None:
    """Return numbers as Float64, dates and times as days; None for what is neither.

    Truth values are 0 and 1; text counts as numbers, or as dates in ISO 8601, if all of it is such.
    """
    dtype = values.dtype
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return values.cast(pl.Float64)
    if dtype.is_temporal():
        return _days(values)
    if dtype == pl.String:
        texts = category_texts(values).replace("NA", None)
        for parsed in (texts.cast(pl.Float64, strict=False), parse_times(texts)):
            if parsed.null_count() == texts.null_count() < len(texts):
                return parsed if parsed.dtype == pl.Float64 else _days(parsed)
    return None


def category_texts(values: pl.Series) -> pl.Series:
    """Return the texts of a column of categories, without the spaces around them; null if missing.

    Raises
    ------
    InvalidInputError
        If the column holds no text.
    """
    if values.dtype == pl.Boolean:
        return values.cast(pl.String)
    if not isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        msg = f"column {values.name!r} is {values.dtype}, expected numbers, text or dates"
        raise InvalidInputError(msg)
    texts = values.cast(pl.String).str.strip_chars()
    return texts.set(texts.is_in(MISSING_TEXTS), None)


def category_codes(values: pl.Series, categories: Sequence[str]) -> NDArray[np.float32]:
    """Return the index of each value among the categories; NaN where missing or none of them.

    Numbers stand for truth values where the categories are those: 0 and 1.
    """
    if values.dtype.is_numeric():
        if tuple(categories) != TRUTHS:
            return np.full(len(values), np.nan, np.float32)
        values = values.replace_strict({0: False, 1: True}, default=None, return_dtype=pl.Boolean)
    codes = index_among(category_texts(values), pl.Series(categories, dtype=pl.String))
    return np.where(codes < 0, np.nan, codes).astype(np.float32)


def _categories(values: pl.Series, texts: pl.Series) -> tuple[str, ...]:
    if values.dtype == pl.Boolean:
        return TRUTHS
    if isinstance(values.dtype, pl.Enum):
        # All that there can be, so that the codes do not depend on what this table holds.
        texts = category_texts(values.dtype.categories.alias(values.name))
        return tuple(texts.drop_nulls().unique(maintain_order=True))
    return tuple(texts.drop_nulls().unique().sort())


def _days(values: pl.Series) -> pl.Series:
    dtype = values.dtype
    if isinstance(dtype, pl.Time):
        return values.cast(pl.Int64).cast(pl.Float64) / (1000.0 * DAY)  # nanoseconds
    if isinstance(dtype, pl.Duration):
        return values.dt.total_microseconds().cast(pl.Float64) / DAY
    return values.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / DAY
