"""Notes about refused rows and absent queries: with the right numbers, and none without cause."""

import json

import pytest

from rankloom import load_pairs, validate


def shown(execution, documents="abcd", **more):
    return [
        {
            "execution_id": execution,
            "feature_id": document,
            "interaction_type": ["impression"],
            "position": position,
            **more,
        }
        for position, document in enumerate(documents)
    ]


def clicked(execution, document="b", position=1, **more):
    row = {"execution_id": execution, "feature_id": document, "position": position}
    return row | {"interaction_type": ["click"], **more}


def log(executions, **more):
    return [
        row
        for e in range(executions)
        for row in (*shown(f"e{e}", **more), clicked(f"e{e}", **more))
    ]


def notes_of(rows, **options):
    """Return the notes of both reports, which must agree."""
    loaded = load_pairs(rows, **options).report.notes
    assert validate(rows).notes == loaded
    return loaded


@pytest.mark.parametrize("bad", [0, 1, 5])
def test_up_to_5_percent_of_rows_quarantined_need_no_note(bad):
    rows = log(19) + [shown("x")[0] | {"position": -1}] * bad
    assert notes_of(rows) == []


def test_more_than_5_percent_quarantined_are_named_with_the_reasons():
    rows = (
        log(16) + [shown("x")[0] | {"position": -1}] * 15 + [shown("y")[0] | {"feature_id": ""}] * 5
    )
    (note,) = notes_of(rows)
    assert note.startswith("20 of 100 rows (20.0%) were quarantined, more than 5%: ")
    assert "positions are 0-based (15); feature_id: empty text (5)" in note


@pytest.mark.parametrize("kind", ["dicts", "jsonl"])
@pytest.mark.parametrize(
    ("fault", "up_to"), [({"position": -3}, ""), ({"interaction_type": ["klick"]}, "up to ")]
)
def test_a_log_whose_clicks_are_all_quarantined_says_so(tmp_path, kind, fault, up_to):
    """Also where their share of the rows is small: 4 of 404."""
    rows = [row for e in range(100) for row in shown(f"e{e}")]
    rows += [clicked(f"e{e}") | fault for e in range(4)]
    if kind == "jsonl":
        (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
        rows = tmp_path / "log.jsonl"
    (note,) = notes_of(rows)
    assert "no click, nor any other type with a grade, is among the rows that were kept" in note
    assert f"but {up_to}4 are among the quarantined" in note


def test_many_clicks_quarantined_among_many_rows_are_named():
    rows = [row for e in range(100) for row in shown(f"e{e}")]
    rows += [clicked(f"e{e}") for e in range(6)]
    rows += [clicked(f"e{e}") | {"position": -1} for e in range(6, 10)]
    (note,) = notes_of(rows)
    assert note.startswith("4 of 10 rows (40.0%) of clicks and other types with a grade were quar")


def test_impressions_alone_with_a_bad_one_among_them_say_nothing_of_clicks():
    rows = [row for e in range(10) for row in shown(f"e{e}")] + [shown("x")[0] | {"position": -1}]
    assert notes_of(rows) == []


def test_a_type_of_the_users_own_with_a_grade_counts_as_a_click():
    rows = [row for e in range(10) for row in shown(f"e{e}")]
    rows += [clicked("e1") | {"interaction_type": ["save"]}, clicked("e2") | {"position": -1}]
    (note,) = load_pairs(rows, grades={"save": 2}).report.notes
    assert note.startswith("1 of 2 rows (50.0%) of clicks and other types with a grade")
    assert validate(rows, types=["save"]).notes == [note]


def test_queries_are_shared_within_an_execution_across_log_and_impressions():
    impressions = [
        {name: row[name] for name in ("execution_id", "feature_id", "position")}
        for e in range(100)
        for row in shown(f"e{e}")
    ]
    clicks = [clicked(f"e{e}", query_snapshot=f"q{e % 5}") for e in range(0, 100, 4)]
    pairs = load_pairs(clicks, impressions=impressions)
    assert pairs.report.executions_without_query == 75
    assert pairs.report.rows_given_query == 25 * 4
    assert pairs.query_id.n_unique() == 5 + 75
    (note,) = pairs.report.notes
    assert note.startswith("75 of 100 executions (75.0%) name no query in any row")


@pytest.mark.parametrize("query_key", [None, "request"])
def test_the_impressions_table_may_be_the_one_that_names_the_query(query_key):
    name = query_key or "query_snapshot"
    rows = [clicked(f"e{e}") for e in range(10)]
    impressions = [row | {name: f"q{e}"} for e in range(10) for row in shown(f"e{e}")]
    pairs = load_pairs(rows, impressions=impressions, query_key=query_key)
    assert [text.strip('"') for text in sorted(pairs.query_id)] == [f"q{e}" for e in range(10)]
    assert (pairs.report.rows_given_query, pairs.report.executions_without_query) == (10, 0)
    assert pairs.report.notes == []


def test_a_log_in_which_no_row_or_every_row_names_a_query_has_no_note():
    for rows in (log(10), log(10, query_snapshot="q")):
        assert notes_of(rows) == []
        report = load_pairs(rows).report
        assert report.rows_given_query == 0
        assert report.executions_without_query == (0 if "query_snapshot" in rows[0] else 10)


def test_executions_that_make_no_pair_do_not_count_as_without_query():
    rows = [*log(10, query_snapshot="q"), clicked("lone")]
    report = load_pairs(rows).report
    assert (report.executions, report.executions_without_query, report.notes) == (10, 0, [])


def test_validation_counts_executions_and_those_without_a_query():
    rows = [*log(3, query_snapshot="q"), *log(5), *shown(None), clicked("x"), *shown("y")]
    report = validate(rows)
    assert (report.executions, report.executions_without_query) == (7, 4)
    assert report.notes[-1].startswith("4 of 7 executions (57.1%) name no query")
    assert "note: 4 of 7 executions" in str(report)
