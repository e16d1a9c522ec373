"""Queries with planted faults are found, and others are not; the log may lack much."""

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rankloom.errors import InvalidInputError
from rankloom.insights import query_insights, read_searches
from tests.insights.planted_world import EXAMINATION, simulate_world

MISSING = ["user_id", "session_id", "occurred_at"]


@pytest.fixture(scope="module")
def insights(searches):
    return query_insights(searches)


def pairs_of(table):
    return set(table.select("from_query", "to_query").iter_rows())


def test_queries_without_results_are_found_and_no_others(world, insights):
    assert set(insights.found("zero_results")["query"]) == world.zero_results


def test_queries_below_and_above_their_promise_are_found(world, insights):
    below, above = (set(insights.found(kind)["query"]) for kind in ("below", "above"))
    assert {query for query in below if world.ratio[query] > 1 / 1.1} == set()
    assert len(below & world.failing) >= 13
    right = [query for query in above if world.ratio[query] > 1.1]
    assert len(above) - len(right) <= 1
    assert len(right) >= 7


def test_ratios_are_near_the_truth_and_their_intervals_hold_it(world, insights):
    table = insights.queries.filter(pl.col("searches") > 60)
    truth = pl.Series([world.ratio[query] for query in table["query"]])
    assert pl.DataFrame({"a": table["ratio"], "b": truth}).select(pl.corr("a", "b")).item() > 0.9
    held = (table["ratio_lower"] <= truth) & (truth <= table["ratio_upper"])
    # Besides chance, trees miss what little features say: they are not the truth's function.
    assert held.mean() > 0.75


def test_the_steps_that_were_planted_are_found(world, insights):
    planted = world.rewrites | {
        (a, b) for pair in world.synonyms for a in pair for b in pair if a != b
    }
    found = pairs_of(insights.chains.filter("found"))
    assert found <= planted
    assert len(found) >= 16
    lift = insights.chains.filter("found")["lift"]
    assert lift.min() > 2


def test_rewrites_have_a_direction_and_synonyms_the_same_documents(world, insights):
    table = insights.rewrites
    rewrites = pairs_of(table.filter(pl.col("kind") == "rewrite"))
    assert rewrites <= world.rewrites
    assert len(rewrites) >= 4
    synonyms = {frozenset(pair) for pair in pairs_of(table.filter(pl.col("kind") == "synonym"))}
    assert synonyms <= world.synonyms
    assert len(synonyms) >= 4


def test_twins_are_one_cluster_and_nothing_else_is(world, insights):
    table = insights.clusters.filter(pl.col("queries") > 1)
    assert {frozenset(members) for members in table["members"]} == world.synonyms
    assert insights.clusters["searches"].sum() == insights.queries["searches"].sum()


def test_nothing_is_found_where_nothing_is_planted():
    world = simulate_world(4_000, seed=2, planted=False)
    insights = query_insights(world.log, examination=EXAMINATION, features=world.features)
    assert [len(insights.found(kind)) for kind in ("zero_results", "below", "above")] == [0, 0, 0]
    assert insights.chains["found"].sum() == 0
    assert len(insights.rewrites) == 0


def test_a_raw_rate_would_call_queries_with_short_lists_good():
    """Half of the queries show 2 documents, half 8, as good in the mean."""
    world = simulate_world(6_000, seed=3, n_queries=20, planted=False)
    short = (pl.col("query_snapshot") < "q010") & (pl.col("position") >= 2)
    log = world.log.filter(~short)
    found = {
        name: query_insights(log, examination=curve, least_difference=0.25).found("above")
        for name, curve in (("raw", [1.0]), ("corrected", EXAMINATION))
    }
    assert len(found["corrected"]) == 0
    assert len(found["raw"]) >= 8
    assert found["raw"]["query"].max() < "q010"


