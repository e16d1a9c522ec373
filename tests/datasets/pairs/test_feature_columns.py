"""Columns as features: numbers, days or codes of categories."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rankloom.datasets.pairs.feature_columns import (
    MAX_CATEGORIES,
    category_codes,
    feature_column,
    numeric_values,
)
from rankloom.errors import InvalidInputError

ZONED = pl.Datetime("ms", "Europe/Berlin")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 3], [1, None, 3]),
        (["1.5", " 2 ", None], [1.5, 2, None]),
        (["1e3", "nan", ""], [1000, None, None]),
        ([dt.date(1970, 1, 11), None], [10, None]),
        ([dt.datetime(1970, 1, 1, 12), None], [0.5, None]),  # noqa: DTZ001 - naive means UTC
        (["1970-01-11", None], [10, None]),
        (["1970-01-01T12:00:00+01:00", "1970-01-02 00:00:00"], [11 / 24, 1]),
        ([dt.timedelta(hours=36)], [1.5]),
        ([dt.time(6)], [0.25]),
        (pl.Series([0], dtype=pl.Int64).cast(pl.Datetime("ms")).cast(ZONED), None),
        ([None, None], [None, None]),
    ],
)
def test_numbers_and_dates_are_numbers(values, expected):
    if expected is None:
        values = pl.Series([dt.datetime(1970, 1, 1, 1, tzinfo=dt.UTC)]).cast(ZONED)
        expected = [1 / 24]
    column = feature_column(pl.Series("f", values))
    assert column.categories is None
    assert column.values.dtype == pl.Float32
    assert column.values.to_list() == pytest.approx(
        [None if each is None else np.float32(each) for each in expected]
    )


@pytest.mark.parametrize(
    ("values", "categories", "codes"),
    [
        (pl.Series(["b", "a", None, "b"]), ("a", "b"), [1, 0, None, 1]),
        (pl.Series([" b", "b ", "NULL", "\\N"]), ("b",), [0, 0, None, None]),
        (pl.Series(["2024-01-01", "soon"]), ("2024-01-01", "soon"), [0, 1]),
        (pl.Series(["7", "x"]), ("7", "x"), [0, 1]),
        (pl.Series([True, None, False]), ("false", "true"), [1, None, 0]),
        (pl.Series([True, True]), ("false", "true"), [1, 1]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ("a", "b"), [1, 0]),
        (pl.Series(["1", "2"], dtype=pl.Categorical), ("1", "2"), [0, 1]),
        (pl.Series(["M", "S"], dtype=pl.Enum(["S", "M", "L"])), ("S", "M", "L"), [1, 0]),
    ],
)
def test_text_and_truth_values_are_categories(values, categories, codes):
    column = feature_column(values)
    assert column.categories == categories
    assert column.values.to_list() == codes
    again = category_codes(values, categories)
    np.testing.assert_array_equal(again, column.values.fill_null(np.nan))


def test_text_that_hardly_repeats_is_no_category():
    assert isinstance(feature_column(pl.Series([f"t{i}" for i in range(21)])), str)
    assert len(feature_column(pl.Series([f"t{i}" for i in range(20)])).categories) == 20
    assert len(feature_column(pl.Series([f"t{i % 50}" for i in range(100)])).categories) == 50
    many = pl.Series([f"t{i % (MAX_CATEGORIES + 1)}" for i in range(5 * MAX_CATEGORIES)])
    assert "10,001 different texts" in feature_column(many)


def test_categories_that_are_not_known_have_no_code():
    codes = category_codes(pl.Series(["b", "pink", None]), ("a", "b"))
    np.testing.assert_array_equal(codes, np.float32([1, np.nan, np.nan]))
    truths = category_codes(pl.Series([0.0, 1.0, 2.0, None]), ("false", "true"))
    np.testing.assert_array_equal(truths, np.float32([0, 1, np.nan, np.nan]))


@pytest.mark.parametrize("values", [[[1, 2]], [{"a": 1}], [b"x"]])
def test_nested_values_are_refused(values):
    assert numeric_values(pl.Series(values)) is None
    with pytest.raises(InvalidInputError, match="expected numbers, text or dates"):
        feature_column(pl.Series("f", values))
