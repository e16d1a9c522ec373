"""Rows without a position: they join the display that a plain reading of the rules finds."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom import load_pairs, scan, validate
from rankloom.datasets.record.inferred_executions import inferred_id
from rankloom.datasets.record.query_keys import query_digest
from rankloom.errors import InvalidInputError

START = datetime(2026, 1, 1, tzinfo=UTC)
GRADES = {"click": 1, "purchase": 4}
GAP = 30


def row(document, position, *types, minute=0, **more):
    return {
        "feature_id": document,
        "interaction_type": list(types) or ["impression"],
        "position": position,
        "timestamp": (START + timedelta(minutes=minute)).isoformat(),
        **more,
    }


SHOWN = [
    row(d, k, execution_id="e1", user_id="u", query_snapshot="q") for k, d in enumerate("abcd")
]
LATE = row("c", None, "purchase", minute=60 * 24 * 3, execution_id="e1")
NAMELESS = {**LATE, "execution_id": None, "user_id": "u"}


def table(pairs):
    executions = pairs.execution_id.gather(pairs.execution_index)
    values = zip(pairs.y.astype(int).tolist(), pairs.position.tolist(), strict=True)
    return dict(zip(zip(executions, pairs.document_id, strict=True), values, strict=True))


def grades(pairs, execution="e1"):
    return {doc: grade for (name, doc), (grade, _) in table(pairs).items() if name == execution}


def counts(pairs):
    report = pairs.report
    assert report.rows_read == report.rows_kept + report.duplicates + report.quarantined
    return report.rows_placed, report.rows_attributed, report.rows_unplaced


BOUGHT = {"a": 0, "b": 0, "c": 4, "d": 0}
NOTHING = {"a": 0, "b": 0, "c": 0, "d": 0}


def _jsonl(rows, path):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def _flat(rows):
    return pl.DataFrame([{**r, "interaction_type": "|".join(r["interaction_type"])} for r in rows])


def _csv(rows, path):
    _flat(rows).write_csv(path)
    return path


def _without_column(rows):
    return [{k: v for k, v in each.items() if k != "position"} for each in rows]


def _parquet(rows, path):
    pl.DataFrame(rows).write_parquet(path)
    return path


FORMS = {
    "dicts with None": lambda rows, _: rows,
    "dicts with NaN": lambda rows, _: [{**r, "position": float("nan")} for r in rows],
    "dicts without the key": lambda rows, _: _without_column(rows),
    "JSON null": lambda rows, at: _jsonl(rows, at / "late.jsonl"),
    "JSON without the key": lambda rows, at: _jsonl(_without_column(rows), at / "late.jsonl"),
    "CSV empty": lambda rows, at: _csv(rows, at / "late.csv"),
    "CSV with a word": lambda rows, at: _csv(
        [{**r, "position": "NULL"} for r in rows], at / "l.csv"
    ),
    "CSV without the column": lambda rows, at: _csv(_without_column(rows), at / "late.csv"),
    "Parquet of nulls": lambda rows, at: _parquet(rows, at / "late.parquet"),
    "Parquet without the column": lambda rows, at: _parquet(
        _without_column(rows), at / "l.parquet"
    ),
    "polars": lambda rows, _: pl.DataFrame(rows, schema_overrides={"position": pl.Int64}),
    "pandas NaN": lambda rows, _: pd.DataFrame([{**r, "position": float("nan")} for r in rows]),
    "Arrow": lambda rows, _: pl.DataFrame(rows).to_arrow(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_late_purchase_joins_the_shown_document_from_every_source(tmp_path, form):
    events = FORMS[form]([LATE], tmp_path)
    pairs = load_pairs(events, impressions=SHOWN)
    assert (grades(pairs), counts(pairs)) == (BOUGHT, (1, 0, 0))


@pytest.mark.parametrize(
    "form", ["JSON null", "CSV empty", "CSV without the column", "Parquet of nulls"]
)
def test_the_display_may_be_in_another_file_of_the_log(tmp_path, form):
    pairs = load_pairs([_jsonl(SHOWN, tmp_path / "shown.jsonl"), FORMS[form]([LATE], tmp_path)])
    assert (grades(pairs), counts(pairs)) == (BOUGHT, (1, 0, 0))


def test_a_column_of_another_name_is_still_asked_for():
    with pytest.raises(InvalidInputError, match=r"columns=\{'position': 'rank'\}"):
        load_pairs(pl.DataFrame(SHOWN).rename({"position": "rank"}), impressions=SHOWN)


def test_a_mapped_log_counts_from_its_own_base():
    names = {"execution_id": "request", "position": "rank"}
    shown = [{("rank" if k == "position" else k): v for k, v in r.items()} for r in SHOWN]
    shown = [{**r, "rank": r["rank"] + 1, "request": r.pop("execution_id")} for r in shown]
    late = {**LATE, "rank": None, "request": "e1"}
    del late["position"], late["execution_id"]
    pairs = load_pairs([*shown, late], columns=names, position_base=1)
    assert (grades(pairs), counts(pairs)) == (BOUGHT, (1, 0, 0))
    assert pairs.position.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"execution_id": "unknown"}, "no other row shows this document in its execution"),
        ({"feature_id": "z"}, "no other row shows this document in its execution"),
        ({"execution_id": None}, "attribution='7d' would take its user's last one"),
        ({"interaction_type": ["query_refinement"]}, "position: missing"),
    ],
)
def test_what_cannot_be_placed_is_quarantined_with_the_way_out(tmp_path, change, reason):
    path = tmp_path / "bad.jsonl"
    bad = {**LATE, **change}
    pairs = load_pairs(
        [bad, row("a", 0, "click", execution_id="e1")], impressions=SHOWN, quarantine=path
    )
    assert (grades(pairs), counts(pairs)) == ({**NOTHING, "a": 1}, (0, 0, 1))
    [(found, number)] = pairs.report.quarantine_reasons.items()
    assert reason in found
    assert number == 1
    line = json.loads(path.read_text())
    assert (line["source"], line["row"], line["field"]) == ("records", 0, "position")
    assert pairs.report.executions_dropped == {}
    assert pairs.documents.to_list() == ["a", "b", "c", "d"]
    with pytest.raises(InvalidInputError, match=f"row 0: position: .*{reason[-7:]}"):
        load_pairs([bad], impressions=SHOWN, on_error="raise")


def test_another_fault_is_what_a_row_is_quarantined_for():
    pairs = load_pairs([{**LATE, "document_score": "high"}], impressions=SHOWN)
    assert list(pairs.report.quarantine_reasons) == ["document_score: not a number"]
    assert counts(pairs) == (0, 0, 0)


def test_coverage_is_of_the_rows_that_stay():
    full = {"session_id": "s", "feature_uri": "x", "document_score": 1.0, "result_set_size": 4}
    lost = [{**NAMELESS, **full, "feature_id": "z"} for _ in range(9)]
    report = load_pairs([*lost, *SHOWN]).report
    assert report.coverage["session_id"] == report.coverage["feature_uri"] == 0
    assert report.coverage["user_id"] == report.coverage["event_time"] == 1


def test_refused_rows_leave_channels_and_their_order_alone():
    shown = [{**r, "feature_uri": "zyxw"[k]} for k, r in enumerate(SHOWN)]
    lost = {**NAMELESS, "feature_uri": "first", "feature_id": "none"}
    features = [
        load_pairs(rows, builtin_features=["feature_uri"]) for rows in (shown, [lost, *shown])
    ]
    assert features[0].X.tolist() == features[1].X.tolist()
    assert features[0].categories == features[1].categories


def test_notes_on_ids_that_do_not_meet_see_the_rows_without_a_position():
    late = [{**LATE, "execution_id": "E1"}, row("a", 0, execution_id="e1")]
    assert any("'E1'" in note for note in load_pairs(late, impressions=SHOWN).report.notes)


def test_the_scan_of_a_log_still_needs_positions():
    assert scan([*SHOWN, LATE]).quarantine.reasons == {"position: missing": 1}


def test_session_and_query_lead_to_the_execution_by_the_callers_query_key():
    shown = [{**r, "execution_id": None, "session_id": "s", "query_snapshot": "Q1"} for r in SHOWN]
    late = {**shown[2], **row("c", None, "purchase", minute=30), "query_snapshot": "Q2"}
    pairs = load_pairs([*shown, late], query_key=lambda text: text[0])
    assert (list(grades(pairs, pairs.execution_id[0]).values()), counts(pairs)) == (
        [0, 0, 4, 0],
        (1, 0, 0),
    )
    assert counts(load_pairs([*shown, late])) == (0, 0, 1)


# Attribution to the user's last display.


def attributed(events, window="7d", **options):
    pairs = load_pairs(events, attribution=window, **options)
    return grades(pairs), counts(pairs)


def test_attribution_is_done_only_where_it_is_asked_for():
    assert attributed([*SHOWN, NAMELESS]) == (BOUGHT, (0, 1, 0))
    assert attributed([*SHOWN, NAMELESS], None) == (NOTHING, (0, 0, 1))


@pytest.mark.parametrize(("minutes", "placed"), [(-1, 0), (0, 1), (720, 1), (721, 0)])
def test_the_display_is_within_the_window_before_the_event(minutes, placed):
    event = {**NAMELESS, **row("c", None, "purchase", minute=minutes)}
    assert attributed([*SHOWN, event], "12h")[1] == (0, placed, 1 - placed)


@pytest.mark.parametrize("user", ["v", None, ""])
def test_another_user_or_none_has_no_display(user):
    assert attributed([*SHOWN, {**NAMELESS, "user_id": user}]) == (NOTHING, (0, 0, 1))


def test_the_last_of_several_displays_counts_and_not_a_later_click_on_an_earlier_one():
    again = [
        {**r, **row(r["feature_id"], 3 - k, minute=10), "execution_id": "e2"}
        for k, r in enumerate(SHOWN)
    ]
    click = row("c", 2, "click", minute=20, execution_id="e1", user_id="u")
    pairs = load_pairs([*SHOWN, *again, click, NAMELESS], attribution="7d")
    assert (grades(pairs), grades(pairs, "e2")) == (
        {**NOTHING, "c": 1},
        {"d": 0, "c": 4, "b": 0, "a": 0},
    )


def test_displays_of_one_moment_tie_to_the_lowest_position_then_execution():
    for first, second, chosen in (
        (("e1", 2), ("e2", 1), "e2"),
        (("e2", 1), ("e1", 1), "e1"),
        (("e10", 1), ("e9", 1), "e10"),
    ):
        rows = [row("c", p, execution_id=e, user_id="u") for e, p in (first, second)]
        pairs = load_pairs([*rows, NAMELESS], attribution="7d")
        assert grades(pairs, chosen) == {"c": 4}


def test_user_and_time_of_impressions_are_those_of_their_execution():
    bare = [{k: r[k] for k in ("execution_id", "feature_id", "position")} for r in SHOWN]
    click = row("a", 0, "click", minute=5, execution_id="e1", user_id="u")
    expected = ({**BOUGHT, "a": 1}, (0, 1, 0))
    assert attributed([click, NAMELESS], impressions=bare) == expected
    before = {**NAMELESS, **row("c", None, "purchase", minute=4)}
    assert attributed([click, before], impressions=bare)[1] == (0, 0, 1)


def test_the_display_may_be_in_an_execution_of_session_and_query():
    # One execution: a row of another document lies between the two displays of c.
    minutes = [("c", 2, 0), ("z", 0, 25), ("c", 1, 50)]
    of_session = {"user_id": "u", "session_id": "s", "query_snapshot": "q"}
    shown = [row(d, p, minute=minute, **of_session) for d, p, minute in minutes]
    for minute, placed in ((119, 1), (121, 0)):
        event = {**NAMELESS, **row("c", None, "purchase", minute=minute)}
        pairs = load_pairs([*shown, event], attribution="2h")
        assert counts(pairs) == (0, placed, 1 - placed)
        assert grades(pairs, pairs.execution_id[0]) == {"z": 0, "c": 4 * placed}
        assert validate([*shown, event], attribution="2h").rows_attributed == placed


@pytest.mark.parametrize("text", ["week", "0d", "7", 7, "7days", "", "1.5h", "-1d"])
def test_a_duration_that_is_none_is_named(text):
    with pytest.raises(InvalidInputError, match="attribution: expected whole hours or days"):
        load_pairs(SHOWN, attribution=text)


# Against a plain reading of the rules.


def plain_placement(rows, window):
    """Return for every row without a position its display's (list, position) and how; or None."""
    shown = [r for r in rows if r["position"] is not None]
    lists = plain_lists(shown)
    displays = {}
    for each in shown:
        key = lists.get(id(each)), each["feature_id"]
        if key[0] is not None and each["interaction_type"] != ["zero_results"]:
            old = displays.get(key)
            if old is None or order(each) < order(old):
                displays[key] = each
    found = [
        (each, plain_display(each, displays, lists, rows, window))
        for each in rows
        if each["position"] is None
    ]
    return displays, lists, found


