"""Arrays become the pairs that they describe, or are refused by the argument that is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from rankloom.errors import InvalidInputError
from rankloom.ltr import pairs_from_arrays

X = np.arange(12.0).reshape(6, 2)
Y = [0, 1, 0, 1, 0, 0]


def test_rows_of_a_list_are_put_in_order_of_position_with_all_that_is_theirs():
    pairs = pairs_from_arrays(
        X,
        Y,
        group=[2, 1, 3],
        position=[1, 0, 0, 2, 0, 1],
        query=["a", "b", "a"],
        document=[9, 8, 7, 9, 8, 7],
    )
    assert pairs.position.tolist() == [0, 1, 0, 0, 1, 2]
    np.testing.assert_array_equal(pairs.X, X[[1, 0, 2, 4, 5, 3]])
    assert pairs.y.tolist() == [1, 0, 0, 0, 0, 1]
    assert pairs.clicked.tolist() == [True, False, False, False, False, True]
    assert pairs.document_id.to_list() == ["8", "9", "7", "8", "7", "9"]
    assert pairs.query_id.to_list() == ["a", "b", "a"]
    assert (pairs.X.dtype, pairs.y.dtype, pairs.group.dtype) == ("float32", "float32", "int32")
    assert pairs.X.flags.c_contiguous
    assert pairs.has_positions
    assert not pairs.has_times


def test_without_positions_the_lists_are_judged_and_stay_in_order():
    pairs = pairs_from_arrays(X, [3, 0, 2, 1, 0, 0], group=np.array([3, 3]))
    assert not pairs.has_positions
    np.testing.assert_array_equal(pairs.X, X)
    assert pairs.query_id.n_unique() == 2
    assert pairs.document_id.n_unique() == 6


@pytest.mark.parametrize(
    "library", [pd.DataFrame, pl.DataFrame, lambda d: pl.DataFrame(d).to_arrow()]
)
def test_named_columns_keep_their_names_and_text_becomes_categories(library):
    table = library({"price": [1.0, None, 3.0], "colour": ["red", "blue", None]})
    pairs = pairs_from_arrays(table, [0, 1, 0], group=[3])
    assert pairs.feature_names == ("price", "colour")
    assert pairs.categories == {"colour": ("blue", "red")}
    np.testing.assert_array_equal(pairs.X, [[1, 1], [np.nan, 0], [3, np.nan]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": [2, 3]}, "group: the sizes sum to 5, but X has 6 rows"),
        ({"group": [1, 1, 2, 2, 3, 3]}, "One number for each row was given"),
        ({"group": [0, 6]}, "group: expected whole numbers of at least 1"),
        ({"group": [2.0, 4.0]}, "group: expected whole numbers"),
        ({"y": [0, 1]}, "y: expected a number for each of 6 rows of X"),
        ({"y": [0, 1, 0, 1, 0, np.nan]}, "y: expected finite numbers, got nan"),
        ({"y": ["a"] * 6}, "y: expected a number"),
        ({"position": [0, 1]}, "position: expected a number for each of 6 rows of X"),
        ({"position": [0, 1, 2, 0, 1, -1]}, "position: expected whole numbers from 0, the top"),
        ({"position": [0, 1, 2, 0, 1, 1.5]}, "got 1.5"),
        ({"query": ["a"]}, "query: expected one for each of 2 lists of group, got 1"),
        ({"document": [1, 2]}, "document: expected one for each of 6 rows of X, got 2"),
        ({"X": X[:, 0]}, r"X: expected shape \(n, n_features\), got \(6,\)"),
        ({"X": scipy.sparse.csr_array(X)}, "X: "),
        ({"X": [["a"]]}, "X: expected TrainingPairs, a 2-D array"),
        ({"X": pl.DataFrame({"position": range(6)})}, "would leak it"),
    ],
)
def test_what_does_not_match_is_named(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        pairs_from_arrays(**{"X": X, "y": Y, "group": [3, 3], **changes})
