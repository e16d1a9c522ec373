"""`rankloom compare` and the counterfactual part of `rankloom evaluate`, as real processes."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from rankloom.cli import main

RANKLOOM = Path(sys.executable).with_name("rankloom")
FEATURES = ("--features", "features.parquet")


def process(folder, *arguments):
    """Run a command in a process of its own; return exit code, stdout and stderr."""
    done = subprocess.run(
        [RANKLOOM, *arguments], cwd=folder, check=False, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run(world, capsys, monkeypatch):
    """Run a command in this process, in the world's folder; return exit code, stdout, stderr."""
    monkeypatch.chdir(world)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return ending.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with logs before and after a moment, and a model trained on the early one."""
    folder = tmp_path_factory.mktemp("world")
    size = ["--executions", "1500", "--seed", "1"]
    features = ["--features-out", "features.parquet"]
    assert process(folder, "simulate", "log.parquet", *size, *features)[0] == 0
    assert process(folder, "simulate", "one-ranker.parquet", *size, "--rankers", "1")[0] == 0
    log = pl.read_parquet(folder / "log.parquet")
    half = log["timestamp"].quantile(0.5)
    first = pl.col("timestamp").min().over("execution_id")
    log.filter(first < half).write_parquet(folder / "early.parquet")
    log.filter(first >= half).write_parquet(folder / "late.parquet")
    train = ["train", "early.parquet", *FEATURES, "--threads", "1", "--out", "model"]
    assert process(folder, *train)[0] == 0
    return folder


def test_a_candidate_that_is_better_ends_with_0(world):
    code, out, err = process(world, "compare", "model", "production", "late.parquet", *FEATURES)
    assert (code, err) == (0, "")
    assert "The gate passes" in out
    assert "the production order" in out


def test_a_candidate_that_is_not_better_than_itself_ends_with_1_and_says_why(run, world):
    arguments = ["compare", "model", "model", "late.parquet", *FEATURES]
    code, out, err = process(world, *arguments)
    assert (code, err) == (1, "")
    assert "The gate does not pass" in out
    assert "reason: DCG@10" in out
    code, out, _ = run(*arguments, "--json")
    told = json.loads(out)
    assert code == 1
    assert told["passed"] is False
    assert told["metrics"]["DCG@10"]["gain"] == 0
    assert told["load"]["rows_read"] > 0


def test_the_training_period_is_refused_in_one_line_or_left_out(run, world):
    arguments = ["compare", "model", "production", "early.parquet", "late.parquet", *FEATURES]
    code, out, err = process(world, *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: pairs: ")
    assert "training period" in err
    assert "--later" in err
    code, out, _ = run(*arguments, "--later", "--json")
    late = run("compare", "model", "production", "late.parquet", *FEATURES, "--json")
    assert code == late[0] == 0
    assert json.loads(out)["executions"] == json.loads(late[1])["executions"]
    early = ["compare", "model", "production", "early.parquet", *FEATURES, "--later"]
    code, out, err = run(*early)
    assert (code, out) == (2, "")
    assert "no execution is later" in err


def test_a_log_of_one_ranker_does_not_pass_and_says_so(run):
    code, out, _ = run("compare", "model", "production", "one-ranker.parquet", *FEATURES, "--later")
    assert code == 1
    assert "one deterministic ranker" in out


def test_the_metrics_can_be_chosen(run):
    chosen = ["--metric", "clicks@3", "--metric", "precision@5", "--json"]
    _, out, _ = run("compare", "model", "production", "late.parquet", *FEATURES, *chosen)
    assert list(json.loads(out)["metrics"]) == ["clicks@3", "P@5"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["missing", "production", "late.parquet"], "missing"),
        (["model", "prodution", "late.parquet"], "prodution"),
        (["model", "production", "absent.parquet"], "absent.parquet"),
        (["model", "production", "late.parquet"], "f0"),
        (["model", "production", "late.parquet", *FEATURES, "--metric", "ndcg@10"], "ndcg@10"),
        (["model", "production"], "FILE"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(run, arguments, word):
    code, out, err = run("compare", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: ")
    assert word in err


def test_evaluate_prints_the_counterfactual_estimates(run):
    arguments = ["evaluate", "model", "late.parquet", *FEATURES]
    code, out, _ = run(*arguments)
    assert code == 0
    for word in ("IPS", "SNIPS", "doubly robust", "overlap", "clip", "clusters (user"):
        assert word in out
    told = json.loads(run(*arguments, "--json")[1])
    found = told["counterfactual"]
    assert found["statement"] is None
    assert found["gain"]["lower"] == found["gain"]["interval"][0]
    assert told["executions_in_training_period"] == 0


def test_evaluate_says_where_the_log_cannot_tell_and_where_the_model_knew_the_answers(run):
    code, out, err = run("evaluate", "model", "one-ranker.parquet", *FEATURES)
    assert code == 0
    assert "No interval:" in out
    assert "one deterministic ranker" in out
    assert "training period" in err


@pytest.mark.parametrize("absent", [["user_id"], ["session_id"], ["user_id", "session_id"]])
def test_users_and_sessions_may_be_absent(run, world, tmp_path, absent):
    log = pl.read_parquet(world / "late.parquet").drop(absent)
    log.write_parquet(tmp_path / "log.parquet")
    code, out, err = run("evaluate", "model", tmp_path / "log.parquet", *FEATURES, "--json")
    assert code == 0, err
    by = json.loads(out)["counterfactual"]["clustered_by"]
    kept = [name for name in ("user", "session") if f"{name}_id" not in absent]
    assert by.startswith((kept or ["execution"])[0])