def order(each):
    return each["minute"], each["position"]


def plain_lists(shown):
    lists, sessions = {}, defaultdict(list)
    for each in shown:
        if each["execution_id"]:
            lists[id(each)] = each["execution_id"]
        elif each["session_id"] and each["query_snapshot"]:
            sessions[each["session_id"], each["query_snapshot"]].append(each)
    for (session, query), members in sessions.items():
        start = last = None
        for each in sorted(members, key=lambda r: r["minute"]):
            if start is None or each["minute"] - last > GAP:
                start = each["minute"]
            last = each["minute"]
            at = int((START.timestamp() + 60 * start) * 1e6)
            lists[id(each)] = inferred_id(session, query_digest(query), at)
    return lists


def plain_display(event, displays, lists, rows, window):
    document, minute = event["feature_id"], event["minute"]
    if event["interaction_type"] == ["zero_results"]:
        return None
    if event["execution_id"]:
        return "placed" if (event["execution_id"], document) in displays else None
    for name in session_lists(event, rows, lists):
        if (name, document) in displays:
            return "placed", name
    best = None
    for (name, other), display in displays.items():
        user = display["user_id"] or first_user(name, rows)
        age = minute - display["minute"]
        if other != document or not event["user_id"] or user != event["user_id"]:
            continue
        if window is not None and 0 <= age <= window:
            key = (-display["minute"], display["position"], name.startswith("session:"), name)
            best = min(best or key, key)
    return None if best is None else ("attributed", best[-1])


