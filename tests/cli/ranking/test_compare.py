"""`rankloom compare`: which candidates pass the gate, and what is refused."""

import json

import pytest

from rankloom.datasets import load_pairs

FEATURES = ("--features", "features.parquet")
pytestmark = pytest.mark.usefixtures("in_folder")


def test_a_candidate_that_is_better_ends_with_0(run):
    code, out, err = run("compare", "model", "production", "late.parquet", *FEATURES)
    assert (code, err) == (0, "")
    assert "The gate passes" in out
    assert "the production order" in out


@pytest.mark.slow
def test_a_candidate_that_is_not_better_than_itself_ends_with_1_and_says_why(run):
    arguments = ["compare", "model", "model", "late.parquet", *FEATURES]
    code, out, err = run(*arguments)
    assert (code, err) == (1, "")
    assert "The gate does not pass" in out
    assert "reason: DCG@10" in out
    code, out, _ = run(*arguments, "--json")
    report = json.loads(out)
    assert code == 1
    assert report["passed"] is False
    assert report["metrics"]["DCG@10"]["gain"] == 0
    assert report["load"]["rows_read"] > 0


def test_the_training_period_is_refused_in_one_line_or_left_out(run):
    both = ["compare", "model", "production", "early.parquet", "small.parquet", *FEATURES]
    result = run(*both)
    result.assert_refused("training period", "--later")
    assert result.err.startswith("error: pairs: ")
    code, out, _ = run(*both, "--later", "--json")
    assert code in (0, 1)
    assert json.loads(out)["executions"] == load_pairs("small.parquet").n_executions
    early = ["compare", "model", "production", "early.parquet", *FEATURES, "--later"]
    run(*early).assert_refused("no execution is later")


def test_a_log_of_one_ranker_is_judged_by_a_curve_from_features_or_does_not_pass(run):
    log = ["one-ranker.parquet", "--later", "--json"]
    _, out, _ = run("compare", "model", "production", *log, *FEATURES)
    assert json.loads(out)["metrics"]["DCG@10"]["lower"] is not None
    assert "with the help of features" in out


def test_the_metrics_can_be_chosen(run):
    chosen = ["--metric", "clicks@3", "--metric", "precision@5", "--json"]
    result = run("compare", "model", "production", "small.parquet", *FEATURES, *chosen)
    assert list(json.loads(result.out)["metrics"]) == ["clicks@3", "P@5"]


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
    run("compare", *arguments).assert_refused(word)
