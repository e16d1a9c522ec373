"""UBI documents to interactions: whatever is left out is counted, and nothing is made up."""

import gzip
import json
import random

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import (
    Scan,
    load_pairs,
    load_ubi,
    simulate_catalogue,
    simulate_interactions,
)
from rankloom.datasets.importers.ubi.actions import DEFAULT_ACTIONS
from rankloom.datasets.importers.ubi.flatten import HIT_LISTS, NESTED_HIT_LISTS
from rankloom.datasets.quality.validate import validate
from rankloom.errors import InvalidInputError, UnreadableSourceError

LIST_LEVEL = ("query_refinement", "zero_results", "filter_toggle")


def query(query_id="q", hits=("a", "b", "c"), **more):
    document = {
        "user_query": "red shoes",
        "timestamp": "2026-01-31T12:00:00Z",
        "client_id": "browser",
    }
    return {"query_id": query_id, "query_response_hit_ids": list(hits), **document, **more}


def event(object_id="b", action="click", ordinal=None, query_id="q", at="12:00:07", **more):
    attributes = {"object": {"object_id": object_id, "object_id_field": "sku"}}
    if ordinal is not None:
        attributes["position"] = {"ordinal": ordinal}
    return {
        "action_name": action,
        "query_id": query_id,
        "client_id": "browser",
        "timestamp": f"2026-01-31T{at}Z",
        "event_attributes": attributes,
        **more,
    }


def placed(position, object_id="b"):
    """An event whose `position` is given as it is."""
    attributes = {"object": {"object_id": object_id}, "position": position}
    return event(event_attributes=attributes)


def events_of(result):
    return result.frame.filter(pl.col("interaction_type").list.first() != "impression")


def assert_adds_up(result):
    assert result.rows_read == result.rows_kept + result.duplicates + result.quarantine.rows
    assert result.rows_kept == result.queries + result.events
    assert result.frame.height == result.impressions + result.events
    report = validate(result)
    assert (report.rows_read, report.quarantined, report.duplicates) == (result.frame.height, 0, 0)


@pytest.fixture(scope="module")
def log():
    """A simulated log in which events have times, users, sessions and queries."""
    catalogue = simulate_catalogue(n_queries=30, random_state=0)
    return simulate_interactions(catalogue, n_executions=120, random_state=1)


@pytest.fixture(scope="module")
def as_ubi(log):
    """The same log as OpenSearch and a browser would have written it."""
    shown = log.filter(pl.col("interaction_type").list.contains("impression"))
    shown = shown.sort("execution_id", "position")
    queries = [
        {
            "query_id": rows["execution_id"][0],
            "user_query": json.loads(rows["query_snapshot"][0])["query"],
            "client_id": rows["user_id"][0],
            "query_response_hit_ids": rows["feature_id"].to_list(),
            "timestamp": rows["occurred_at"].min().isoformat() + "Z",
        }
        for rows in shown.partition_by("execution_id", maintain_order=True)
    ]
    events = [
        event(
            row["feature_id"],
            action,
            row["position"] + 1,
            row["execution_id"],
            session_id=row["session_id"],
            user_id=row["user_id"],
            timestamp=row["occurred_at"].isoformat() + "Z",
        )
        for row in log.iter_rows(named=True)
        for action in row["interaction_type"]
        if action not in {"impression", *LIST_LEVEL}
    ]
    return queries, events


def test_a_log_written_as_ubi_and_read_back_gives_the_same_pairs(log, as_ubi):
    result = load_ubi(*as_ubi)
    assert_adds_up(result)
    assert (result.ordinal_base, result.ordinal_conflicts, result.quarantine.rows) == (1, 0, 0)
    original, read = load_pairs(log), load_pairs(result)
    for name in ("y", "clicked", "negative", "group", "position", "time", "age_days"):
        np.testing.assert_array_equal(getattr(original, name), getattr(read, name), err_msg=name)
    assert original.execution_id.to_list() == read.execution_id.to_list()
    assert original.document_id.to_list() == read.document_id.to_list()
    queries = zip(original.query_code.tolist(), read.query_code.tolist(), strict=True)
    assert len(set(queries)) == len(original.queries) == len(read.queries)


