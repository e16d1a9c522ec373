"""`rankloom replay`: which learnt weights pass the gate on later lists."""

import json

import polars as pl

from rankloom.bandit import FusionBandit
from tests.bandit.fusion_simulation import ARMS


def test_better_weights_pass_on_later_lists_against_equal_ones(run, logs, learnt):
    code, out, _ = run("replay", logs / "later.parquet", "--state", learnt, "--against", "equal")
    assert out.startswith("The gate passes: policy-aware")
    assert code == 0
    assert "learnt until" in out


def test_replay_as_json_holds_verdict_and_learning_curve(run, logs, learnt):
    given = ["--state", learnt, "--against", "equal", "--steps", "4", "--json"]
    code, out, _ = run("replay", logs / "later.parquet", *given)
    report = json.loads(out)
    assert code == 0
    assert report["passed"]
    assert report["metrics"]["DCG@10"]["interval"][0] > 0
    assert len(report["learning_curve"]["weights"]) == 4
    assert set(report["candidate"]["weights"]) == set(ARMS)


def test_lists_that_were_learnt_are_refused_or_judged_without_passing(run, logs, learnt):
    given = [logs / "served.parquet", "--state", learnt, "--against", "equal"]
    run("replay", *given).assert_refused("later", "--all")
    code, out, _ = run("replay", *given, "--all")
    assert code == 1
    assert "evidence of the candidate itself" in out


def test_a_log_without_served_weights_is_re_ranked_and_does_not_pass(run, logs, state):
    here = ["--state", state, "--retriever", "search"]
    run("learn-fusion", logs / "early.parquet", *here)
    code, out, _ = run("replay", logs / "late.parquet", *here, "--all")
    assert code == 1
    assert "plain re-ranking of shown lists" in out


def test_a_snapshot_file_is_judged_instead_of_the_state(run, logs, learnt, tmp_path):
    bandit = FusionBandit(ARMS)
    bandit.update(pl.read_parquet(logs / "served.parquet").head(3000))
    bandit.snapshot().save(tmp_path / "snapshot.json")
    given = ["--state", learnt, "--snapshot", tmp_path / "snapshot.json", "--json"]
    report = json.loads(run("replay", logs / "later.parquet", *given).out)
    assert report["candidate"]["snapshot_id"] == bandit.snapshot().snapshot_id


def test_an_unknown_baseline_is_refused(run, logs, learnt):
    result = run("replay", logs / "later.parquet", "--state", learnt, "--against", "best")
    result.assert_refused("--against", "best")


def test_a_log_under_other_names_is_judged_by_its_mapping(run, logs, learnt, tmp_path):
    frame = pl.read_parquet(logs / "later.parquet")
    other = frame.rename({"feature_id": "sku", "position": "rank"})
    other = other.with_columns(rank=pl.col("rank") + 1)
    other.write_parquet(tmp_path / "later.parquet")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('position_base = 1\n[columns]\nfeature_id = "sku"\nposition = "rank"\n')
    given = ["--state", learnt, "--against", "equal", "--steps", "2", "--json"]
    expected = json.loads(run("replay", logs / "later.parquet", *given).out)
    found = json.loads(run("replay", tmp_path / "later.parquet", "--map", mapping, *given).out)
    assert found == expected
