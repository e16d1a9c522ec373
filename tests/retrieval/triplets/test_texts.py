"""Texts of queries and documents."""

import polars as pl
import pytest

from rankloom.errors import InvalidInputError, UnreadableSourceError
from rankloom.retrieval.triplets.texts import query_text, read_document_texts


@pytest.mark.parametrize("name", ["id", "document_id", "feature_id"])
def test_ids_follow_the_rules_of_the_log(tmp_path, name):
    pl.DataFrame({name: [1, 2], "text": ["one", None]}).write_parquet(tmp_path / "t.parquet")
    found = read_document_texts(tmp_path / "t.parquet", "text")
    assert found.rows() == [("1", "one"), ("2", None)]


def test_rows_repeated_as_they_are_count_once():
    rows = 2 * [{"id": "a", "text": "boots"}]
    assert read_document_texts(rows, "text").rows() == [("a", "boots")]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"name": "a", "text": "x"}], ["feature_id, document_id or id"]),
        ([{"id": "a", "txt": "x"}], ["no column 'text'", "'txt'"]),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], ["'a' has several rows"]),
        ([{"id": "a", "text": "x"}, {"id": None, "text": "y"}], ["documents"]),
    ],
)
def test_a_wrong_table_is_refused_with_what_was_expected(rows, words):
    with pytest.raises(InvalidInputError) as caught:
        read_document_texts(rows, "text")
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_missing_file_is_refused():
    with pytest.raises(UnreadableSourceError, match="nowhere"):
        read_document_texts("nowhere.parquet", "text")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{"page_type":"shop","text":"boots"}', "boots"),
        ('{"q":" "}', None),
        ('{"query":{"vector":[0.5]}}', None),
        ("[1,2]", None),
        ('""', None),
        ("{broken", "{broken"),
    ],
)
def test_words_are_found_in_snapshots(query, expected):
    assert query_text(query) == expected