def test_users_and_sessions_of_impressions_are_those_of_the_original_log(log, as_ubi):
    result = load_ubi(*as_ubi)
    keys = ["execution_id", "user_id", "session_id"]
    with_events = events_of(result)["execution_id"].unique().to_list()
    mine, theirs = (
        frame.filter(pl.col("execution_id").is_in(with_events)).select(keys).unique().sort(keys)
        for frame in (result.frame, log)
    )
    assert mine.equals(theirs)


@pytest.mark.parametrize("name", [*HIT_LISTS, *(f"query_response.{n}" for n in NESTED_HIT_LISTS)])
def test_every_name_of_the_hit_list_gives_the_same_interactions(name):
    expected = load_ubi([query()], [event()]).frame
    document = query()
    hits = document.pop("query_response_hit_ids")
    outer, _, inner = name.partition(".")
    document[outer] = {inner: hits} if inner else hits
    assert load_ubi([document], [event()]).frame.equals(expected)


def test_hits_given_as_objects_are_hits():
    document = query()
    hits = document.pop("query_response_hit_ids")
    document["query_response"] = {"objects": [{"object_id": hit, "score": 1.0} for hit in hits]}
    assert load_ubi([document], [event()]).frame.equals(load_ubi([query()], [event()]).frame)


def test_two_names_of_the_hit_list_may_agree_but_not_differ():
    both = query(query_response_object_ids=["a", "b", "c"])
    assert load_ubi([both], []).impressions == 3
    empty = query(query_response_object_ids=[])
    assert load_ubi([empty], []).impressions == 3
    differ = load_ubi([query(query_response_object_ids=["a"])], [])
    assert differ.impressions == 0
    assert "differ" in next(iter(differ.quarantine.reasons))
    assert_adds_up(differ)


def test_ordinals_from_0_and_from_1_are_the_same_once_shifted(as_ubi):
    queries, events = as_ubi
    from_0 = json.loads(json.dumps(events))
    for each in from_0:
        each["event_attributes"]["position"]["ordinal"] -= 1
    by_1, by_0 = load_ubi(queries, events), load_ubi(queries, from_0)
    assert (by_1.ordinal_base, by_0.ordinal_base) == (1, 0)
    # Ids differ between documents, and these documents differ in their ordinals.
    assert by_1.frame.drop("interaction_id").equals(by_0.frame.drop("interaction_id"))
    assert load_ubi(queries, events, ordinal_base=1).frame.equals(by_1.frame)


def test_a_base_that_the_hit_lists_contradict_is_refused_with_the_counts():
    half = [event("a", ordinal=0), event("b", ordinal=1), event("c", ordinal=3)]
    with pytest.raises(InvalidInputError, match="2 count from 0, 1 from 1"):
        load_ubi([query()], half)
    result = load_ubi([query()], half, ordinal_base=0)
    assert result.ordinal_conflicts == 1
    assert events_of(result)["position"].to_list() == [0, 1, 3]


def test_a_base_without_evidence_is_refused_where_it_is_needed():
    with pytest.raises(InvalidInputError, match="ordinal_base: not identifiable: no event"):
        load_ubi([query()], [event("elsewhere", ordinal=4)])
    result = load_ubi([query()], [event("b")])
    assert events_of(result)["position"].to_list() == [1]


def test_nine_of_ten_ordinals_decide_and_the_others_are_counted():
    hits = [f"d{i}" for i in range(10)]
    events = [event(hit, ordinal=i + 1, at=f"12:00:{i:02}") for i, hit in enumerate(hits)]
    events[4]["event_attributes"]["position"]["ordinal"] = 9
    result = load_ubi([query(hits=hits)], events)
    assert (result.ordinal_base, result.ordinal_conflicts) == (1, 1)
    events[5]["event_attributes"]["position"]["ordinal"] = 2
    with pytest.raises(InvalidInputError, match="ordinal_base"):
        load_ubi([query(hits=hits)], events)


@pytest.mark.parametrize("base", [2, True, "1", -1, "hit"])
def test_a_base_that_is_none_is_refused(base):
    with pytest.raises(InvalidInputError, match="ordinal_base: expected 0, 1, 'hits' or None"):
        load_ubi([], [], ordinal_base=base)


def clicks(bases, **more):
    """A query a minute, clicked at "b" (index 1) with an ordinal from each base."""
    queries = [query(f"q{i}") for i in range(len(bases))]
    minutes = [f"12:{i:02}:00" for i in range(len(bases))]
    events = [
        event(
            "b",
            ordinal=1 + base,
            query_id=f"q{i}",
            at=minutes[i],
            **{name: values[i] for name, values in more.items()},
        )
        for i, base in enumerate(bases)
    ]
    return queries, events


