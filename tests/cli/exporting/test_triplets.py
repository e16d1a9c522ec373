"""`rankloom export triplets`: training data for embeddings from a log and a table of texts."""

import json

import polars as pl
import pytest


@pytest.fixture(scope="module")
def texts(simulated):
    """A table of texts that lacks a document of the log."""
    names = pl.read_parquet(simulated / "log.parquet")["feature_id"].unique().sort()
    path = simulated / "texts.csv"
    table = pl.DataFrame({"id": names, "title": "Title " + names, "text": "Text of " + names})
    table[:-1].write_csv(path)
    return path


def test_both_parts_are_written_and_accounted_for(run, simulated, texts, tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.parquet"
    code, text, err = run(
        "export", "triplets", simulated / "log.parquet", "--documents", texts, "--out", train,
        "--test-out", test, "--test-fraction", "0.4", "--confidence", "0.5",
        "--text", "title", "--text", "text",
    )  # fmt: skip
    assert code == 0
    rows = pl.read_ndjson(train), pl.read_parquet(test)
    assert [each.columns for each in rows] == 2 * [["anchor", "positive", "negative"]]
    assert rows[0]["positive"].str.contains("^Title .*\nText of ").all()
    assert not set(rows[0]["anchor"]) & set(rows[1]["anchor"])
    assert f"{len(rows[0]):,} rows -> {train}" in err
    assert f"train: {len(rows[0]):,} triplets of" in text
    assert "documents of the log have no text" in text
    assert "refused: pair whose intervals overlap" in text


def test_json_and_a_dirty_log(run, simulated, texts, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, text, _ = run(
        "export", "triplets", simulated / "dirty.jsonl", "--documents", texts, "--json",
        "--out", tmp_path / "t.parquet", "--layout", "labelled", "--confidence", "0.2",
        "--quarantine", bad,
    )  # fmt: skip
    assert code == 0
    report = json.loads(text)
    rows = pl.read_parquet(tmp_path / "t.parquet")
    assert report["written"]["train"] == len(rows) > 0
    assert report["load"]["quarantined"] == pl.read_ndjson(bad).height > 0
    assert report["parts"]["train"]["triplets"] > 0
    assert "test" not in report["parts"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--layout": "triplet"}, ["layout", "Did you mean 'triplets'"]),
        ({"--out": "train.txt"}, [".parquet", "train.txt"]),
        ({"--documents": "nowhere.csv"}, ["nowhere.csv"]),
        ({"--text": "titel"}, ["titel", "Did you mean 'title'"]),
        ({"--confidence": "1.5"}, ["confidence", "1.5"]),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(run, simulated, texts, tmp_path, change, words):
    options = {"--documents": texts, "--out": tmp_path / "train.jsonl", **change}
    arguments = [part for pair in options.items() for part in pair]
    run("export", "triplets", simulated / "log.parquet", *arguments).assert_refused(*words)
    assert not list(tmp_path.iterdir())


def test_the_table_of_texts_is_required(run, simulated):
    run("export", "triplets", simulated / "log.parquet", "--out", "t.jsonl").assert_refused(
        "--documents"
    )
