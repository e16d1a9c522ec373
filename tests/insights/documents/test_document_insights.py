"""Documents with planted faults are found, and others are not; the log may lack much."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError
from rankloom.insights import document_insights, query_insights
from tests.insights.planted_world import EXAMINATION, START, simulate_world


@pytest.fixture(scope="module")
def insights(searches):
    return document_insights(searches)


def rows_of(table):
    return set(table.select("query", "document").iter_rows())


def test_documents_that_stand_high_and_disappoint_are_found(world, insights):
    found = rows_of(insights.disappointing)
    assert {pair for pair in found if world.below[pair] > 1 / 1.2} == set()
    assert len(found & world.disappointing) >= 5


def test_documents_that_stand_low_and_are_wanted_are_found(world, insights):
    found = rows_of(insights.wanted)
    assert {pair for pair in found if world.above[pair] < 1.2} == set()
    assert len(found) >= 3
    position = insights.wanted["position"]
    assert position.min() > 0.5


def test_documents_with_a_fault_are_found_and_no_others(world, insights):
    for kind, planted in (
        ("skips", world.skipped),
        ("returns", world.returned),
        ("negative_feedback", world.negative),
    ):
        found = set(insights.found(kind)["document"])
        assert found <= planted, kind
        assert len(found) >= len(planted) / 2, kind


def test_raw_rates_would_call_documents_at_the_top_skipped_and_low_ones_bad(world):
    """Skips by display are most frequent where people look, whatever stands there."""
    raw = document_insights(world.log, examination=np.ones(8))
    skipped = set(raw.found("skips")["document"])
    assert len(skipped - world.skipped) > len(skipped & world.skipped)
    wanted, low = rows_of(raw.wanted), rows_of(raw.disappointing)
    assert len(wanted & world.wanted) + len(low & world.disappointing) <= 2


def test_nothing_is_found_where_nothing_is_planted():
    world = simulate_world(4_000, seed=2, planted=False)
    insights = document_insights(world.log, examination=EXAMINATION)
    assert [len(insights.found(kind)) for kind in ("skips", "returns", "negative_feedback")] == [
        0,
        0,
        0,
    ]


def test_queries_of_a_document_are_named_with_it(insights):
    table = insights.documents.select("disappointing_for", "document")
    named = {(query, name) for queries, name in table.iter_rows() for query in queries}
    assert named == rows_of(insights.disappointing)


def test_new_documents_that_were_hardly_examined_are_listed():
    def row(day, document, position):
        return {
            "execution_id": f"{day}-{document}",
            "feature_id": document,
            "position": position,
            "interaction_type": ["impression"],
            "occurred_at": START.replace(day=day),
        }

    rows = [row(day, "old", 0) for day in range(1, 29)] + [row(1, "rare", 1), row(20, "new", 1)]
    table = document_insights(rows, examination=[1, 0.5]).without_evidence
    assert table.select("document", "displays", "examined").rows() == [("new", 1, 0.5)]
    assert table["first_shown"].to_list() == [START.replace(day=20)]
    named = document_insights(rows, examination=[1, 0.5], new_days=40, min_examined=30)
    assert set(named.without_evidence["document"]) == {"old", "new", "rare"}
    untimed = [{k: v for k, v in each.items() if k != "occurred_at"} for each in rows]
    timeless = document_insights(untimed, examination=[1, 0.5])
    assert set(timeless.without_evidence["document"]) == {"new", "rare"}
    assert "time" in timeless.missing


def test_a_log_without_users_sessions_and_times_says_so_and_finds_the_same(world):
    log = world.log.drop("user_id", "session_id", "occurred_at")
    bare = document_insights(log, examination=EXAMINATION)
    assert {"user", "time"} <= bare.missing.keys()
    assert len(rows_of(bare.disappointing) & world.disappointing) >= 5
    assert "missing: user: " in str(bare)


def test_types_that_were_never_logged_have_no_rates(world):
    log = world.log.filter(pl.col("interaction_type").list.first().is_in(["impression", "click"]))
    insights = document_insights(log, examination=EXAMINATION)
    kinds = "skip or return_to_results or negative_feedback"
    assert f"no row is of type {kinds}, so there are no such rates" in insights.notes
    assert insights.documents["skips"].null_count() == len(insights.documents)
    assert insights.documents["skips_q"].null_count() == len(insights.documents)


def test_engagement_is_that_of_queries(searches, insights):
    table = query_insights(searches)
    assert insights.overall["engagement"] == pytest.approx(table.overall["engagement"])
    assert insights.documents["engaged"].sum() == insights.pairs["engaged"].sum()


def test_everything_is_plain_in_json_and_text(insights):
    document = json.loads(json.dumps(insights.to_dict(), allow_nan=False))
    assert document["documents"][0]["document"] == insights.documents["document"][0]
    assert len(document["pairs"]) == len(insights.pairs)
    assert repr(insights) == insights.summary(10)


@pytest.mark.parametrize(
    "name",
    ["false_discoveries", "confidence", "least_difference", "min_examined", "new_days"],
)
def test_a_wrong_parameter_is_refused_by_its_name(searches, name):
    with pytest.raises(InvalidInputError, match=f"^{name}: expected a number"):
        document_insights(searches, **{name: -1})


def test_a_log_without_displays_and_an_unknown_kind_are_refused(insights):
    row = {"execution_id": "a", "feature_id": "-", "position": 0}
    with pytest.raises(InvalidInputError, match="no search shows a document; log an interaction"):
        document_insights([{**row, "interaction_type": ["zero_results"]}])
    with pytest.raises(InvalidInputError, match="^kind: expected one of .*, got 'clicks'"):
        insights.found("clicks")


def test_a_log_of_clicks_only_has_no_rates_and_says_how_to_get_them():
    row = {"feature_id": "d", "position": 0, "interaction_type": ["click"], "query_snapshot": "red"}
    rows = [{**row, "execution_id": name} for name in "ab"]
    documents, queries = document_insights(rows), query_insights(rows)
    assert len(documents.documents) == 0
    assert documents.to_dict()["overall"]["engagement"] is None
    assert queries.queries["engagement"].to_list() == [None]
    for insights in (documents, queries):
        assert "unknown" in insights.summary()
        assert "give an impressions table" in insights.missing["impressions"]