def test_a_base_that_changes_with_the_client_is_found_for_each_application():
    bases = [0, 1] * 6
    queries, events = clicks(bases, application=["new", "old"] * 6)
    events.append(event("z", ordinal=7, query_id="q1", application="old"))
    events.append(event("z", ordinal=7, query_id="q1", application="other"))
    result = load_ubi(queries, events)
    assert result.ordinal_base is None
    assert result.ordinal_bases == {"application 'new'": 0, "application 'old'": 1}
    assert events_of(result)["position"].to_list() == [*[1] * 12, 6]
    assert (result.ordinal_conflicts, result.quarantine.rows) == (0, 1)
    assert "not known" in next(iter(result.quarantine.reasons))


def test_a_base_that_changes_once_is_found_with_the_time_of_the_change():
    queries, events = clicks([1] * 7 + [0] * 9)
    random.Random(0).shuffle(events)
    result = load_ubi(queries, events)
    assert result.ordinal_bases == {
        "before 2026-01-31 12:07:00": 1,
        "from 2026-01-31 12:07:00": 0,
    }
    assert set(events_of(result)["position"]) == {1}
    assert result.to_dict()["ordinal_base"] is None


@pytest.mark.parametrize("seed", range(20))
def test_clicks_at_other_positions_by_chance_are_no_change_of_the_base(seed):
    rng = random.Random(seed)
    queries, events = clicks([int(rng.random() < 0.35) for _ in range(40)])
    with pytest.raises(InvalidInputError, match="ordinal_base='hits'"):
        load_ubi(queries, events)
    result = load_ubi(queries, events, ordinal_base="hits")
    assert set(events_of(result)["position"]) == {1}
    assert (result.ordinal_base, result.ordinal_conflicts, result.events) == ("hits", 0, 40)


@pytest.mark.parametrize(
    "position",
    [
        {"ordinal": 2},
        {"ordinal": {"index": 2}},
        {"ordinal": {"index": "2"}},
        {"ordinal": "2"},
        {"ordinal": 2.0},
        {"ordinal": " 2.0 "},
        '{"ordinal": 2}',
        2,
        "2",
    ],
)
def test_ordinals_of_every_schema_and_as_text_are_read(position):
    """1.3.0 has a number, 1.0.0 to 1.2.0 an object with an index; CSV has text."""
    result = load_ubi([query()], [placed(position, "z")], ordinal_base=1)
    assert events_of(result).select("feature_id", "position").rows() == [("z", 1)]
    assert (result.unusable_ordinals, result.quarantine.rows) == (0, 0)


@pytest.mark.parametrize(
    ("position", "unusable"),
    [
        (None, 0),
        ({"x": 4, "y": 9}, 0),
        ({"ordinal": {"index": None}}, 0),
        ({"ordinal": {}}, 0),
        ({"ordinal": -1}, 1),
        ({"ordinal": 1.5}, 1),
        ({"ordinal": True}, 1),
        ({"ordinal": "third"}, 1),
        ({"ordinal": "9" * 5000}, 1),
        ({"ordinal": 2**31}, 1),
        ([3], 1),
        ("{", 1),
    ],
)
def test_without_a_usable_ordinal_the_hit_list_has_the_position(position, unusable):
    """And an event on an object outside of it goes to the quarantine, with the reason."""
    result = load_ubi([query()], [placed(position), placed(position, "z")])
    assert events_of(result).select("feature_id", "position").rows() == [("b", 1)]
    assert result.unusable_ordinals == unusable
    bad = result.quarantine.to_frame()
    assert bad["field"].to_list() == ["event_attributes.position.ordinal"]
    assert bad["reason"][0].startswith("missing") is (unusable == 0)
    assert_adds_up(result)


def test_an_object_outside_of_the_hits_is_kept_by_its_ordinal_or_refused_without_one():
    result = load_ubi([query()], [event("z", ordinal=5), event("y")], ordinal_base=1)
    assert events_of(result).select("feature_id", "position").rows() == [("z", 4)]
    assert result.not_in_hits == 1
    assert result.quarantine.to_frame()["field"].to_list() == ["event_attributes.position.ordinal"]
    assert_adds_up(result)


