"""`rankloom validate`: exit codes, the account of every row, several files, own types."""

import json

import polars as pl


def test_a_clean_log_ends_with_0(run, simulated):
    code, out, err = run("validate", simulated / "log.parquet")
    assert (code, err) == (0, "")
    rows = pl.scan_parquet(simulated / "log.parquet").select(pl.len()).collect().item()
    assert f"{rows:,}" in out


def test_a_dirty_log_ends_with_1_and_accounts_for_every_row(run, simulated, tmp_path):
    log, bad = simulated / "dirty.jsonl", tmp_path / "bad.jsonl"
    code, out, _ = run("validate", log, "--quarantine", bad, "--json")
    report = json.loads(out)
    reasons = report["quarantine_reasons"]
    assert code == 1
    assert report["rows_read"] == log.read_bytes().count(b"\n")
    assert report["quarantined"] == sum(reasons.values()) > 0
    refused = pl.read_ndjson(bad)
    assert refused.height == report["quarantined"]
    assert {"source", "row", "field", "value", "reason"} <= set(refused.columns)
    code, out, _ = run("validate", log)
    assert code == 1
    assert [reason for reason in reasons if reason not in out] == []


def test_several_files_and_globs_are_one_log(run, simulated):
    def rows_read(*files):
        return json.loads(run("validate", *files, "--json").out)["rows_read"]

    whole = rows_read(simulated / "log.parquet")
    assert rows_read(simulated / "early.parquet", simulated / "late.parquet") == whole
    assert rows_read(simulated / "[el]a*.parquet") == whole


def test_a_type_of_the_users_own_is_accepted_once_it_has_a_grade(run, tmp_path):
    log = tmp_path / "own.jsonl"
    row = {"feature_id": "a", "interaction_type": ["save_recipe"], "position": 0}
    log.write_text(json.dumps(row), encoding="utf-8")
    assert run("validate", log).code == 1
    assert run("validate", log, "--grade", "save_recipe=2").code == 0


def test_conditions_decide_on_the_exit_code(run, simulated):
    dirty = simulated / "dirty.jsonl"
    assert run("validate", dirty, "--fail-on", "quarantined > 50%").code == 0
    code, out, err = run(
        "validate", dirty, "--fail-on", "types.click == 0", "--fail-on", "quarantined > 0.01%"
    )
    assert code == 1
    assert err.startswith("failed: quarantined > 0.01%: ")
    assert out == run("validate", dirty).out
    clean = simulated / "log.parquet"
    assert run("validate", clean, "--fail-on", "rows_read < 1_000_000_000").code == 1


def test_a_condition_that_cannot_be_read_is_refused_before_any_file(run):
    code, _, err = run("validate", "missing.parquet", "--fail-on", "quarantined > 1 %%")
    assert code == 2
    assert "expected NAME OPERATOR NUMBER" in err
    code, _, err = run("validate", "missing.parquet", "--fail-on", "kept < 1")
    assert code == 2
    assert "rows_kept" in err
