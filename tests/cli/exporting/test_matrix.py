"""`rankloom export matrix`: users x documents as a file that SciPy opens."""

import json

import polars as pl
from scipy import sparse

from rankloom.retrieval import EngagementMatrix, engagement_matrix


def test_the_file_holds_the_matrix_of_the_log(run, simulated, tmp_path):
    out, log = tmp_path / "matrix.npz", simulated / "early.parquet"
    code, text, err = run("export", "matrix", log, "--out", out, "--half-life", 7)
    assert code == 0
    wanted = engagement_matrix(log, half_life=7)
    assert EngagementMatrix.load(out).to_frame().equals(wanted.to_frame())
    assert (sparse.load_npz(out) != wanted.engagement).nnz == 0
    assert f"executions with a user: {wanted.report.executions:,}\n" in text
    assert f"{wanted.shape[0]:,} users x {wanted.shape[1]:,} documents -> {out}" in err


def test_counts_are_printed_as_json(run, simulated, tmp_path):
    out, bad = tmp_path / "matrix.npz", tmp_path / "bad.jsonl"
    code, text, _ = run(
        "export", "matrix", simulated / "dirty.jsonl", "--out", out,
        "--quarantine", bad, "--prior-strength", 2, "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(text)
    assert (found["users"], found["documents"]) == EngagementMatrix.load(out).shape
    assert found["report"]["load"]["quarantined"] == pl.read_ndjson(bad).height > 0


def test_a_log_without_users_and_a_missing_folder_are_refused(run, simulated, tmp_path):
    log = tmp_path / "log.parquet"
    pl.read_parquet(simulated / "early.parquet").drop("user_id").write_parquet(log)
    run("export", "matrix", log, "--out", tmp_path / "x.npz").assert_refused("user_id")
    out = tmp_path / "no" / "x.npz"
    run("export", "matrix", simulated / "late.parquet", "--out", out).assert_refused(
        str(out.parent)
    )
