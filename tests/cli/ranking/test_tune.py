"""`rankloom tune`: parameters that `Ranker` takes, and what they gain."""

import json

import pytest

pytest.importorskip("optuna")

from rankloom.cli.ranking.tune import _parts
from rankloom.datasets import load_pairs
from rankloom.ltr import Ranker


def tune_arguments(folder):
    """Return the arguments of a quick search."""
    features = ["--features", folder / "features.parquet"]
    mode = ["--debias", "position", "--threads", "1", "--trials", "2", "--same-queries"]
    return ["tune", folder / "small.parquet", *features, *mode]


@pytest.mark.slow
def test_a_search_writes_parameters_that_a_ranker_takes(run, simulated, tmp_path):
    out, storage = tmp_path / "params.json", f"sqlite:///{tmp_path}/study.db"
    options = ["--out", out, "--storage", storage, "--seed", "3"]
    code, text, err = run(*tune_arguments(simulated), *options, "--holdout", "0.3")
    assert code == 0, err
    assert "2 trials" in text
    assert "holdout" in text
    assert f"parameters -> {out}" in err
    parameters = json.loads(out.read_text())
    assert Ranker(**parameters).get_params().items() >= parameters.items()
    again = run(*tune_arguments(simulated), *options, "--holdout", "0.3", "--json")
    report = json.loads(again.out)
    assert (report["trials"], report["best_params"]) == (2, parameters)
    assert report["holdout_gain"]["difference"] == pytest.approx(
        report["holdout_gain"]["best"] - report["holdout_gain"]["default"]
    )
    other = run(*tune_arguments(simulated), *options, "--holdout", "0")
    other.assert_refused("searches something else", "pairs: ")


def test_what_is_held_out_is_later_and_by_default_of_other_queries(simulated):
    pairs = load_pairs(simulated / "log.parquet")
    searched, held_out = _parts(pairs, 0.3, same_queries=False)
    assert searched.time.max() < held_out.time.min()
    assert not set(searched.query_id) & set(held_out.query_id)
    earlier, later = _parts(pairs, 0.3, same_queries=True)
    assert earlier.n_executions + later.n_executions == pairs.n_executions
    assert set(earlier.query_id) & set(later.query_id)
    assert _parts(pairs, 0, same_queries=True) == (pairs, None)


def test_a_mode_that_there_is_not_is_refused_before_the_log_is_read(run):
    run("tune", "no-such-file.parquet", "--debias", "outo").assert_refused("'outo'", "'auto'")
