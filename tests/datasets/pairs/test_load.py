"""load_pairs against a plain-Python reading of the contract, and the contract's own promises."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.datasets import load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError, NoExposuresError

START = datetime(2026, 1, 1, tzinfo=UTC)
GRADES = {
    **dict.fromkeys(("click", "dwell"), 1),
    **dict.fromkeys(("long_view", "share", "bookmark", "wishlist"), 2),
    **dict.fromkeys(("add_to_cart", "positive_feedback"), 3),
    "purchase": 4,
}
NEGATIVE = {"negative_feedback", "skip", "return_to_results"}
LIST_LEVEL = {"query_refinement", "zero_results", "filter_toggle"}


def row(execution, document, position, *types, minute=0.0, **more):
    return {
        "execution_id": execution,
        "feature_id": document,
        "interaction_type": list(types) or ["impression"],
        "position": position,
        "timestamp": START + timedelta(minutes=minute),
        **more,
    }


def plain_pairs(rows):
    """Read the contract literally: dicts, loops and no shortcuts."""
    executions = defaultdict(list)
    for each in rows:
        if each["execution_id"] is not None:
            executions[each["execution_id"]].append(each)
    pairs, duplicates = {}, 0
    for name, members in executions.items():
        duplicates += plain_duplicates(members)
        documents = defaultdict(list)
        for each in members:
            if set(each["interaction_type"]) - LIST_LEVEL:
                documents[each["feature_id"]].append(each)
        folded = {doc: plain_fold(found) for doc, found in documents.items()}
        impression = any("impression" in each["interaction_type"] for each in members)
        if impression or any(not pair["clicked"] for pair in folded.values()):
            pairs.update({(name, doc): pair for doc, pair in folded.items()})
    return pairs, duplicates


def plain_duplicates(members):
    last, count = {}, 0
    for each in sorted(members, key=lambda r: r["timestamp"]):
        key = each["feature_id"], frozenset(each["interaction_type"])
        if key in last and each["timestamp"] - last[key] <= timedelta(minutes=5):
            count += 1
        else:
            last[key] = each["timestamp"]
    return count


def plain_fold(found):
    found = sorted(found, key=lambda r: (r["timestamp"], r["position"]))
    types = {name for each in found for name in each["interaction_type"]}
    grade = max(GRADES.get(name, 0) for name in types)
    scored = [r for r in found if r["document_score"] is not None]
    score = None
    if scored:
        first = (scored[0]["timestamp"], scored[0]["position"])
        same = [r for r in scored if (r["timestamp"], r["position"]) == first]
        score = max(r["document_score"] for r in same)
    return {
        "y": 0 if grade == 1 and "return_to_results" in types else grade,
        "clicked": grade >= 1,
        "negative": bool(types & NEGATIVE),
        "position": found[0]["position"],
        "score": score,
    }


def as_dict(pairs):
    columns = zip(
        pairs.execution_id.gather(pairs.execution_index),
        pairs.document_id,
        pairs.y,
        pairs.clicked,
        pairs.negative,
        pairs.position,
        pairs.document_score,
        strict=True,
    )
    return {
        (execution, document): {
            "y": int(y),
            "clicked": bool(clicked),
            "negative": bool(negative),
            "position": int(position),
            "score": None if np.isnan(score) else float(score),
        }
        for execution, document, y, clicked, negative, position, score in columns
    }


TYPES = st.sets(
    st.sampled_from([*GRADES, *NEGATIVE, *LIST_LEVEL, "impression", "view"]),
    min_size=1,
    max_size=3,
)
LOGS = st.lists(
    st.builds(
        lambda e, d, p, types, minute, score: row(
            e, d, p, *sorted(types), minute=minute, document_score=score
        ),
        st.sampled_from(["e1", "e2", "e3", None]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 4),
        TYPES,
        st.sampled_from([0, 1, 4.9, 5, 5.1, 9.9, 10, 11, 60]),
        st.sampled_from([None, 0.5, 1.5]),
    ),
    min_size=1,
    max_size=25,
)
ANCHOR = [row("anchor", "z", 0), row("anchor", "y", 1, "click", minute=1)]
"""One honest execution, so that every generated log loads."""
ANCHOR = [{**each, "document_score": None} for each in ANCHOR]


@settings(max_examples=40, deadline=None)
@given(LOGS)
def test_agrees_with_a_plain_reading_of_the_contract(log):
    pairs = load_pairs(log + ANCHOR)
    expected, duplicates = plain_pairs(log + ANCHOR)
    assert as_dict(pairs) == expected
    assert pairs.report.duplicates == duplicates
    assert pairs.report.rows_read == len(log) + 2
    assert pairs.report.rows_kept + pairs.report.duplicates == pairs.report.rows_read


@settings(max_examples=40, deadline=None)
@given(LOGS, st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing_at_all(log, shuffler):
    log = log + ANCHOR
    shuffled = log.copy()
    shuffler.shuffle(shuffled)
    assert_same(load_pairs(log), load_pairs(shuffled))


@settings(max_examples=40, deadline=None)
@given(LOGS, st.data())
def test_repeating_rows_changes_nothing_but_the_count(log, data):
    log = log + ANCHOR
    again = data.draw(st.lists(st.sampled_from(log), max_size=5))
    assert_same(load_pairs(log), load_pairs(log + again))


def assert_same(a, b):
    for name in ("y", "clicked", "negative", "group", "position", "age_days", "weight", "time"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.document_score, b.document_score)
    assert a.execution_id.equals(b.execution_id)
    assert a.document_id.equals(b.document_id)
    assert a.query_id.equals(b.query_id)


def test_a_long_execution_takes_the_merge_sort_and_still_agrees():
    rng = random.Random(7)
    log = [
        row("e", f"d{rng.randrange(300)}", rng.randrange(50), rng.choice(["impression", "click"]),
            minute=rng.randrange(600), document_score=None)
        for _ in range(3000)
    ]  # fmt: skip
    expected, duplicates = plain_pairs(log)
    pairs = load_pairs(log)
    assert as_dict(pairs) == expected
    assert pairs.report.duplicates == duplicates


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_folding_in_several_threads_changes_nothing(monkeypatch, threads):
    log = simulate_interactions(n_executions=40, random_state=1, duplicates=0.1)
    clicks_only = [row(f"c{i}", "a", 0, "click", minute=i, document_score=1.0) for i in range(9)]
    naive = pl.col("timestamp").dt.replace_time_zone(None)
    log = pl.concat([log, pl.DataFrame(clicks_only).with_columns(naive)], how="diagonal_relaxed")
    alone = load_pairs(log)
    monkeypatch.setattr("rankloom.datasets.pairs.fold._ROWS_PER_THREAD", 0)
    monkeypatch.setattr("rankloom.datasets.pairs.fold.available_threads", lambda: threads)
    together = load_pairs(log)
    assert_same(alone, together)
    assert alone.report == together.report


def test_executions_are_ordered_by_time_then_id_and_rows_by_position_then_document():
    log = [
        row("late", "b", 1, minute=9),
        row("late", "a", 1, minute=9),
        row("late", "c", 0, minute=9),
        row("tie-b", "a", 0, minute=3),
        row("tie-a", "a", 0, minute=3),
    ]
    pairs = load_pairs(log)
    assert pairs.execution_id.to_list() == ["tie-a", "tie-b", "late"]
    assert pairs.document_id.to_list() == ["a", "a", "c", "a", "b"]


def test_a_return_to_the_results_takes_back_a_click_but_not_a_purchase():
    log = [
        row("e", "a", 0, "click"),
        row("e", "a", 0, "return_to_results", minute=1),
        row("e", "b", 1, "click", "purchase"),
        row("e", "b", 1, "return_to_results", minute=1),
        row("e", "c", 2),
    ]
    pairs = load_pairs(log)
    assert pairs.y.tolist() == [0, 4, 0]
    assert pairs.clicked.tolist() == [True, True, False]
    assert pairs.negative.tolist() == [True, True, False]


def test_click_only_logs_are_refused_with_the_ways_out():
    log = [row("e", "a", 0, "click"), row("f", "b", 1, "purchase")]
    with pytest.raises(NoExposuresError, match="impressions=TABLE"):
        load_pairs(log)


def test_an_impressions_table_says_what_was_shown_and_its_numbers_become_features():
    log = [row("e", "b", 1, "click", minute=2)]
    shown = pl.DataFrame(
        {
            "execution_id": ["e", "e", "f"],
            "feature_id": ["a", "b", "a"],
            "position": [0, 1, 0],
            "document_score": [2.0, 1.0, 2.0],
            "bm25": [7.0, 8.0, 9.0],
        }
    )
    pairs = load_pairs(log, impressions=shown)
    assert as_dict(pairs)["e", "b"]["clicked"]
    assert set(as_dict(pairs)) == {("e", "a"), ("e", "b"), ("f", "a")}
    assert pairs.feature_names == ("document_score", "bm25")
    by_key = dict(zip(as_dict(pairs), pairs.X[:, 1].tolist(), strict=True))
    assert by_key == {("e", "a"): 7.0, ("e", "b"): 8.0, ("f", "a"): 9.0}


def test_half_life_weighs_executions_whole_by_their_age():
    log = [row("old", d, i, minute=i) for i, d in enumerate("ab")]
    log += [row("new", d, i, minute=2 * 24 * 60 + i) for i, d in enumerate("ab")]
    pairs = load_pairs(log, half_life=1.0, now=START + timedelta(days=3))
    np.testing.assert_allclose(pairs.weight, [0.4, 0.4, 1.6, 1.6], rtol=1e-6)
    np.testing.assert_allclose(pairs.age_days, [3, 3, 1, 1], rtol=1e-6)
    later = load_pairs(log, half_life=1.0, now=START + timedelta(days=3000))
    np.testing.assert_array_equal(later.weight, pairs.weight)


def test_what_needs_time_refuses_where_there_is_none():
    log = [
        {k: v for k, v in row("e", d, i).items() if k != "timestamp"} for i, d in enumerate("ab")
    ]
    assert not load_pairs(log).has_times
    with pytest.raises(InvalidInputError, match="half_life.*no time"):
        load_pairs(log, half_life=10)


def test_session_and_query_stand_in_for_a_missing_execution_within_half_an_hour():
    def viewed(document, minute, session="s", query="Shoes"):
        more = {"session_id": session, "query_snapshot": f'{{"query": "{query}"}}'}
        return row(None, document, 0, minute=minute, **more)

    log = [
        viewed("a", 0),
        viewed("b", 29, query="shoes "),
        viewed("c", 58),
        viewed("d", 89),
        viewed("e", 5, session="t"),
        viewed("f", 5, query="boots"),
        row(None, "g", 0),
    ]
    pairs = load_pairs(log)
    members = pl.DataFrame(
        {"e": pairs.execution_id.gather(pairs.execution_index), "d": pairs.document_id}
    )
    groups = sorted("".join(sorted(g["d"])) for _, g in members.group_by("e"))
    assert groups == ["abc", "d", "e", "f"]
    assert pairs.report.rows_without_execution == 1
    assert pairs.report.duplicates == 0


def test_equal_queries_share_an_id_and_an_execution_without_one_is_its_own():
    log = [
        row("e", "a", 0, query_snapshot='{"query": "Red  Shoes", "page": 2}'),
        row("f", "a", 0, query_snapshot='{"page": 1, "query": "red shoes"}'),
        row("g", "a", 0, query_snapshot="red shoes"),
        row("h", "a", 0),
    ]
    pairs = load_pairs(log)
    by_execution = dict(zip(pairs.execution_id, pairs.query_id, strict=True))
    assert by_execution["e"] == by_execution["f"] == '{"query":"red shoes"}'
    assert by_execution["g"] == '"red shoes"'
    assert by_execution["h"] == "execution:h"


def test_query_key_may_be_a_function_or_a_column():
    log = [row("e", "a", 0, query_snapshot='{"query": "x", "lang": "en"}', topic="t1")]
    assert load_pairs(log, query_key=lambda q: q["lang"]).query_id.to_list() == ["en"]
    assert load_pairs(log, query_key="topic").query_id.to_list() == ["t1"]


def test_context_comes_from_columns_or_from_metadata():
    log = [
        row("e", "a", 0, user_id="u1", metadata={"device": "phone"}),
        row("f", "a", 0, user_id="u2"),
    ]
    pairs = load_pairs(log, context=["device", "user_id"])
    assert pairs.context["device"].to_list() == ["phone", None]
    assert pairs.context["user_id"].to_list() == ["u1", "u2"]
    with pytest.raises(InvalidInputError, match="devise"):
        load_pairs(log, context=["devise"])


def test_grades_of_ones_own_add_types_and_change_defaults():
    log = [row("e", "a", 0, "save_recipe"), row("e", "b", 1, "click"), row("e", "c", 2)]
    assert load_pairs(log, grades={"save_recipe": 7, "click": 2}).y.tolist() == [7, 2, 0]
    assert load_pairs(log).report.quarantined == 1


def test_list_level_rows_are_counted_and_make_no_pair():
    log = [
        row("e", "a", 0),
        row("e", "b", 1, "query_refinement"),
        row("f", "a", 0, "filter_toggle"),
    ]
    pairs = load_pairs(log)
    assert set(as_dict(pairs)) == {("e", "a")}
    assert pairs.report.list_level_rows == 2
    assert pairs.report.executions_dropped == {"only list-level interactions": 1}


def test_conflicting_positions_are_counted_and_the_earliest_event_decides():
    log = [row("e", "a", 3, "click", minute=1), row("e", "a", 1), row("e", "b", 0)]
    pairs = load_pairs(log)
    assert as_dict(pairs)["e", "a"]["position"] == 1
    assert pairs.report.position_conflicts == 1


def test_bad_rows_go_to_the_quarantine_file_and_the_rest_loads(tmp_path):
    log = [row("e", "a", 0), row("e", "b", -4), row("e", "", 1)]
    out = tmp_path / "bad.jsonl"
    report = load_pairs(log, quarantine=out).report
    assert (report.rows_read, report.rows_kept, report.quarantined) == (3, 1, 2)
    assert len(pl.read_ndjson(out)) == 2
    with pytest.raises(InvalidInputError, match="position"):
        load_pairs(log, on_error="raise")


def test_channels_become_a_categorical_feature_with_its_names():
    log = [row("e", d, i, feature_uri=u) for i, (d, u) in enumerate(zip("abc", "yx", strict=False))]
    log.append(row("e", "c", 2))
    pairs = load_pairs(log)
    assert pairs.feature_names == ("feature_uri",)
    assert pairs.categories == {"feature_uri": ("x", "y")}
    np.testing.assert_array_equal(pairs.X[:, 0], [1, 0, np.nan])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_life": -1}, "half_life"),
        ({"half_life": float("nan")}, "half_life"),
        ({"half_life": "a week"}, "half_life"),
        ({"now": "2026-01-31"}, "now"),
        ({"quarantine": "out.txt"}, "quarantine.*jsonl"),
        ({"builtin_features": ["score"]}, "builtin_features.*document_score"),
        ({"builtin_features": "document_score"}, "builtin_features"),
        ({"context": "device"}, "context"),
        ({"grades": {"click": -1}}, "grades"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InvalidInputError, match=message):
        load_pairs([row("e", "a", 0)], **options)


@pytest.mark.parametrize("log", [[], [row("e", "", 0)]])
def test_no_valid_row_is_an_error(log):
    with pytest.raises(InvalidInputError, match="source"):
        load_pairs(log)