def test_an_event_of_an_unknown_query_or_of_none_is_kept_by_its_ordinal():
    lost = [event(query_id="gone", ordinal=0), event(query_id=None, ordinal=1, session_id="s")]
    result = load_ubi([query()], lost, ordinal_base=0)
    rows = events_of(result).select("execution_id", "session_id", "query_snapshot", "position")
    assert rows.rows() == [("gone", None, None, 0), (None, "s", None, 1)]
    assert_adds_up(result)


def test_an_internal_id_finds_the_hit_where_the_object_id_does_not():
    """Without object_id_field OpenSearch stores its internal ids as hits."""
    document = event("sku-2")
    document["event_attributes"]["object"]["internal_id"] = "b"
    result = load_ubi([query()], [document])
    assert events_of(result).select("feature_id", "position").rows() == [("b", 1)]


def test_actions_are_mapped_extended_and_otherwise_quarantined():
    events = [event(action=a, at=f"12:0{i}:00") for i, a in enumerate(["buy", "hover", "save"])]
    result = load_ubi([query()], events, actions={"save": "save_recipe"})
    types = events_of(result)["interaction_type"].list.first().to_list()
    assert types == ["purchase", "save_recipe"]
    assert result.quarantine.to_frame()["value"].to_list() == ["hover"]
    assert load_pairs(result, grades={"save_recipe": 3}).y.tolist() == [0, 4, 0]
    assert result.rows_read == result.rows_kept + result.quarantine.rows == 4


def test_every_default_action_leads_to_a_known_type():
    events = [event("b", action, at=f"12:00:{i:02}") for i, action in enumerate(DEFAULT_ACTIONS)]
    result = load_ubi([query()], events)
    assert result.quarantine.rows == 0
    assert_adds_up(result)


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ({"search": "query_refinement"}, "whole list"),
        ({"": "click"}, "action names"),
        ({"x": ""}, "1 to 100"),
    ],
)
def test_actions_that_cannot_be_are_refused(actions, words):
    with pytest.raises(InvalidInputError, match=words):
        load_ubi([], [], actions=actions)


def test_an_impression_event_repeats_the_hit_list():
    result = load_ubi([query()], [event("b", "impression")])
    assert (result.impressions, result.events, result.duplicates) == (3, 0, 1)
    assert_adds_up(result)


def shown(result):
    """Lists as they were shown: execution -> documents by position."""
    impressions = result.frame.filter(pl.col("interaction_type").list.first() == "impression")
    lists = impressions.sort("position").group_by("execution_id").agg("feature_id")
    return dict(sorted(lists.rows()))


def test_a_repeated_query_is_a_duplicate_and_one_with_other_hits_another_list():
    again, other = query(), query(hits=["d", "e"])
    without = query()
    del without["query_response_hit_ids"]
    result = load_ubi([without, query(), again, other], [])
    assert (result.queries, result.duplicates, result.quarantine.rows) == (2, 2, 0)
    assert shown(result) == {"q": ["a", "b", "c"], "q#2": ["d", "e"]}
    assert result.reused_query_ids == 1
    assert_adds_up(result)


def typed(text, hits, second):
    return query(hits=hits, user_query=text, timestamp=f"2026-01-31T12:00:{second:02}Z")


TYPE_AHEAD = [
    typed("red", ["a", "b"], 0),
    typed("red c", ["b", "c"], 1),
    typed("red case", ["c", "d"], 2),
    typed("red casez", [], 3),
]


@pytest.mark.parametrize(
    ("click", "execution", "position"),
    [
        (event("d", at="12:00:09"), "q#3", 1),  # in one list only
        (event("a", at="12:00:09"), "q", 0),
        (event("b", at="12:00:09"), "q#2", 0),  # in two: the latest before the click
        (event("b", at="12:00:00"), "q", 1),
        (event("b", at="12:00:09", user_query="red"), "q", 1),  # in two: the one of its text
        (event("z", at="12:00:02", ordinal=4), "q#3", 4),  # in none: the latest before it
        (event("z", at="12:00:09", ordinal=4), "q#4", 4),
        (event("z", at="12:00:09", ordinal=4, user_query="red c"), "q#2", 4),
    ],
)
def test_searches_while_typing_under_one_id_are_lists_of_their_own(click, execution, position):
    result = load_ubi(TYPE_AHEAD[::-1], [click], ordinal_base=0)
    assert shown(result) == {"q": ["a", "b"], "q#2": ["b", "c"], "q#3": ["c", "d"]}
    row = events_of(result).row(0, named=True)
    assert (row["execution_id"], row["position"]) == (execution, position)
    assert (result.queries, result.queries_without_hits, result.reused_query_ids) == (4, 1, 1)
    assert_adds_up(result)


