from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr.features.matrix import feature_matrix
from rankloom.ltr.features.unknown_categories import UnknownCategories

NAMES = ["price", "mixpeek://text", "colour"]
CATEGORIES = {"colour": ("red", "green", "blue")}
COLUMNS = {
    "colour": ["blue", "red", None, "pink"],
    "unused": ["a", "b", "c", "d"],
    "mixpeek://text": [0.5, None, -1.0, 2.0],
    "price": [1, 2, 3, 4],
}
EXPECTED = np.array(
    [[1, 0.5, 2], [2, np.nan, 0], [3, -1, np.nan], [4, 2, np.nan]], dtype=np.float32
)
TABLES = {
    "polars": pl.DataFrame(COLUMNS),
    "polars categorical": pl.DataFrame(COLUMNS).cast({"colour": pl.Categorical}),
    "polars small types": pl.DataFrame(COLUMNS).cast({"price": pl.UInt8}),
    "polars decimals": pl.DataFrame(COLUMNS).cast({"price": pl.Decimal(10, 2)}),
    "arrow": pa.table(COLUMNS),
    "arrow batch": pa.RecordBatch.from_pydict(COLUMNS),
    "arrow dictionary": pa.table(
        {**COLUMNS, "colour": pa.array(COLUMNS["colour"]).dictionary_encode()}
    ),
    "pandas": pd.DataFrame(COLUMNS),
    "pandas objects": pd.DataFrame(COLUMNS).astype({"colour": object}),
    "pandas categorical": pd.DataFrame(COLUMNS).astype({"colour": "category"}),
    "pandas nullable": pd.DataFrame(COLUMNS).astype(
        {"price": "Int64", "mixpeek://text": "Float32"}
    ),
    "pandas arrow": pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_kind_of_table_gives_the_same_matrix_by_column_name(table):
    matrix = feature_matrix(table, NAMES, CATEGORIES)
    np.testing.assert_array_equal(matrix, EXPECTED)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous


@pytest.mark.parametrize("kind", ["polars", "arrow", "pandas"])
def test_a_missing_column_is_named_with_the_closest_one(kind):
    table = pl.DataFrame(COLUMNS).rename({"price": "prices"})
    table = {"polars": table, "arrow": table.to_arrow(), "pandas": table.to_pandas()}[kind]
    with pytest.raises(InvalidInputError, match=r"'price' is missing. Did you mean 'prices'"):
        feature_matrix(table, NAMES, CATEGORIES)


@pytest.mark.parametrize("kind", ["polars", "pandas"])
@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("price", ["1", "2", "3", "x"], "'price' must be numeric"),
        ("price", [1.0, 2.0, np.inf, 4.0], "'price': infinite value in row 2"),
        ("price", [1.0, 2.0, 1e300, 4.0], "'price': infinite value in row 2"),
        ("colour", [1, 2, 3, 4], "'colour' is categorical and needs text"),
        ("price", [[1], [2], [3], [4]], "'price' must be numeric"),
    ],
)
def test_a_column_of_the_wrong_kind_is_named(kind, column, values, says):
    frame = (pl.DataFrame if kind == "polars" else pd.DataFrame)({**COLUMNS, column: values})
    with pytest.raises(InvalidInputError, match=says):
        feature_matrix(frame, NAMES, CATEGORIES)


def test_a_column_of_mixed_types_or_that_occurs_twice_is_refused():
    mixed = pd.DataFrame({**COLUMNS, "price": [1, "a", 2.5, None]})
    with pytest.raises(InvalidInputError, match="price"):
        feature_matrix(mixed, NAMES, CATEGORIES)
    twice = pd.concat([pd.DataFrame(COLUMNS), pd.DataFrame({"price": [1, 2, 3, 4]})], axis=1)
    with pytest.raises(InvalidInputError, match="'price' occurs more than once"):
        feature_matrix(twice, NAMES, CATEGORIES)


def test_pairs_in_the_models_order_are_passed_on_without_a_copy(pairs):
    assert feature_matrix(pairs, list(pairs.feature_names), {}) is pairs.X


def test_pairs_are_matched_by_feature_name(pairs):
    order = list(range(len(pairs.feature_names)))[::-1]
    turned = replace(
        pairs,
        X=np.ascontiguousarray(pairs.X[:, order]),
        feature_names=tuple(pairs.feature_names[i] for i in order),
    )
    np.testing.assert_array_equal(feature_matrix(turned, list(pairs.feature_names), {}), pairs.X)
    with pytest.raises(InvalidInputError, match="pairs: feature 'other' is missing"):
        feature_matrix(pairs, ["other"], {})


