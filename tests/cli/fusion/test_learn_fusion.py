"""`rankloom learn-fusion`: interactions into evidence, with an account of every row."""

import json

import polars as pl
import pytest

from tests.bandit.fusion_simulation import ARMS

CHANNELS = {"mixpeek://text", "mixpeek://image", "mixpeek://audio"}


def test_the_simulated_log_holds_scores_of_every_channel(logs):
    log = pl.read_parquet(logs / "early.parquet")
    found = set()
    for text in log["metadata"].unique().to_list():
        found |= set(json.loads(text).get("features", {}))
    assert found == CHANNELS


def test_learning_finds_the_channels_and_accounts_for_every_row(run, logs, state):
    code, out, _ = run(
        "learn-fusion", logs / "early.parquet", "--state", state, "--retriever", "search", "--json"
    )
    report = json.loads(out)
    rows = pl.read_parquet(logs / "early.parquet").height
    assert code == 0
    assert set(report["weights"]) == CHANNELS
    assert report["update"]["rows"] == rows
    assert report["update"]["rows_used"] + report["update"]["list_level"] == rows
    assert report["update"]["units_opened"] > 2000


def test_learning_again_changes_nothing_and_learning_more_does(run, logs, state):
    here = ["--state", state, "--retriever", "search", "--json"]
    first = json.loads(run("learn-fusion", logs / "early.parquet", *here).out)
    again = json.loads(run("learn-fusion", logs / "early.parquet", *here).out)
    more = json.loads(run("learn-fusion", logs / "late.parquet", *here).out)
    assert again["update"]["units_opened"] == 0
    assert again["weights"] == first["weights"]
    assert more["weights"] != first["weights"]


def test_the_text_shows_the_weights_and_stderr_where_they_are(run, logs, state):
    code, out, err = run("learn-fusion", logs / "served.parquet", "--state", state)
    assert code == 0
    assert "rows read" in out
    assert out.splitlines()[-len(ARMS)].startswith("text")
    assert err.splitlines()[-1] == f"evidence -> {state}"


def test_a_row_of_the_future_is_counted_and_moves_nothing(run, logs, state, tmp_path):
    log = pl.read_parquet(logs / "served.parquet")
    last = log["timestamp"] == log["timestamp"].max()
    wrong = log.with_columns(
        pl.col("timestamp").dt.offset_by(pl.when(last).then(pl.lit("20y")).otherwise(pl.lit("0y")))
    )
    wrong.write_parquet(tmp_path / "wrong.parquet")
    code, out, _ = run("learn-fusion", tmp_path / "wrong.parquet", "--state", state)
    assert code == 0
    counted = [line.split(maxsplit=1) for line in out.splitlines() if "future" in line]
    assert counted == [[str(last.sum()), "dated in the future, counted as of now"]]


def test_a_log_of_another_retriever_is_refused_with_its_name(run, logs, state):
    result = run("learn-fusion", logs / "early.parquet", "--state", state)
    result.assert_refused("--retriever", "'default'", "search")


def test_a_log_without_exposures_is_learnt_and_the_reason_is_said(run, logs, state, tmp_path):
    log = pl.read_parquet(logs / "served.parquet")
    log.filter(pl.col("interaction_type").list.contains("click")).write_parquet(
        tmp_path / "clicks.parquet"
    )
    code, out, err = run("learn-fusion", tmp_path / "clicks.parquet", "--state", state, "--json")
    assert code == 0
    assert json.loads(out)["weights"] is None
    assert "note: no exposures: of" in err


def test_impressions_of_other_channels_leave_equal_weights_and_that_is_said(
    run, logs, state, tmp_path
):
    log = pl.read_parquet(logs / "served.parquet")
    shown = log.filter(pl.col("interaction_type").list.join(",") == "impression")
    shown.write_parquet(tmp_path / "shown.parquet")
    here = ["--state", state, "--channel", "other", "--channel", "another", "--json"]
    code, out, err = run("learn-fusion", tmp_path / "shown.parquet", *here)
    assert (code, json.loads(out)["weights"]) == (0, None)
    assert "note: no exposures yet" in err
    code, out, err = run("weights", "--state", state, "--format", "json")
    assert json.loads(out)["weights"] == {"other": 0.5, "another": 0.5}
    assert "note: no exposures yet" in err


def test_another_half_life_than_the_state_has_is_refused(run, logs, learnt):
    result = run(
        "learn-fusion", logs / "served.parquet", "--state", learnt, "--half-life", "30", "--json"
    )
    result.assert_refused("half_life")


@pytest.mark.parametrize("command", ["learn-fusion", "weights", "replay"])
@pytest.mark.parametrize(
    ("url", "word"),
    [("fusion.db", "sqlite:///"), ("sqlite:////no/such/folder/x.db", "the folder of")],
)
def test_a_wrong_state_is_one_line(run, logs, command, url, word):
    files = [] if command == "weights" else [logs / "served.parquet"]
    run(command, *files, "--state", url).assert_refused(word)


@pytest.mark.parametrize("command", ["weights", "replay"])
def test_an_empty_state_says_how_to_fill_it(run, logs, state, command):
    files = [] if command == "weights" else [logs / "served.parquet"]
    run(command, *files, "--state", state).assert_refused("holds no evidence", "learn-fusion")