def test_the_same_hits_for_two_texts_under_one_id_are_two_lists():
    queries = [typed("red", ["a", "b"], 0), typed("red c", ["a", "b"], 1)]
    result = load_ubi(queries, [event("b", user_query="red")])
    pairs = load_pairs(result)
    assert pairs.execution_id.to_list() == ["q", "q#2"]
    assert pairs.y.tolist() == [0, 1, 0, 0]
    assert pairs.query_id.n_unique() == 2


def test_the_name_of_a_second_list_is_no_other_query():
    queries = [typed("r", ["a"], 0), typed("re", ["b"], 1), query("q#2", ["z"])]
    result = load_ubi(queries, [event("b"), event("z", query_id="q#2")])
    assert shown(result) == {"q": ["a"], "q#2": ["z"], "q#2#": ["b"]}
    assert events_of(result)["execution_id"].to_list() == ["q#2#", "q#2"]


@pytest.mark.parametrize("name", ["from", "offset", "start"])
def test_pages_under_one_id_are_one_list_with_the_positions_of_the_whole(name):
    pages = [
        query(hits=["c", "d"], query_attributes={name: 2}, timestamp="2026-01-31T12:00:05Z"),
        query(hits=["a", "b"]),
    ]
    result = load_ubi(pages, [event("d", ordinal=3), event("c", ordinal="2")])
    assert shown(result) == {"q": ["a", "b", "c", "d"]}
    assert events_of(result)["position"].to_list() == [3, 2]
    assert (result.ordinal_base, result.ordinal_conflicts) == (0, 0)
    assert result.frame["result_set_size"].unique().to_list() == [4]
    pairs = load_pairs(result)
    assert (pairs.group.tolist(), pairs.y.tolist()) == ([4], [0, 0, 1, 1])


def test_a_page_with_an_id_of_its_own_has_the_positions_of_the_whole_and_the_same_query():
    pages = [query("q1"), query("q2", ["d", "e"], query_attributes={"from": "3"})]
    pairs = load_pairs(load_ubi(pages, [event("a", query_id="q1"), event("e", query_id="q2")]))
    assert pairs.position.tolist() == [0, 1, 2, 3, 4]
    assert pairs.query_code.tolist() == [0, 0]
    odd = [query(query_attributes={"from": at}) for at in (-1, "Berlin", 2**40, True)]
    assert [load_ubi([each], []).frame["position"].to_list() for each in odd] == [[0, 1, 2]] * 4


def test_an_id_that_a_hit_list_repeats_was_shown_where_it_came_first():
    result = load_ubi([query(hits=["a", "b", "a", "c"])], [event("a")])
    assert result.frame.select("feature_id", "position").rows() == [
        *(("a", 0), ("b", 1), ("c", 3)),
        ("a", 0),
    ]
    assert_adds_up(result)


def test_a_query_without_hits_makes_no_impression_but_describes_its_events():
    without = query(hits=[])
    result = load_ubi([without], [event(ordinal=0)], ordinal_base=0)
    assert (result.queries_without_hits, result.impressions, result.events) == (1, 0, 1)
    assert json.loads(result.frame["query_snapshot"][0]) == {"user_query": "red shoes"}
    assert result.frame["result_set_size"].to_list() == [None]


def test_attributes_are_next_to_the_text_so_that_pages_are_no_other_query():
    document = [
        query("q1", query_attributes={"page": 1, "filters": {"size": 42}}),
        query("q2", query_attributes={"page": 2, "filters": {"size": 42}}),
        query("q3", query_attributes={"page": 1, "filters": {"size": 43}}),
    ]
    pairs = load_pairs(load_ubi(document, [event(query_id=q) for q in ("q1", "q2", "q3")]))
    assert pairs.query_code.tolist() == [0, 0, 1] or pairs.query_code.tolist() == [1, 1, 0]


def test_metadata_can_describe_an_execution():
    document = query(query_attributes={"device": "mobile"}, application="shop")
    result = load_ubi([document], [event()])
    pairs = load_pairs(result, context=("device", "application"))
    assert pairs.context["device"].to_list() == ["mobile"]
    assert pairs.context["application"].to_list() == ["shop"]