@pytest.mark.parametrize("lacking", [MISSING, ["user_id"], ["session_id"], ["occurred_at"]])
def test_a_log_that_lacks_fields_says_so_and_keeps_the_rest(world, lacking):
    log = world.log.drop(lacking)
    insights = query_insights(log, examination=EXAMINATION)
    names = {"user_id": "user", "session_id": "session", "occurred_at": "time"}
    assert {names[name] for name in lacking} <= insights.missing.keys()
    assert set(insights.found("zero_results")["query"]) == world.zero_results
    ordered = "occurred_at" not in lacking and lacking != MISSING
    assert bool(insights.chains["found"].any()) == ordered
    assert ("unknown, for what is missing" in str(insights)) == (not ordered)
    assert "missing: " in str(insights)


def test_without_features_engagement_is_compared_with_the_overall_rate(world, insights):
    plain = query_insights(world.log, examination=EXAMINATION)
    assert (plain.promised_by, insights.promised_by) == ((), ("x",))
    assert plain.queries["promised"].round(9).n_unique() == 1
    assert "than is usual" in str(plain)
    assert "features promise" in str(insights)


def test_one_person_who_searches_all_day_proves_little():
    """One user's 300 failures of a query are one person's, and are not tested at all."""
    row = {"position": 0, "interaction_type": ["impression"], "feature_id": "d"}
    rows = [
        {**row, "execution_id": f"{q}{i}", "query_snapshot": q, "user_id": f"u{i}"}
        for q in "abc"
        for i in range(100)
    ]
    rows += [{**each, "interaction_type": ["click"]} for each in rows if each["user_id"] > "u4"]
    rows += [
        {**row, "execution_id": f"d{i}", "query_snapshot": "d", "user_id": "u1"} for i in range(300)
    ]
    insights = query_insights(rows, examination=[1.0])
    table = {row["query"]: row for row in insights.queries.iter_rows(named=True)}
    assert table["d"]["verdict"] is None
    assert table["d"]["abandonment_q"] is None
    assert table["d"]["persons"] == 1


def test_everything_is_plain_in_json_and_text(insights):
    document = json.loads(json.dumps(insights.to_dict(), allow_nan=False))
    assert document["queries"][0]["query"] == insights.queries["query"][0]
    assert document["overall"]["searches"] == insights.queries["searches"].sum()
    assert document["report"]["rows_read"] > 0
    assert repr(insights) == insights.summary(10)
    assert len(insights.summary(0).splitlines()) < len(insights.summary(3).splitlines())


def test_the_order_of_rows_changes_nothing(world, insights):
    again = query_insights(
        world.log.sample(fraction=1, shuffle=True, seed=3),
        features=world.features,
        examination=EXAMINATION,
    )
    for name in ("queries", "clusters", "chains", "rewrites"):
        assert_frame_equal(getattr(again, name), getattr(insights, name), rel_tol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"false_discoveries": 0}, "^false_discoveries: expected a number between 0 and 1"),
        ({"confidence": 95}, "^confidence: "),
        ({"least_difference": -1}, "^least_difference: "),
        ({"within_minutes": 0}, "^within_minutes: "),
        ({"min_persons": 1}, "^min_persons: expected a whole number of at least 2"),
        ({"least_lift": 0.5}, "^least_lift: "),
        ({"similarity": 1}, "^similarity: "),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(searches, options, message):
    with pytest.raises(InvalidInputError, match=message):
        query_insights(searches, **options)


def test_a_log_without_queries_and_an_unknown_kind_are_refused(insights):
    row = {"execution_id": "a", "feature_id": "d", "position": 0, "interaction_type": ["click"]}
    with pytest.raises(InvalidInputError, match="no search names its query.*log query_snapshot"):
        query_insights([row])
    with pytest.raises(InvalidInputError, match="^kind: expected one of .*, got 'belwo'"):
        insights.found("belwo")


def test_searches_without_a_query_are_left_out_with_a_note():
    row = {"feature_id": "d", "position": 0, "interaction_type": ["impression"]}
    rows = [
        {**row, "execution_id": "a", "query_snapshot": "red"},
        {**row, "execution_id": "b"},
    ]
    insights = query_insights(read_searches(rows))
    assert insights.queries["searches"].to_list() == [1]
    assert "1 searches without a query were left out" in insights.notes
