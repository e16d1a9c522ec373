"""`rankloom train`: what it reports, every mode, and what it refuses."""

import json
import re

import polars as pl
import pytest

from rankloom.datasets import behaviour_features
from rankloom.ltr import Ranker


def train_arguments(folder):
    """Return the arguments of a quick training."""
    features = ["--features", folder / "features.parquet"]
    return ["train", folder / "small.parquet", *features, "--threads", "1"]


@pytest.mark.parametrize("mode", ["none", "position", "ips", "pairwise", "click_model", "auto"])
def test_train_reports_what_it_read_and_learnt_as_json(run, simulated, tmp_path, mode):
    out = tmp_path / "model"
    code, text, _ = run(*train_arguments(simulated), "--out", out, "--debias", mode, "--json")
    report = json.loads(text)
    load, choice = report["load"], report["choice"]
    assert (code, report["debias"]) == (0, mode)
    assert mode in run("train", "--help").out
    assert load["rows_read"] == load["rows_kept"] + load["duplicates"] + load["quarantined"]
    assert report["pairs"] > report["clicked"] > 0
    assert report["trees"] > 0
    assert "f0" in report["feature_importances"]
    assert (out / "manifest.json").exists()
    assert (choice is not None) == (mode in {"click_model", "auto"})
    if mode == "auto":
        assert choice["click_model"] in choice["evidence"]
        assert sum(choice["members"].values()) == pytest.approx(1)
        assert [note for note in report["notes"] if note not in choice["reasons"]] == []


def test_train_prints_tables(run, simulated, tmp_path):
    arguments = [*train_arguments(simulated), "--debias", "click_model"]
    code, text, err = run(*arguments, "--out", tmp_path / "model")
    assert code == 0
    assert "share of gain" in text
    assert "document_score" in text
    assert "debias=click_model" in text
    assert "held-out log-likelihood" in text
    assert str(Ranker.load(tmp_path / "model").choice_) in text
    assert str(tmp_path / "model") in err


def test_train_on_dirty_interactions_counts_and_writes_the_bad_rows(run, simulated, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, text, _ = run(
        "train", simulated / "dirty.jsonl", "--out", tmp_path / "model", "--quarantine", bad,
        "--half-life", "10", "--grade", "purchase=9", "--threads", "1", "--debias", "position",
        "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(text)["load"]["quarantined"] == pl.read_ndjson(bad).height > 0


def test_late_purchases_are_placed_and_where_asked_for_attributed(run, simulated, tmp_path):
    late = pl.read_parquet(simulated / "log.parquet", n_rows=8).select(
        "feature_id",
        "user_id",
        "timestamp",
        execution_id=pl.col("execution_id").head(4).extend_constant(None, 4),
    )
    late.with_columns(interaction_type=pl.lit("purchase")).write_csv(tmp_path / "late.csv")
    files = [simulated / "log.parquet", tmp_path / "late.csv"]
    options = ["--out", tmp_path / "model", "--threads", "1", "--debias", "position"]
    code, text, _ = run("train", *files, *options, "--attribution", "2h")
    assert code == 0
    assert (
        "8 rows without a position: 4 placed by their execution, 4 attributed to their user's last "
        "display, 0 quarantined"
    ) in text
    found = json.loads(run("validate", *files, "--attribution", "2h", "--json").out)
    assert (found["rows_placed"], found["rows_attributed"], found["quarantined"]) == (4, 4, 0)
    code, text, _ = run("validate", *files)
    assert code == 1
    assert "4 placed by their execution, 0 attributed to their user's last display, 4 quar" in text
    run("validate", *files, "--attribution", "soon").assert_refused("attribution", "'7d'", "'soon'")
    code, text, _ = run(
        "validate", files[1], "--impressions", files[0], "--fail-on", "rows_placed < 4"
    )
    assert code == 0


def test_an_unknown_mode_is_refused_by_name(run, simulated, tmp_path):
    result = run(*train_arguments(simulated), "--out", tmp_path / "m", "--debias", "postion")
    result.assert_refused("debias", "postion")
    assert not (tmp_path / "m").exists()


def test_ips_takes_a_curve_by_features_where_positions_never_varied(run, simulated, tmp_path):
    log = simulated / "one-ranker.parquet"
    code, _, _ = run("train", log, "--out", tmp_path / "m", "--debias", "ips", "--threads", "1")
    assert code == 0


def test_the_gain_of_behaviour_features_is_summed_up(run, simulated, tmp_path):
    early, table = simulated / "early.parquet", tmp_path / "behaviour.parquet"
    behaviour_features(early, windows=["all"], examination=[1, 0.5]).write_parquet(table)
    options = ["--features", table, "--debias", "none", "--threads", "1"]
    _, text, _ = run("train", early, *options, "--out", tmp_path / "model")
    assert re.search(r"^behaviour features: \d+\.\d% of the gain \(document \d", text, re.MULTILINE)
    _, text, _ = run(*train_arguments(simulated), "--debias", "none", "--out", tmp_path / "other")
    assert "behaviour features" not in text


def test_judgments_are_blended(run, simulated, tmp_path):
    names = pl.read_parquet(simulated / "small.parquet")["query_snapshot"].unique().sort()
    table = pl.DataFrame({"query": names[:20], "feature_id": "d1", "grade": [0, 1] * 10})
    table.write_csv(tmp_path / "judged.csv")
    judged = ["--judgments", tmp_path / "judged.csv"]
    arguments = [*train_arguments(simulated), *judged]
    code, text, _ = run(*arguments, "--debias", "ips", "--out", tmp_path / "m", "--json")
    assert (code, json.loads(text)["load"]["judgments"]["judgments"]["rows"]) == (0, 20)
