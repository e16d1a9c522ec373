"""`rankloom insights queries` and `documents`: findings as text and JSON, and what they refuse."""

import json

import polars as pl
import pytest

from rankloom.datasets import simulate_interactions
from tests.insights.planted_world import simulate_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log with its features, the log without users, sessions and times, and a dirty one."""
    folder = tmp_path_factory.mktemp("planted")
    world = simulate_world(1_000, seed=7)
    world.log.write_parquet(folder / "log.parquet")
    world.features.write_csv(folder / "features.csv")
    bare = world.log.drop("user_id", "session_id", "occurred_at")
    bare.write_parquet(folder / "bare.parquet")
    dirty = simulate_interactions(n_executions=150, random_state=0, dirty=0.05)
    dirty.drop("document_score").write_ndjson(folder / "dirty.jsonl")
    return folder


@pytest.mark.parametrize(
    ("command", "first", "title"),
    [
        ("queries", "1,000 searches, ", "queries that find nothing more often than others: "),
        ("documents", "", "stand high, and disappoint: "),
    ],
)
def test_findings_are_printed_and_bounded(run, folder, command, first, title):
    log = [folder / "bare.parquet"]
    code, text, err = run("insights", command, *log)
    assert (code, err) == (0, "")
    assert text.startswith(first)
    assert title in text
    short = run("insights", command, *log, "--limit", 1).out
    assert len(short.splitlines()) < len(text.splitlines())


def test_queries_as_json_hold_all_tables_and_the_account_of_the_rows(run, folder):
    log = [folder / "log.parquet", "--features", folder / "features.csv"]
    document = json.loads(run("insights", "queries", *log, "--json").out)
    assert document["overall"]["searches"] == 1_000
    assert document["promised_by"] == ["x"]
    assert len(document["queries"]) == 120
    assert document["clusters"][0]["members"]
    assert {"from_query", "to_query", "lift", "q"} <= document["chains"][0].keys()
    rows = pl.scan_parquet(folder / "log.parquet").select(pl.len()).collect().item()
    assert document["report"]["rows_read"] == rows


def test_documents_as_json_hold_all_documents(run, folder):
    document = json.loads(run("insights", "documents", folder / "log.parquet", "--json").out)
    assert {"skips", "returns", "negative_feedback_q"} <= document["documents"][0].keys()
    assert {"verdict", "engagement_above"} <= document["pairs"][0].keys()


@pytest.mark.parametrize("command", ["queries", "documents"])
def test_a_log_without_users_sessions_and_times_says_what_to_log(run, folder, command):
    code, text, _ = run("insights", command, folder / "bare.parquet")
    assert code == 0
    assert "missing: user: " in text
    assert "missing: time: " in text
    document = json.loads(run("insights", command, folder / "bare.parquet", "--json").out)
    assert "log user_id" in document["missing"]["user"]


@pytest.mark.parametrize("command", ["queries", "documents"])
def test_a_dirty_log_is_read_and_its_rows_counted(run, folder, tmp_path, command):
    bad = tmp_path / "bad.jsonl"
    log = [folder / "dirty.jsonl", "--quarantine", bad]
    document = json.loads(run("insights", command, *log, "--json").out)
    lines = bad.read_text(encoding="utf-8").splitlines()
    assert document["report"]["left_out"]["quarantined"] == len(lines) > 0
    note = document["notes"][0]
    assert note.startswith(f"{len(lines):,} of {document['report']['rows_read']:,} rows")
    assert "were left out: quarantined (" in note


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["queries", "missing.parquet"], ["missing.parquet"]),
        (["queries"], ["FILE"]),
        (["queries", "LOG", "--within", "0"], ["within"]),
        (["queries", "LOG", "--min-persons", "1"], ["min_persons"]),
        (["queries", "LOG", "--false-discoveries", "5"], ["false_discoveries"]),
        (["documents", "LOG", "--confidence", "95"], ["confidence"]),
        (["documents", "LOG", "--least-difference", "-1"], ["least_difference"]),
        (["documents", "LOG", "--limit", "-1"], ["--limit"]),
        (["documents", "LOG", "--grade", "click"], ["--grade"]),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(run, folder, arguments, words):
    given = [folder / "bare.parquet" if each == "LOG" else each for each in arguments]
    run("insights", *given).assert_refused(*words)
