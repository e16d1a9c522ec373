"""`rankloom export judgments`: grades of logged documents in another tool's format."""

import polars as pl


def test_grades_are_written_with_coverage(run, simulated, tmp_path):
    names = pl.read_parquet(simulated / "small.parquet")["query_snapshot"].unique().sort()
    table = pl.DataFrame({"query": names[:20], "feature_id": "d1", "grade": [0, 1] * 10})
    table.write_csv(tmp_path / "judged.csv")
    out = tmp_path / "ratings.csv"
    export = [
        "export", "judgments", simulated / "small.parquet",
        "--features", simulated / "features.parquet", "--judgments", tmp_path / "judged.csv",
        "--threads", "1", "--format", "quepid", "--out", out,
    ]  # fmt: skip
    code, text, err = run(*export)
    assert code == 0
    assert "impressions" in text
    assert f"{len(pl.read_csv(out)):,} grades -> {out}" in err
    export[export.index("quepid")] = "quep"
    run(*export).assert_refused("format", "quepid")
