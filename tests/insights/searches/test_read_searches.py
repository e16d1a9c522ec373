"""A log read as searches: nothing is lost, what is missing is stated, `load_pairs` agrees."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import PositionBias, load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError, NotIdentifiableError
from rankloom.insights import read_searches
from rankloom.insights.searches.read_searches import as_searches

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LIST_TYPES = ("query_refinement", "zero_results", "filter_toggle")
CURVE = [1.0, 0.5, 0.25]


def row(execution, document, position, *types, minute=0, **rest):
    return {
        "execution_id": execution,
        "feature_id": document,
        "position": position,
        "interaction_type": list(types),
        "occurred_at": START + dt.timedelta(minutes=minute),
        **rest,
    }


@pytest.fixture(scope="module")
def log():
    return simulate_interactions(n_executions=400, random_state=3, dirty=0.02, duplicates=0.05)


@pytest.fixture(scope="module")
def searches(log):
    return read_searches(log, context=["device"])


def test_displays_are_the_pairs_of_load_pairs(log, searches):
    pairs = load_pairs(log, context=["device"])
    ours = searches.select(searches.exposed).pairs()
    for name in ("y", "clicked", "negative", "position", "group", "time"):
        assert np.array_equal(getattr(ours, name), getattr(pairs, name)), name
    assert np.array_equal(ours.document_score, pairs.document_score, equal_nan=True)
    for name in ("execution_id", "query_id", "document_id"):
        assert getattr(ours, name).equals(getattr(pairs, name)), name
    assert ours.context["device"].equals(pairs.context["device"])
    curve = PositionBias(n_bootstrap=0).fit(load_pairs(log, builtin_features=["document_score"]))
    assert np.allclose(curve.examination_, searches.bias.examination_)
    assert np.allclose(searches.displays.examination, curve.apply(searches.pairs()).examination)


def test_every_row_is_in_a_search_or_counted(log, searches):
    report = searches.report
    assert report.rows_read == len(log)
    assert report.left_out == {"quarantined": sum(report.quarantine_reasons.values())}
    placeless = "position: missing"  # a list-level row needs no position here
    assert report.quarantine_reasons == {
        reason: rows
        for reason, rows in load_pairs(log).report.quarantine_reasons.items()
        if reason != placeless
    }
    assert report.missing == {}
    assert report.coverage["session"] == 1


def test_the_order_of_rows_changes_nothing(log, searches):
    again = read_searches(log.sample(fraction=1, shuffle=True, seed=1), context=["device"])
    assert again.execution_id.equals(searches.execution_id)
    for name in ("query", "user", "session", "retriever"):
        assert getattr(again, name).values().equals(getattr(searches, name).values()), name
    for name in ("position", "types", "score", "examination"):
        ours, theirs = (getattr(each.displays, name) for each in (again, searches))
        assert np.allclose(ours.astype(float), theirs.astype(float), equal_nan=True), name
    assert again.displays.document.values().equals(searches.displays.document.values())
    assert np.array_equal(again.types, searches.types)


def test_searches_of_list_level_events_only_are_kept():
    """`load_pairs` makes no pair of them; without a position they are no less of the list."""
    rows = [
        row("a", "d", 0, "impression", minute=1),
        row("a", "-", 0, "filter_toggle", minute=2),
        row("b", "-", 0, "zero_results", result_set_size=0),
        row("c", "-", None, "query_refinement", minute=3),
    ]
    searches = read_searches(rows)
    assert searches.execution_id.to_list() == ["b", "a", "c"]
    assert searches.shown.tolist() == [0, 1, 0]
    assert searches.zero_results.tolist() == [True, False, False]
    assert searches.filtered.tolist() == [False, True, False]
    assert searches.refined.tolist() == [False, False, True]
    assert searches.report.left_out == {}


def test_a_log_of_list_level_events_alone_is_read():
    for examination in ("auto", CURVE):
        searches = read_searches([row("a", "-", None, "zero_results")], examination=examination)
        assert len(searches.displays) == 0
        assert searches.displays.examination is None
        assert searches.examination_unknown == "no search shows a document"


def test_what_happened_to_a_document():
    rows = [
        row("a", "x", 0, "impression"),
        row("a", "x", 0, "click"),
        row("a", "x", 0, "return_to_results"),
        row("a", "y", 1, "purchase", "return_to_results"),
        row("a", "z", 2, "skip"),
    ]
    displays = read_searches(rows, examination=CURVE).displays
    assert displays.document.values().to_list() == ["x", "y", "z"]
    assert displays.clicked.tolist() == [True, True, False]
    assert displays.engaged.tolist() == [False, True, False]
    assert displays.grade.tolist() == [0, 4, 0]
    assert displays.has("skip").tolist() == [False, False, True]
    assert displays.has("return_to_results", "skip").all()
    assert displays.examination.tolist() == CURVE


def test_what_the_log_lacks_is_stated_with_how_to_log_it():
    bare = [
        {"execution_id": "a", "feature_id": "x", "position": 0, "interaction_type": ["impression"]}
    ]
    report = read_searches(bare).report
    absent = {"query", "user", "session", "retriever", "time", "zero_results"}
    assert report.missing.keys() == absent
    assert all(": " in advice for advice in report.missing.values())
    clicks = read_searches([row("a", "x", 0, "click", user_id="u")])
    assert "impressions table" in clicks.report.missing["impressions"]
    assert not clicks.exposed.any()
    assert "user" not in clicks.report.missing


def test_without_a_query_a_search_is_a_query_of_its_own_in_pairs():
    rows = [row("a", "x", 0, "impression"), row("b", "x", 0, "impression", query_snapshot="q")]
    searches = read_searches(rows)
    assert searches.query.values().to_list() == [None, '"q"']
    assert searches.pairs().query_id.to_list() == ["execution:a", '"q"']


def test_rows_without_an_execution_are_inferred_or_counted():
    rows = [
        row(None, "x", 0, "impression", session_id="s", query_snapshot="q"),
        row(None, "x", 0, "click", session_id="s", query_snapshot="q", minute=3),
        row(None, "x", 0, "click", minute=3),
    ]
    searches = read_searches(rows)
    assert searches.displays.engaged.tolist() == [True]
    assert searches.session.values().to_list() == ["s"]
    assert searches.report.left_out == {"neither execution_id, nor session_id with a query": 1}
    with pytest.raises(InvalidInputError, match="none of 1 rows names its search. Log execution"):
        read_searches(rows[2:])


def test_impressions_are_read_from_their_own_table():
    shown = [{"execution_id": "a", "feature_id": d, "position": i} for i, d in enumerate("xyz")]
    searches = read_searches([row("a", "y", None, "click")], impressions=shown)
    assert searches.displays.clicked.tolist() == [False, True, False]
    assert searches.exposed.all()


def test_a_curve_that_the_log_does_not_identify_is_none_with_the_reason():
    rows = [row(f"e{i}", f"d{k}", k, "impression") for i in range(30) for k in range(3)]
    rows += [row(f"e{i}", f"d{k}", k, "click") for i in range(30) for k in range(3) if i % (k + 1)]
    searches = read_searches(rows)
    assert searches.displays.examination is None
    assert "was always shown at one position" in searches.examination_unknown
    with pytest.raises(NotIdentifiableError):
        read_searches(rows, examination=PositionBias())


def test_bots_are_left_out_where_that_is_asked():
    log = simulate_interactions(n_executions=1_500, random_state=3, bots=0.1)
    kept = read_searches(log, drop_bots=True, examination=CURVE)
    all_of_them = read_searches(log, examination=CURVE)
    left_out = kept.report.searches_left_out["likely bots"]
    assert len(kept) == len(all_of_them) - left_out
    assert left_out > 75
    assert "drop_bots=True leaves them out" in all_of_them.report.notes[0]


def test_selected_searches_are_those_of_a_log_without_the_others(log, searches):
    chosen = np.zeros(len(searches), np.bool_)
    chosen[::3] = True
    part = searches.select(chosen)
    own = pl.Series(part.execution_id.to_list())
    alone = read_searches(
        log.filter(pl.col("execution_id").is_in(own.implode())), examination=CURVE
    )
    assert alone.execution_id.equals(part.execution_id)
    assert np.array_equal(alone.displays.search, part.displays.search)
    assert np.array_equal(alone.displays.types, part.displays.types)
    assert np.array_equal(alone.offsets, part.offsets)
    assert np.array_equal(alone.succeeded, part.succeeded)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": "device"}, "^context: expected a sequence"),
        ({"context": ["colour"]}, "^context: 'colour' is neither a column nor a field"),
        ({"examination": "atuo"}, "^examination: expected 'auto'.* Did you mean 'auto'"),
        ({"examination": [1, -1]}, "^examination: "),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(options, message):
    with pytest.raises(InvalidInputError, match=message):
        read_searches([row("a", "x", 0, "impression")], **options)


def test_options_for_searches_that_were_read_are_refused(searches):
    assert as_searches(searches, {}) is searches
    with pytest.raises(InvalidInputError, match="^grades: the source was read already"):
        as_searches(searches, {"grades": {"click": 2}})


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(0, 2),
        st.sets(st.sampled_from(["impression", "click", "skip", *LIST_TYPES]), min_size=1),
        st.integers(0, 4),
        st.sampled_from([None, "u", "v"]),
        st.sampled_from([None, "red", "Red "]),
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS)
def test_searches_of_small_logs_are_those_of_plain_python(given_rows):
    rows = [
        row(e, d, p, *sorted(types), minute=minute, user_id=user, query_snapshot=query)
        for e, d, p, types, minute, user, query in given_rows
    ]
    searches = read_searches(rows, examination=CURVE)
    names = sorted({each["execution_id"] for each in rows})
    names.sort(key=lambda e: min(r["occurred_at"] for r in rows if r["execution_id"] == e))
    assert searches.execution_id.to_list() == names
    for index, name in enumerate(names):
        own = [each for each in rows if each["execution_id"] == name]
        assert searches.user.values()[index] == first_of(own, "user_id")
        query = first_of(own, "query_snapshot")
        assert searches.query.values()[index] == (query and json.dumps("red"))
        kinds = {kind for each in own for kind in each["interaction_type"]}
        assert [bool(searches.has(t)[index]) for t in LIST_TYPES] == [
            t in kinds for t in LIST_TYPES
        ]
        assert shown_of(searches, index) == displays_by_definition(own)


def first_of(rows, name):
    """The value of the earliest row that has one; of those of one moment the lowest."""
    named = [(each["occurred_at"], each[name]) for each in rows if each[name] is not None]
    return min(named)[1] if named else None


def displays_by_definition(rows):
    found = {}
    for each in sorted(rows, key=lambda r: (r["occurred_at"], r["position"])):
        kinds = set(each["interaction_type"]) - set(LIST_TYPES)
        if kinds:
            _, before = found.get(each["feature_id"], (None, set()))
            position = found.get(each["feature_id"], (each["position"],))[0]
            found[each["feature_id"]] = (position, before | kinds)
    return {name: (place, sorted(kinds)) for name, (place, kinds) in found.items()}


def shown_of(searches, index):
    displays = searches.displays
    chosen = range(searches.offsets[index], searches.offsets[index + 1])
    documents = displays.document.values()
    return {
        documents[i]: (
            int(displays.position[i]),
            sorted(set(displays.signals.names(int(displays.types[i]))) - set(LIST_TYPES)),
        )
        for i in chosen
    }


def test_late_rows_are_attributed_where_that_is_asked():
    rows = [
        row("a", "x", 0, "impression", user_id="u"),
        row(None, "x", None, "purchase", user_id="u", minute=90),
    ]
    assert read_searches(rows).report.left_out["quarantined"] == 1
    searches = read_searches(rows, attribution="2h")
    assert searches.displays.grade.tolist() == [4]
    assert searches.report.left_out == {}
    assert searches.report.notes == ["1 rows were attributed to their user's last display"]


def test_the_report_as_text_and_the_quarantine_as_a_file(tmp_path):
    rows = [row("a", "x", 0, "impression"), row("a", "y", -1, "impression")]
    report = read_searches(rows, quarantine=tmp_path / "bad.csv").report
    assert pl.read_csv(tmp_path / "bad.csv")["field"].to_list() == ["position"]
    lines = str(report).splitlines()
    assert lines[0] == "2 rows read"
    assert lines[1].startswith("1 of 2 rows (50.0%) were left out: quarantined (position: negative")
    assert [line for line in lines if line.startswith("missing: user: ")] != []