def test_the_user_is_that_of_the_event_then_the_query_then_the_client():
    queries = [query("q1", user_id="u1"), query("q2"), query("q3", client_id="c3")]
    events = [event(query_id="q1"), event(query_id="q2", user_id="u2", session_id="s2")]
    frame = load_ubi(queries, events).frame
    users = frame.group_by("execution_id").agg(pl.col("user_id").unique())
    assert sorted(users.rows()) == [("q1", ["u1"]), ("q2", ["u2"]), ("q3", ["c3"])]
    assert frame.filter(execution_id="q2")["session_id"].unique().to_list() == ["s2"]


def test_the_same_documents_always_get_the_same_ids_and_different_ones_different_ids(as_ubi):
    queries, events = as_ubi
    first, second = load_ubi(queries, events), load_ubi(queries, events[::-1])
    ids = first.frame["interaction_id"]
    assert ids.n_unique() == len(ids)
    assert set(ids) == set(second.frame["interaction_id"])


def test_records_hold_the_query_as_an_object():
    record = next(load_ubi([query()], [event()], retriever_id="r").records())
    assert record["query_snapshot"] == {"user_query": "red shoes"}
    assert record["retriever_id"] == "r"
    assert None not in record.values()


TIMES = {
    "2026-01-31T12:00:00Z": "2026-01-31T12:00:00",
    "2026-01-31T12:00:00.123456+02:00": "2026-01-31T10:00:00.123456",
    "2026-01-31T12:00:00": "2026-01-31T12:00:00",
    "Jan 31, 2026 @ 12:00:00.123": "2026-01-31T12:00:00.123000",
    1_769_860_800: "2026-01-31T12:00:00",
    "1769860800": "2026-01-31T12:00:00",
    1_769_860_800.5: "2026-01-31T12:00:00.500000",
    "1769860800.5": "2026-01-31T12:00:00.500000",
    1_769_860_800_123: "2026-01-31T12:00:00.123000",
    1_769_860_800_124.0: "2026-01-31T12:00:00.124000",
    "1769860800123": "2026-01-31T12:00:00.123000",
    1_769_860_800_123_456: "2026-01-31T12:00:00.123456",
    1_769_860_800_123_456_789: "2026-01-31T12:00:00.123456",
    946_684_800: "2000-01-01T00:00:00",
}


@pytest.mark.parametrize("given", TIMES)
def test_times_are_iso_8601_or_a_number_in_the_unit_that_its_size_shows(given):
    frame = load_ubi([query(timestamp=given)], []).frame
    assert frame["occurred_at"][0].isoformat() == TIMES[given]


NO_TIMES = [0, -5, 946_684_799, 20_260_131, 202_601_311_200, 20_260_131_120_000, 1e300, True]


@pytest.mark.parametrize("given", [*NO_TIMES, "20260131", "Feb 31, 2026 @ 12:00:00.0", pd.NaT])
def test_numbers_that_are_no_time_of_this_century_are_refused(given):
    result = load_ubi([query(timestamp=given)], [])
    assert result.quarantine.to_frame()["field"].to_list() == ["timestamp"]
    assert result.frame.height == 0


# how documents are stored


def lines(documents):
    return "\n".join(map(json.dumps, documents)) + "\n"


def hits_answer(documents):
    hits = [{"_index": "ubi", "_id": str(i), "_source": d} for i, d in enumerate(documents)]
    return {"took": 3, "timed_out": False, "hits": {"total": {"value": 9}, "hits": hits}}


def bulk(documents):
    action = {"index": {"_index": "ubi_events"}}
    return lines(part for document in documents for part in (action, document))


