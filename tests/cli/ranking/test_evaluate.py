"""`rankloom evaluate`: metrics beside production's, estimates from the log, and their limits."""

import json

import polars as pl
import pytest

FEATURES = ("--features", "features.parquet")
pytestmark = pytest.mark.usefixtures("in_folder")


def test_evaluate_compares_with_the_production_order_and_estimates_from_the_log(run):
    code, text, _ = run("evaluate", "model", "small.parquet", *FEATURES)
    assert code == 0
    words = ("production order", "IPS", "SNIPS", "doubly robust", "overlap", "clip", "clusters (us")
    assert [word for word in words if word not in text] == []
    report = json.loads(run("evaluate", "model", "small.parquet", *FEATURES, "--json").out)
    assert report["queries"] > report["queries_left_out"] > 0
    ndcg = next(value for name, value in report["metrics"].items() if name.lower() == "ndcg@10")
    assert 0 < ndcg["baseline"] < 1
    assert ndcg["difference"] == pytest.approx(ndcg["ranker"] - ndcg["baseline"])
    assert ndcg["interval"][0] <= ndcg["difference"] <= ndcg["interval"][1]
    estimates = report["counterfactual"]
    assert estimates["statement"] is None
    assert estimates["gain"]["lower"] == estimates["gain"]["interval"][0]
    assert report["executions_in_training_period"] == 0


@pytest.mark.slow
def test_one_ranker_has_an_interval_by_a_curve_from_features_and_training_is_named(run):
    code, out, err = run("evaluate", "model", "one-ranker.parquet", *FEATURES)
    assert code == 0
    assert "No interval:" not in out
    assert "with the help of features" in out
    assert "training period" in err


@pytest.mark.parametrize("absent", [["user_id"], ["session_id"], ["user_id", "session_id"]])
def test_users_and_sessions_may_be_absent(run, tmp_path, absent):
    few = pl.col("execution_id").rank("dense") <= 60
    log = pl.read_parquet("small.parquet").filter(few).drop(absent)
    log.write_parquet(tmp_path / "log.parquet")
    code, out, err = run("evaluate", "model", tmp_path / "log.parquet", *FEATURES, "--json")
    assert code == 0, err
    by = json.loads(out)["counterfactual"]["clustered_by"]
    present = [name for name in ("user", "session") if f"{name}_id" not in absent]
    assert by.startswith((present or ["execution"])[0])


def test_evaluate_without_the_features_of_the_model_names_one(run):
    run("evaluate", "model", "late.parquet").assert_refused("f0")


def test_evaluate_refuses_a_folder_without_a_model(run, tmp_path):
    run("evaluate", tmp_path, "late.parquet").assert_refused(str(tmp_path))
