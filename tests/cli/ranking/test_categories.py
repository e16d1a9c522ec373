"""Text, truth values and dates as features, by the command line alone."""

import json

import polars as pl
import pytest

BRANDS = ("acme", "kit", "zen")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A log in which one brand is clicked, and its features as a typed file and as text."""
    folder = tmp_path_factory.mktemp("categories")
    rows = []
    for e in range(300):
        for position in range(6):
            document = (e + 7 * position) % 30
            row = {"execution_id": f"e{e}", "feature_id": f"d{document}", "position": position}
            row["query_snapshot"] = {"query": f"q{e % 10}"}
            kinds = ["impression", "click"] if document % 3 == 2 and e % 5 else ["impression"]
            rows.append({**row, "interaction_type": kinds})
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    features = pl.DataFrame(
        {
            "feature_id": [f"d{d}" for d in range(30)],
            "brand": [BRANDS[d % 3] for d in range(30)],
            "new": [d % 2 == 0 for d in range(30)],
            "released": [f"2026-01-{d + 1:02}" for d in range(30)],
        }
    )
    features.write_csv(folder / "features.csv")
    features.with_columns(pl.col("released").str.to_date()).write_parquet(
        folder / "features.parquet"
    )
    return folder


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_categories_go_from_a_file_to_reranked_documents(run, files, tmp_path, suffix):
    features = files / f"features.{suffix}"
    trained = run(
        "train", files / "log.jsonl", "--features", features, "--out", tmp_path, "--threads", "1"
    )
    assert trained.code == 0, trained.err
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["features"][-3:] == ["brand", "new", "released"]
    assert manifest["categories"]["brand"] == list(BRANDS)
    assert manifest["categories"]["new"] == ["false", "true"]
    documents = [
        {"feature_id": brand, "brand": brand, "new": True, "released": "2026-01-15"}
        for brand in (*BRANDS, "other")
    ]
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    reranked = run("rerank", tmp_path, stdin=lines.encode())
    assert reranked.code == 0, reranked.err
    assert json.loads(reranked.out.splitlines()[0])["feature_id"] == "zen"
    evaluated = run("evaluate", tmp_path, files / "log.jsonl", "--features", features)
    assert evaluated.code == 0, evaluated.err
