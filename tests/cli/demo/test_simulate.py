"""`rankloom simulate`: what it writes is valid input, reproducible, and free of the truth."""

import json

import polars as pl
import pytest


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_every_format_that_simulate_writes_is_valid_input(run, tmp_path, suffix):
    log = tmp_path / f"log.{suffix}"
    code, out, err = run("simulate", log, "--executions", "50")
    assert (code, out) == (0, "")
    assert str(log) in err
    code, out, _ = run("validate", log, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["rows_read"] > 500
    assert report["quarantined"] == 0


def test_the_same_seed_writes_the_same_log_and_another_seed_another(run, tmp_path):
    logs = [tmp_path / f"{i}.parquet" for i in range(3)]
    for log, seed in zip(logs, [5, 5, 6], strict=True):
        assert run("simulate", log, "--executions", "40", "--seed", seed).code == 0
    frames = [pl.read_parquet(log) for log in logs]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_a_later_start_gives_a_later_log(run, tmp_path):
    log = tmp_path / "log.parquet"
    assert run("simulate", log, "--executions", "40", "--start", "2025-03-01").code == 0
    first = pl.read_parquet(log)["occurred_at"].min()
    assert (first.year, first.month) == (2025, 3)
    result = run("simulate", log, "--executions", "40", "--start", "March")
    result.assert_refused("--start", "March")


def test_the_feature_file_does_not_hold_the_truth(simulated):
    columns = pl.read_parquet_schema(simulated / "features.parquet")
    assert "feature_id" in columns
    assert not {"grade", "query"} & set(columns)


def test_an_unknown_click_model_is_refused_by_name(run, tmp_path):
    out = tmp_path / "x.parquet"
    result = run("simulate", out, "--executions", "5", "--click-model", "pmb")
    result.assert_refused("click_model", "pmb")
    assert not out.exists()