def test_codes_of_other_categories_are_translated_and_unknown_ones_become_nan(make_pairs):
    codes = np.array([[0.0], [1.0], [2.0], [np.nan], [7.0]], dtype=np.float32)
    given = replace(
        make_pairs(1, per_execution=5),
        X=codes,
        feature_names=("colour",),
        categories={"colour": ("blue", "pink", "red")},
    )
    found = feature_matrix(given, ["colour"], CATEGORIES)
    np.testing.assert_array_equal(found.ravel(), np.float32([2, np.nan, 0, np.nan, np.nan]))
    assert codes[0, 0] == 0


def test_a_feature_that_is_categorical_on_one_side_only_is_refused(make_pairs):
    given = replace(make_pairs(1, features=2), feature_names=("colour", "size"))
    with pytest.raises(InvalidInputError, match="'colour' is categorical in the model but not"):
        feature_matrix(given, ["colour"], CATEGORIES)


@pytest.mark.parametrize(
    "array",
    [
        [[1, 2, 3]],
        np.ones((2, 3)),
        np.ones((2, 3), dtype=object),
        np.zeros((0, 3)),
        np.asfortranarray(np.ones((4, 3))),
    ],
)
def test_arrays_become_float32_in_c_order(array):
    matrix = feature_matrix(array, NAMES, {})
    np.testing.assert_array_equal(matrix, np.asarray(array, dtype=np.float32))
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.ones((2, 4)), r"expected shape \(n, 3\)"),
        (np.ones(3), r"expected shape \(n, 3\)"),
        (np.float64(1), r"expected shape \(n, 3\)"),
        ([["a", "b", "c"]], "a 2-D array of numbers or a table"),
        ([{"price": 1}], "documents as dicts go to rank"),
        (None, "2-D array|expected shape"),
        (object(), "2-D array of numbers"),
        ([[1, np.inf, 2]], "'mixpeek://text': infinite value in row 0"),
        ([[1e300, 1, 2]], "'price': infinite value in row 0"),
        (pl.LazyFrame(COLUMNS), "expected TrainingPairs|2-D"),
        (pd.Series([1, 2, 3]), r"expected shape \(n, 3\)|table"),
    ],
)
def test_what_is_no_matrix_is_refused_with_the_reason(array, says):
    with pytest.raises(InvalidInputError, match=says):
        feature_matrix(array, NAMES, {})


def test_truth_values_may_be_numbers_on_one_side(make_pairs):
    """0 and 1 are the codes of false and true."""
    truths = {"new": ("false", "true")}
    given = replace(make_pairs(1, features=2), feature_names=("new",), X=np.float32([[0], [1]] * 5))
    coded = replace(given, categories=truths)
    for pairs, categories in ((given, truths), (coded, {}), (coded, truths)):
        np.testing.assert_array_equal(feature_matrix(pairs, ["new"], categories), given.X)
    for column in ([False, True], [0, 1], ["false", "true"]):
        found = feature_matrix(pl.DataFrame({"new": column}), ["new"], truths)
        np.testing.assert_array_equal(found.ravel(), [0, 1])


def test_dates_are_days_wherever_a_number_is_expected():
    moments = [dt.datetime(1970, 1, 3), dt.datetime(1970, 1, 2, 12)]  # noqa: DTZ001 - UTC
    for column in (moments, ["1970-01-03", "1970-01-02T12:00:00Z"], [2.0, 1.5]):
        for table in (pl.DataFrame({"a": column}), pd.DataFrame({"a": column})):
            np.testing.assert_array_equal(feature_matrix(table, ["a"], {}).ravel(), [2, 1.5])


def test_unknown_categories_are_counted_and_logged_at_each_tenfold_number(make_pairs, caplog):
    unknown = UnknownCategories()
    table = pl.DataFrame({"colour": ["red", "pink", None, "mauve"]})
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        for _ in range(10):
            feature_matrix(table, ["colour"], CATEGORIES, unknown)
        given = replace(
            make_pairs(1, features=2),
            X=np.float32([[0], [1], [np.nan], [0], [0]] * 2),
            feature_names=("colour",),
            categories={"colour": ("grey", "red")},
        )
        feature_matrix(given, ["colour"], CATEGORIES, unknown)
    assert unknown.counts == {"colour": 26}
    assert [record.getMessage().split(" values")[0] for record in caplog.records] == ["2", "10"]
    assert "such as 'pink'" in caplog.text
