"""`rankloom export letor`: pairs as lines that SVMlight's and LETOR's readers take."""

import json

import numpy as np
import polars as pl
from sklearn.datasets import load_svmlight_file

from rankloom.datasets import load_letor, load_pairs


def test_the_lines_hold_grades_executions_and_features(run, simulated, tmp_path):
    out = tmp_path / "train.svm"
    arguments = [simulated / "early.parquet", "--features", simulated / "features.parquet"]
    code, text, err = run("export", "letor", *arguments, "--out", out)
    assert code == 0
    pairs = load_pairs(arguments[0], features=arguments[2])
    X, y, query = load_svmlight_file(str(out), query_id=True, dtype=np.float32)
    np.testing.assert_array_equal(X.toarray(), pairs.X)
    np.testing.assert_array_equal(y, pairs.y)
    np.testing.assert_array_equal(query, pairs.execution_index)
    assert f"  1: {pairs.feature_names[0]}" in text
    assert f"{len(pairs):,} lines of {pairs.n_executions:,} executions -> {out}" in err


def test_documents_are_named_where_asked_for(run, simulated, tmp_path):
    out = tmp_path / "train.svm"
    code, text, _ = run(
        "export", "letor", simulated / "late.parquet", "--out", out, "--documents", "--json"
    )
    assert code == 0
    assert json.loads(text)["lines"] == len(load_letor(out))
    rows = pl.read_parquet(simulated / "late.parquet").filter(pl.col("position").is_not_null())
    assert set(load_letor(out).documents) == set(rows["feature_id"]) - {"list"}


def test_bad_rows_are_counted(run, simulated, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, text, _ = run(
        "export", "letor", simulated / "dirty.jsonl", "--out", tmp_path / "train.svm",
        "--quarantine", bad, "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(text)["load"]["quarantined"] == pl.read_ndjson(bad).height > 0


def test_a_missing_file_and_a_missing_folder_are_refused(run, simulated, tmp_path):
    run("export", "letor", tmp_path / "no.parquet", "--out", "x.svm").assert_refused("no.parquet")
    out = tmp_path / "no" / "x.svm"
    run("export", "letor", simulated / "late.parquet", "--out", out).assert_refused(str(out.parent))
    run("export", "letor", simulated / "late.parquet").assert_refused("--out")
