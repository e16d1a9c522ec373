"""Judgement lists: grades by relevance, honest confidence, and files that other tools read."""

from __future__ import annotations

import json

import ir_measures
import numpy as np
import polars as pl
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.ltr import Ranker, export_judgments, judgment_list

OPTIONS = Ranker(n_jobs=1, n_estimators=40)


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(
        n_queries=60, n_documents=12, n_features=4, n_channels=0, random_state=0
    )


@pytest.fixture(scope="module")
def pairs(catalogue):
    log = simulate_interactions(catalogue, n_executions=3000, interactions="clicks", random_state=0)
    features = catalogue.drop("query", "grade")
    return load_pairs(log, features=features, builtin_features=())


@pytest.fixture(scope="module")
def found(pairs):
    return judgment_list(pairs, max_grade=4, ranker=OPTIONS)


def test_the_interval_holds_the_true_relevance_of_what_was_examined(catalogue, found):
    frame = found.frame.filter(pl.col("exposures") > 20).join(catalogue, on="feature_id")
    relevance = 0.1 + 0.9 * (np.exp2(frame["grade_right"].to_numpy()) - 1) / 15
    inside = (frame["lower"].to_numpy() <= relevance) & (relevance <= frame["upper"].to_numpy())
    assert len(frame) > 100
    assert inside.mean() > 0.8


def test_grades_follow_relevance_and_confidence_is_the_chance_that_they_are_right(found, catalogue):
    frame = found.frame
    assert frame["grade"].min() == 0
    assert frame["grade"].max() == 4
    assert frame.sort("relevance")["grade"].is_sorted()
    assert frame["confidence"].is_between(0, 1).all()
    often = frame.filter(pl.col("exposures") > 20)
    assert often["confidence"].mean() > frame["confidence"].mean() + 0.1
    right = often.join(catalogue, on="feature_id").select(
        (pl.col("grade") == pl.col("grade_right")).mean()
    )
    assert right.item() > 0.6


def test_coverage_counts_every_document_once(found, pairs):
    assert found.coverage["documents"].sum() == len(found.frame) == len(set(pairs.document_id))
    assert found.coverage["queries"].sum() == 60
    assert found.coverage["impressions"].to_list() == sorted(found.coverage["impressions"])


def test_qrels_are_read_by_ir_measures_and_topics_without_spaces_listed(found, tmp_path):
    path = tmp_path / "list.qrels"
    assert found.write(path, "trec") == len(found.frame)
    named = pl.read_csv(f"{path}.queries.tsv", separator="\t", quote_char=None)
    ids = dict(named.select("topic", "query_id").rows())
    read = {
        (ids[each.query_id], each.doc_id, each.relevance)
        for each in ir_measures.read_trec_qrels(str(path))
    }
    assert read == set(found.frame.select("query_id", "feature_id", "grade").rows())


def test_opensearch_and_quepid_name_queries_by_their_words(found, tmp_path):
    found.write(tmp_path / "list.json", "opensearch")
    body = json.loads((tmp_path / "list.json").read_text())
    assert body["type"] == "IMPORT_JUDGMENT"
    in_json = {
        (each["query"], rating["docId"], float(rating["rating"]))
        for each in body["judgmentRatings"]
        for rating in each["ratings"]
    }
    found.write(tmp_path / "list.csv", "quepid")
    rows = pl.read_csv(tmp_path / "list.csv")
    assert rows.columns == ["query", "docid", "rating"]
    assert in_json == set(rows.with_columns(pl.col("rating").cast(pl.Float64)).rows())
    assert rows["query"].unique().sort().to_list() == [f"query {i:04}" for i in range(60)]


def test_the_least_confident_grades_may_be_left_out(pairs, tmp_path):
    ranker = Ranker(n_jobs=1, n_estimators=40, examination=1 / np.arange(1.0, 11.0))
    found = export_judgments(pairs, tmp_path / "list.csv", "csv", min_confidence=0.5, ranker=ranker)
    written = pl.read_csv(tmp_path / "list.csv")
    assert len(written) == found.frame.filter(pl.col("confidence") >= 0.5).height
    assert {"lower", "upper", "exposures", "confidence"} <= set(written.columns)


def test_what_cannot_be_written_is_refused(found, pairs, tmp_path):
    with pytest.raises(InvalidInputError, match="format.*expected one of.*Did you mean 'trec'"):
        found.write(tmp_path / "x", "trecc")
    with pytest.raises(InvalidInputError, match="min_confidence"):
        found.write(tmp_path / "x", min_confidence=1.5)
    with pytest.raises(InvalidInputError, match="max_grade"):
        judgment_list(pairs, max_grade=0)
    assert not list(tmp_path.iterdir())
