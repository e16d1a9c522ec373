from __future__ import annotations

import copy
import datetime as dt
import logging

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr.features.candidates import rank_dicts, rank_table
from rankloom.ltr.features.unknown_categories import UnknownCategories

NAMES = ["a", "colour"]
CATEGORIES = {"colour": ("red", "green")}


def score(matrix):
    """Twice the first feature and the category's code; an absent value counts 0."""
    return (2 * np.nan_to_num(matrix[:, 0]) + np.nan_to_num(matrix[:, 1])).astype(np.float32)


def rank(documents):
    return rank_dicts(documents, NAMES, CATEGORIES, score)


def test_documents_come_back_whole_best_first_with_their_score():
    documents = [
        {"feature_id": "x", "features": {"a": 1.0}, "title": "kept"},
        {"feature_id": "y", "features": {"a": 3, "colour": "green", "unused": "text"}},
    ]
    before = copy.deepcopy(documents)
    found = rank(documents)
    assert [d["feature_id"] for d in found] == ["y", "x"]
    assert [d["score"] for d in found] == [7.0, 2.0]
    assert found[1] == {**documents[0], "score": 2.0}
    assert documents == before


def test_features_may_be_among_the_other_fields():
    flat = [{"feature_id": "x", "a": 1.0, "colour": "green"}, {"feature_id": "y", "a": 2.0}]
    nested = [
        {"feature_id": "x", "features": {"a": 1.0, "colour": "green"}},
        {"feature_id": "y", "features": {"a": 2.0}, "a": 99.0},
    ]
    assert [d["score"] for d in rank(flat)] == [d["score"] for d in rank(nested)] == [4.0, 3.0]


def test_each_execution_is_ranked_by_itself_in_the_order_of_first_appearance():
    documents = [
        {"execution_id": "second", "a": 1},
        {"execution_id": "first", "a": 9},
        {"execution_id": "second", "a": 5},
        {"a": 3},
        {"execution_id": "first", "a": 10},
    ]
    found = [(d.get("execution_id"), d["a"]) for d in rank(documents)]
    assert found == [("second", 5), ("second", 1), ("first", 10), ("first", 9), (None, 3)]


def test_ties_keep_the_order_given():
    documents = [{"feature_id": str(i), "a": i // 3} for i in range(9)]
    assert [d["feature_id"] for d in rank(documents)] == list("678345012")


@pytest.mark.parametrize("absent", [{}, {"a": None}, {"a": np.nan}, {"features": None}])
def test_a_feature_that_a_document_lacks_is_absent_and_no_error(absent):
    assert rank([{"a": 1}, absent])[1]["score"] == 0


def test_an_unknown_category_is_absent_and_counted():
    unknown = UnknownCategories()
    documents = [{"a": 0, "colour": colour} for colour in ("pink", "mauve", " green ", None, "nan")]
    found = rank_dicts(documents, NAMES, CATEGORIES, score, unknown)
    assert [d["score"] for d in found] == [1, 0, 0, 0, 0]
    assert unknown.counts == {"colour": 2}
    assert rank([{"a": 0, "colour": np.nan}])[0]["score"] == 0


def test_truth_values_and_dates_are_taken_as_json_and_python_write_them():
    names, truths = ["a", "new"], {"new": ("false", "true")}
    for new in (True, 1, "true", np.True_):
        for day in ("1970-01-03", dt.date(1970, 1, 3), dt.datetime(1970, 1, 3, tzinfo=dt.UTC), 2):
            assert rank_dicts([{"a": day, "new": new}], names, truths, score)[0]["score"] == 5
    assert rank([{"a": True}])[0]["score"] == 2


def test_nothing_in_gives_nothing_out():
    assert rank([]) == []


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("text", r"documents\[1\]: expected a dict, got str"),
        (None, r"documents\[1\]: expected a dict"),
        ({"features": [1, 2]}, r"documents\[1\].features: expected a dict"),
        ({"a": "1.5"}, r"documents\[1\].a: expected a number or null, got '1.5'"),
        ({"a": "1970-13-01"}, r"documents\[1\].a: expected a number or null"),
        ({"document_score": "1970-01-01"}, r"documents\[1\].document_score: expected a number"),
        ({"a": [1]}, r"documents\[1\].a: expected a number"),
        ({"a": float("inf")}, r"documents\[1\].a: expected a finite float32 number, got inf"),
        ({"a": 1e300}, r"documents\[1\].a: expected a finite"),
        ({"a": 10**400}, r"documents\[1\].a: expected a finite"),
        ({"a": -(10**400)}, r"documents\[1\].a: expected a finite"),
        ({"colour": 1}, r"documents\[1\].colour: a categorical feature needs text"),
        ({"document_score": "high"}, r"documents\[1\].document_score: expected a number"),
        ({"document_score": -np.inf}, r"documents\[1\].document_score: expected a finite"),
        ({"feature_id": 1.5}, r"documents\[1\].feature_id: expected text"),
        ({"execution_id": {"a": 1}}, r"documents\[1\].execution_id: expected text"),
    ],
)
def test_a_bad_document_is_named_by_index_and_field(document, says):
    with pytest.raises(InvalidInputError, match=says):
        rank([{"a": 1}, document])


def test_documents_without_any_known_feature_are_noticed(caplog):
    with caplog.at_level(logging.WARNING, logger="rankloom"):
        rank([{"b": 1}])
    assert "no document carries any of the model's 2 features" in caplog.text


COLUMNS = {
    "execution_id": ["q", "p", "q", None, "p"],
    "colour": ["red", "green", None, "red", "red"],
    "a": [1.0, 2.0, 3.0, 0.0, 9.0],
    "title": list("abcde"),
}


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (pl.DataFrame(COLUMNS), pl.DataFrame),
        (pd.DataFrame(COLUMNS), pd.DataFrame),
        (pa.table(COLUMNS), pa.Table),
    ],
    ids=["polars", "pandas", "arrow"],
)
def test_a_table_comes_back_as_the_same_kind_ranked_like_documents(table, kind):
    found = rank_table(table, NAMES, CATEGORIES, score)
    assert isinstance(found, kind)
    columns = found.to_pydict() if kind is pa.Table else {c: list(found[c]) for c in found.columns}
    assert columns["title"] == list("caebd")
    assert columns["score"] == [6.0, 2.0, 18.0, 5.0, 0.0]
    assert "score" not in (table.column_names if kind is pa.Table else table.columns)


def test_a_table_without_executions_is_one_list():
    found = rank_table(pl.DataFrame(COLUMNS).drop("execution_id"), NAMES, CATEGORIES, score)
    assert found["title"].to_list() == list("ecbad")
