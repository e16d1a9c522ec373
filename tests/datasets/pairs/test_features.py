"""Joining the user's own features."""

from __future__ import annotations

import gzip
from datetime import date

import numpy as np
import polars as pl
import pytest
import zstandard

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


@pytest.mark.parametrize("suffix", ["parquet", "csv", "tsv", "jsonl", "csv.gz", "jsonl.zst"])
def test_files_are_read_by_suffix(tmp_path, suffix):
    table = pl.DataFrame({"feature_id": ["1", "2"], "a": [1.5, 2.5]})
    path = tmp_path / f"features.{suffix}"
    kind, _, compressed = suffix.partition(".")
    if kind == "parquet":
        table.write_parquet(path)
    else:
        separator = "\t" if kind == "tsv" else ","
        text = table.write_ndjson() if kind == "jsonl" else table.write_csv(separator=separator)
        compress = {"": bytes, "gz": gzip.compress, "zst": zstandard.compress}[compressed]
        path.write_bytes(compress(text.encode()))
    np.testing.assert_array_equal(loaded(path).X[:3, 0], [1.5, 2.5, np.nan])
    np.testing.assert_array_equal(loaded([str(path)]).X[:3, 0], [1.5, 2.5, np.nan])


def test_pandas_and_arrow_tables_are_taken():
    table = pl.DataFrame({"feature_id": ["1"], "a": [1.5]})
    assert loaded(table.to_pandas()).X[0, 0] == loaded(table.to_arrow()).X[0, 0] == 1.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"doc": ["1"], "a": [1.0]}, "no column feature_id.*columns={'feature_id': 'doc'}"),
        ({"feature_id": ["1"], "position": [0]}, "position.*leak"),
        ({"feature_id": ["1"], "Clicked": [0]}, "Clicked.*leak"),
        ({"feature_id": ["1"], "purchase": [0]}, "purchase.*leak"),
        ({"feature_id": ["1"], "a": [[1.0, 2.0]]}, "'a' is List.*expected numbers, text or dates"),
        ({"feature_id": ["1"], "a": [float("inf")]}, "a.*infinite"),
        ({"feature_id": ["1", "1"], "a": [1.0, 2.0]}, "several for.*'1'"),
        ({"feature_id": ["1", None], "a": [1.0, 2.0]}, "1 rows have no feature_id"),
        ({"feature_id": ["nine"], "a": [1.0]}, "none of the 1 keys occurs"),
        ({"feature_id": [], "a": []}, "the table has no rows"),
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
    with pytest.raises(
        InvalidInputError, match="features: cannot read rows from int. Expected a path"
    ):
        loaded(42)


def test_text_truth_values_and_dates_become_features(tmp_path):
    """The same from a file of text, a typed file and dicts."""
    table = pl.DataFrame(
        {
            "feature_id": ["1", "2", "3"],
            "brand": ["zen", " acme", None],
            "new": [True, False, None],
            "released": [date(1970, 1, 2), None, date(1969, 12, 31)],
        }
    )
    table.write_csv(tmp_path / "features.csv")
    table.write_parquet(tmp_path / "features.parquet")
    for features in (tmp_path / "features.csv", tmp_path / "features.parquet", table.to_dicts()):
        pairs = loaded(features)
        assert pairs.feature_names == ("brand", "new", "released")
        assert pairs.categories == {"brand": ("acme", "zen"), "new": ("false", "true")}
        expected = [[1, 1, 1], [0, 0, np.nan], [np.nan, np.nan, -1]]
        np.testing.assert_array_equal(pairs.X[:3], expected)


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_row_numbers_that_pandas_writes_are_no_features(tmp_path, name):
    text = f"{name},feature_id,a\n0,1,5\n1,2,6\n"
    (tmp_path / "features.csv").write_text(text, encoding="utf-8")
    table = pl.DataFrame({name or "Unnamed: 1": [0, 1], "feature_id": ["1", "2"], "a": [5.0, 6.0]})
    for features in (tmp_path / "features.csv", table, table.to_dicts()):
        pairs = loaded(features)
        assert pairs.feature_names == ("a",)
        np.testing.assert_array_equal(pairs.X[:3, 0], [5, 6, np.nan])


def test_prose_is_left_out_and_named():
    documents = [str(i) for i in range(1, 41)]
    table = {"feature_id": documents, "title": [f"title {d}" for d in documents], "a": range(40)}
    pairs = loaded(pl.DataFrame(table))
    assert pairs.feature_names == ("a",)
    assert "40 different texts in 40 rows" in pairs.report.features_left_out["title"]
    assert any("'title' left out" in note for note in pairs.report.notes)


def test_impressions_give_declared_categories_and_no_other_text():
    shown = pl.DataFrame(
        {
            "execution_id": ["e", "e", "f", "f"],
            "feature_id": ["1", "2", "1", "2"],
            "position": [0, 1, 0, 1],
            "shop": pl.Series(["a", "b", "b", "a"], dtype=pl.Enum(["b", "a", "c"])),
            "agent": ["x", "x", "y", "y"],
        }
    )
    clicks = [
        {"execution_id": "e", "feature_id": "2", "interaction_type": ["click"], "position": 1}
    ]
    pairs = load_pairs(clicks, impressions=shown)
    assert pairs.feature_names == ("shop",)
    assert pairs.categories == {"shop": ("b", "a", "c")}
    np.testing.assert_array_equal(pairs.X[:, 0], [1, 0, 0, 1])
    assert list(pairs.report.features_left_out) == ["agent"]