FORMS = {
    "lines": lines,
    "wrapped": lambda documents: lines({"_id": "x", "_source": d} for d in documents),
    "bulk": bulk,
    "array": json.dumps,
    "answer": lambda documents: json.dumps(hits_answer(documents)),
    "indented answer": lambda documents: json.dumps(hits_answer(documents), indent=2),
    "scrolled answers": lambda documents: lines(hits_answer([d]) for d in documents),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl.gz", ".ndjson.zst"])
def test_every_form_of_export_gives_the_same_interactions(tmp_path, as_ubi, form, suffix):
    packed = {"gz": gzip.compress, "zst": zstandard.compress}.get(suffix[-3:].lstrip("."), bytes)
    paths = []
    for name, documents in zip(("queries", "events"), as_ubi, strict=True):
        paths.append(tmp_path / f"{name}{suffix}")
        paths[-1].write_bytes(packed(FORMS[form](documents).encode()))
    result, expected = load_ubi(*paths), load_ubi(*as_ubi)
    assert result.frame.equals(expected.frame)
    assert result.rows_read == expected.rows_read == len(as_ubi[0]) + len(as_ubi[1])


def test_parquet_tables_lists_of_files_and_answers_as_dicts_give_the_same(tmp_path, as_ubi):
    expected = load_ubi(*as_ubi)
    tables = [pl.DataFrame(documents, infer_schema_length=None) for documents in as_ubi]
    assert load_ubi(*tables).frame.equals(expected.frame)
    paths = [tmp_path / "queries.parquet", tmp_path / "events.parquet"]
    for table, path in zip(tables, paths, strict=True):
        table.write_parquet(path)
    assert load_ubi(*paths).frame.equals(expected.frame)
    assert load_ubi([paths[0]], [paths[1]]).frame.equals(expected.frame)
    assert load_ubi(*map(hits_answer, as_ubi)).frame.equals(expected.frame)
    wrapped = [table.select(pl.struct(pl.all()).alias("_source")) for table in tables]
    assert load_ubi(*wrapped).frame.equals(expected.frame)
    texts = tables[1].with_columns(pl.col("event_attributes").struct.json_encode())
    assert load_ubi(tables[0], texts).frame.equals(expected.frame)


def as_json(value):
    return value if isinstance(value, str) else json.dumps(value)


CSV_FORMS = {
    "pandas": (pd.DataFrame, list),
    "JSON": (lambda documents: pd.DataFrame(documents).map(as_json), list),
    "flat": (pd.json_normalize, list),
    "flat, commas": (pd.json_normalize, ", ".join),
    "flat, bars": (pd.json_normalize, "|".join),
}


@pytest.mark.parametrize("form", CSV_FORMS)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
def test_every_form_of_csv_gives_the_same_interactions(tmp_path, as_ubi, form, suffix):
    """Objects as Python or JSON text or dotted columns, lists likewise or as plain text."""
    table, joined = CSV_FORMS[form]
    queries, events = as_ubi
    hits = "query_response_hit_ids"
    paths = []
    for name, documents in [
        ("queries", [{**each, hits: joined(each[hits])} for each in queries]),
        ("events", events),
    ]:
        paths.append(tmp_path / f"{name}{suffix}")
        separator = "\t" if suffix == ".tsv" else ","
        table(documents).to_csv(paths[-1], sep=separator, index=form == "flat")
    result, expected = load_ubi(*paths), load_ubi(*as_ubi)
    assert result.frame.drop("metadata").equals(expected.frame.drop("metadata"))
    assert result.rows_read == expected.rows_read


def test_dotted_names_of_tables_and_documents_are_objects(tmp_path, as_ubi):
    expected = load_ubi(*as_ubi).frame.drop("metadata")
    flat = [pd.json_normalize(documents) for documents in as_ubi]
    assert load_ubi(*flat).frame.drop("metadata").equals(expected)
    flat[1].to_parquet(tmp_path / "events.parquet")
    result = load_ubi(as_ubi[0], tmp_path / "events.parquet")
    assert result.frame.drop("metadata").equals(expected)
    documents = [flat[0].to_dict("records"), flat[1].to_dict("records")]
    assert load_ubi(*documents).frame.drop("metadata").equals(expected)


def test_broken_lines_of_csv_are_quarantined_by_their_line(tmp_path):
    path = tmp_path / "events.csv"
    text = "query_id,action_name,timestamp,event_attributes.object.object_id\n"
    good = "q,click,2026-01-31T12:00:05Z,b\n"
    path.write_text(f'{text}{good}x,y\nq,click,soon,b\nq,"click', encoding="utf-8")
    result = load_ubi([query()], path)
    assert sorted(result.quarantine.to_frame()["row"]) == [3, 4, 5]
    assert (result.events, result.rows_read) == (1, 5)
    assert_adds_up(result)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path):
    (tmp_path / "log.xml").write_text("<query/>", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"queries: the format .*\.csv"):
        load_ubi(tmp_path / "log.xml", [])
    with pytest.raises(UnreadableSourceError, match="no such file"):
        load_ubi([], tmp_path / "gone.jsonl")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(lines([query()] * 99).encode())[:-20])
    with pytest.raises(UnreadableSourceError, match=r"cut\.json\.gz"):
        load_ubi(tmp_path / "cut.json.gz", [])