def session_lists(event, rows, lists):
    """Executions of the event's session and query that last, those that had begun first."""
    spans = defaultdict(list)
    for each in rows:
        same = all(each[k] == event[k] for k in ("session_id", "query_snapshot"))
        if id(each) in lists and not each["execution_id"] and same:
            spans[lists[id(each)]].append(each["minute"])
    lasting = [
        (event["minute"] < min(m), name)
        for name, m in spans.items()
        if min(m) - GAP <= event["minute"] <= max(m) + GAP
    ]
    return [name for _, name in sorted(lasting)]


def first_user(name, rows):
    users = [
        (r["minute"], r["user_id"]) for r in rows if r["execution_id"] == name and r["user_id"]
    ]
    return min(users)[1] if users else None


def plain_pairs(rows, window):
    displays, lists, found = plain_placement(rows, window)
    kinds = defaultdict(set)
    for each in rows:
        if id(each) in lists and each["interaction_type"] != ["zero_results"]:
            kinds[lists[id(each)], each["feature_id"]].update(each["interaction_type"])
    tally = {"placed": 0, "attributed": 0, None: 0}
    for each, how in found:
        name = each["execution_id"] if how == "placed" else how and how[1]
        tally[how if how in (None, "placed") else how[0]] += 1
        if how:
            kinds[name, each["feature_id"]].update(each["interaction_type"])
    shown = {
        name
        for (name, _), types in kinds.items()
        if "impression" in types or not types & GRADES.keys()
    }
    pairs = {
        key: (max(GRADES.get(t, 0) for t in types), displays[key]["position"])
        for key, types in kinds.items()
        if key[0] in shown
    }
    return pairs, tuple(tally.values())


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "feature_id": st.sampled_from("aabc"),
            "position": st.sampled_from([None, None, 0, 1]),
            "interaction_type": st.sampled_from(
                [["impression"], ["impression"], ["click"], ["purchase"], ["zero_results"]]
            ),
            "minute": st.sampled_from([0, 10, 35, 40, 75, 100, 160]),
            "execution_id": st.sampled_from([None, None, "e1", "e2"]),
            "session_id": st.sampled_from([None, "s", "t"]),
            "query_snapshot": st.sampled_from([None, "q", "q"]),
            "user_id": st.sampled_from([None, "u", "u", "v"]),
        }
    ),
    max_size=12,
)
BASE = [
    {**row(d, k, *types), "minute": 0, "execution_id": "base", "session_id": None}
    | {"query_snapshot": None, "user_id": None}
    for k, (d, types) in enumerate([("x", []), ("y", ["click"])])
]


@settings(max_examples=40)
@given(EVENTS, st.sampled_from([None, 1, 2]), st.randoms(use_true_random=False))
def test_pairs_are_those_of_a_plain_reading_in_any_order(events, hours, random):
    # Of c no row lacks its position: it only bounds executions.
    rows = [
        *BASE,
        *({**e, "position": e["position"] or 0} if e["feature_id"] == "c" else e for e in events),
    ]
    stamped = [
        {**r, "timestamp": (START + timedelta(minutes=r["minute"])).isoformat()} for r in rows
    ]
    random.shuffle(stamped)
    window = None if hours is None else f"{hours}h"
    pairs = load_pairs(stamped, attribution=window)
    assert (table(pairs), counts(pairs)) == plain_pairs(rows, None if hours is None else 60 * hours)
    report = validate(stamped, attribution=window)
    assert (report.rows_placed, report.rows_attributed, report.rows_unplaced) == counts(pairs)
    assert report.quarantined == pairs.report.quarantined
    assert report.duplicates == pairs.report.duplicates
    for name in ("execution_id", "session_id", "query_snapshot", "user_id"):
        assert report.coverage[name] == pairs.report.coverage[name]
