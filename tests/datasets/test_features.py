"""Joining the user's own features."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import load_pairs
from rankloom.errors import InvalidInputError, UnreadableSourceError

LOG = [
    {"execution_id": e, "feature_id": d, "interaction_type": ["impression"], "position": i}
    for e in ("e", "f")
    for i, d in enumerate(("1", "2", "3"))
]


def loaded(features):
    return load_pairs(LOG, features=features)


def test_a_table_by_document_fills_every_execution_and_nan_where_absent():
    pairs = loaded(
        pl.DataFrame({"feature_id": ["3", "1", "9"], "a": [3, 1, 9], "b": [True, False, None]})
    )
    assert pairs.feature_names == ("a", "b")
    np.testing.assert_array_equal(pairs.X[:, 0], [1, np.nan, 3] * 2)
    np.testing.assert_array_equal(pairs.X[:, 1], [0, np.nan, 1] * 2)
    assert pairs.report.coverage["features"] == pytest.approx(2 / 3)
    assert pairs.X.flags.c_contiguous
    assert pairs.X.dtype == np.float32


def test_a_table_by_execution_and_document_keeps_executions_apart():
    table = pl.DataFrame(
        {"execution_id": ["f", "e", "x"], "feature_id": ["2", "2", "2"], "a": [20.0, 10.0, 0.0]}
    )
    np.testing.assert_array_equal(loaded(table).X[:, 0], [np.nan, 10, np.nan, np.nan, 20, np.nan])


def test_whole_number_keys_match_text_keys():
    assert loaded(pl.DataFrame({"document_id": [1, 2, 3], "a": [1.0, 2, 3]})).X[:, 0].tolist()[
        :3
    ] == [1, 2, 3]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_files_are_read_by_suffix(tmp_path, suffix):
    table = pl.DataFrame({"feature_id": ["1", "2"], "a": [1.5, 2.5]})
    path = tmp_path / f"features.{suffix}"
    {"parquet": table.write_parquet, "csv": table.write_csv, "jsonl": table.write_ndjson}[suffix](
        path
    )
    np.testing.assert_array_equal(loaded(path).X[:3, 0], [1.5, 2.5, np.nan])


def test_pandas_and_arrow_tables_are_taken():
    table = pl.DataFrame({"feature_id": ["1"], "a": [1.5]})
    assert loaded(table.to_pandas()).X[0, 0] == loaded(table.to_arrow()).X[0, 0] == 1.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"doc": ["1"], "a": [1.0]}, "no column 'feature_id'"),
        ({"feature_id": ["1"], "position": [0]}, "position.*leak"),
        ({"feature_id": ["1"], "Clicked": [0]}, "Clicked.*leak"),
        ({"feature_id": ["1"], "purchase": [0]}, "purchase.*leak"),
        ({"feature_id": ["1"], "colour": ["red"]}, "colour.*expected numbers"),
        ({"feature_id": ["1"], "a": [float("inf")]}, "a.*infinite"),
        ({"feature_id": ["1", "1"], "a": [1.0, 2.0]}, "several for.*'1'"),
        ({"feature_id": ["1", None], "a": [1.0, 2.0]}, "1 rows have no feature_id"),
        ({"feature_id": ["nine"], "a": [1.0]}, "none of the 1 keys occurs"),
        ({"feature_id": [], "a": []}, "none of the 0 keys occurs"),
    ],
)
def test_wrong_tables_are_named(table, message):
    with pytest.raises(InvalidInputError, match=message):
        loaded(
            pl.DataFrame(
                table, schema_overrides={"feature_id": pl.String} if "feature_id" in table else None
            )
        )


def test_a_feature_may_not_take_the_name_of_a_builtin_one():
    log = [{**row, "document_score": 1.0} for row in LOG]
    with pytest.raises(InvalidInputError, match="already is a feature named 'document_score'"):
        load_pairs(log, features=pl.DataFrame({"feature_id": ["1"], "document_score": [1.0]}))


@pytest.mark.parametrize("name", ["missing.parquet", "table.xlsx", "broken.parquet"])
def test_unreadable_files_are_named(tmp_path, name):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(UnreadableSourceError, match=name):
        loaded(tmp_path / name)


def test_a_wrong_type_is_named():
    with pytest.raises(InvalidInputError, match="features: expected a path or a table, got int"):
        loaded(42)