# what is broken

BROKEN_EVENTS = {
    "action_name": event(action=None),
    "timestamp": event(timestamp="yesterday"),
    "event_attributes": event(event_attributes=[1]),
    "object": event(event_attributes={"object": "b"}),
    "object_id": event(event_attributes={"object": {"name": "b"}}),
    "event_attributes.position.ordinal": event("z", ordinal=-1),
    "query_id": event(query_id=1.5),
    "session_id": event(session_id=True),
    "user_id": event(user_id="u" * 1025),
    "user_query": event(user_query={"text": "shoes"}),
}


@pytest.mark.parametrize("field", BROKEN_EVENTS)
def test_a_broken_event_is_quarantined_by_its_field_and_its_neighbours_stay(field):
    events = [event("a"), BROKEN_EVENTS[field], event("c")]
    result = load_ubi([query()], events)
    bad = result.quarantine.to_frame()
    assert bad.select("source", "row", "field").rows() == [("events", 1, field)]
    assert events_of(result)["feature_id"].to_list() == ["a", "c"]
    assert_adds_up(result)


BROKEN_QUERIES = {
    "query_id": query(None),
    "timestamp": query(timestamp=None),
    "query_response_hit_ids": query(query_response_hit_ids="a,b"),
    "query_attributes": query(query_attributes=7),
}


@pytest.mark.parametrize("field", BROKEN_QUERIES)
def test_a_broken_query_is_quarantined_by_its_field(field):
    result = load_ubi([query(), BROKEN_QUERIES[field]], [])
    assert result.quarantine.to_frame().select("row", "field").rows() == [(1, field)]
    assert_adds_up(result)


def test_lines_that_are_no_documents_are_quarantined_by_their_number(tmp_path):
    path = tmp_path / "events.jsonl"
    rows = [json.dumps(event("a")), "{", "", "[1]", '{"a": "\\ud800"}', '{"_source": 1}', "\xff"]
    path.write_bytes("\n".join(rows).encode("latin-1"))
    result = load_ubi([query()], path, quarantine=tmp_path / "bad.jsonl")
    assert result.quarantine.to_frame()["row"].to_list() == [2, 4, 5, 6, 7]
    assert len((tmp_path / "bad.jsonl").read_text(encoding="utf-8").splitlines()) == 5
    assert result.rows_read == 7
    assert_adds_up(result)


def test_what_nests_too_deep_is_refused_before_it_is_read(tmp_path):
    deep = query()
    inner = deep["query_attributes"] = {}
    for _ in range(70):
        inner["x"] = inner = {}
    (tmp_path / "answer.json").write_text(json.dumps(hits_answer([deep])), encoding="utf-8")
    with pytest.raises(UnreadableSourceError, match="nested more than 64 deep"):
        load_ubi(tmp_path / "answer.json", [])
    (tmp_path / "lines.json").write_text(lines([query(), deep]), encoding="utf-8")
    (tmp_path / "array.json").write_text(json.dumps([query(), deep]), encoding="utf-8")
    for name in ("lines.json", "array.json"):
        result = load_ubi(tmp_path / name, [])
        assert (result.queries, result.quarantine.rows) == (1, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
# In a list, text would be the name of a file.
OTHER = JSON.filter(lambda value: not isinstance(value, str))


def damaged(document):
    """Any document with some of its fields replaced by anything."""
    swaps = st.dictionaries(st.sampled_from(sorted(document)), JSON, max_size=2)
    return swaps.map(lambda swap: {**document, **swap})


@settings(max_examples=40, deadline=None)
@given(
    queries=st.lists(damaged(query()) | damaged(query("r", ["x"])) | OTHER, max_size=4),
    events=st.lists(damaged(event(ordinal=2)) | damaged(event("x", query_id="r")), max_size=5),
)
def test_whatever_the_documents_hold_the_counts_add_up(queries, events):
    result = load_ubi(queries, events, ordinal_base=1)
    assert result.rows_read == len(queries) + len(events)
    assert_adds_up(result)
    batches = list(Scan(result).batches()) if result.frame.height else []
    assert sum(batch.height for batch in batches) == result.frame.height
