"""Files of triplets, read by the libraries that they are for."""

import json

import polars as pl
import pytest

from rankloom.datasets import simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.retrieval import training_triplets


@pytest.fixture(scope="module")
def triplets():
    """Triplets of a simulated log, with texts."""
    log = simulate_interactions(n_executions=1_500, random_state=0)
    names = log["feature_id"].unique().sort()
    texts = pl.DataFrame({"id": names, "text": "Text “" + names + "”, line 1\nline 2"})
    return training_triplets(log, documents=texts, test_fraction=0)


@pytest.fixture(scope="module")
def huggingface(tmp_path_factory):
    """Hugging Face's datasets with a cache of its own and without the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("huggingface")))
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "1")
        datasets = pytest.importorskip("datasets")
        assert hasattr(datasets, "load_dataset"), datasets.__file__
        datasets.disable_progress_bars()
        yield datasets


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        ("triplets", ["anchor", "positive", "negative"]),
        ("scored", ["anchor", "positive", "negative", "score"]),
        ("labelled", ["anchor", "document", "label"]),
    ],
)
def test_huggingface_datasets_reads_the_files(
    triplets, huggingface, tmp_path, suffix, layout, columns
):
    path = tmp_path / f"train.{suffix}"
    written = triplets.write(path, layout=layout)
    builder = {"parquet": "parquet", "jsonl": "json"}[suffix]
    found = huggingface.load_dataset(
        builder, data_files={"train": str(path)}, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert found.column_names == columns
    assert len(found) == written > 50
    frame = triplets.train
    assert found["anchor"][0] == frame["query"][0]
    texts = [name for name in columns if name not in ("score", "label")]
    assert {found.features[name].dtype for name in texts} <= {"string", "large_string"}
    if layout == "labelled":
        assert set(found["label"]) == {0, 1}
        assert found.features["label"].dtype in {"int32", "int64"}
    else:
        assert found["negative"][:5] == frame["negative"][:5].to_list()
    if layout == "scored":
        assert found["score"][:5] == pytest.approx(frame["margin"][:5].to_list())


def test_json_lines_are_one_object_a_line(triplets, tmp_path):
    rows = triplets.write(tmp_path / "t.jsonl")
    lines = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == rows
    assert set(json.loads(lines[0])) == {"anchor", "positive", "negative"}


def test_labelled_rows_hold_each_query_and_document_once(triplets, tmp_path):
    triplets.write(tmp_path / "t.parquet", layout="labelled")
    rows = pl.read_parquet(tmp_path / "t.parquet")
    assert not rows.select("anchor", "document").is_duplicated().any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "triplet"}, "Did you mean 'triplets'"),
        ({"part": "test"}, "no triplets in 'test'"),
        ({"part": "dev"}, "part"),
        ({"path": "t.csv"}, ".parquet"),
    ],
)
def test_what_cannot_be_written_is_refused(triplets, tmp_path, options, words):
    path = tmp_path / options.pop("path", "t.parquet")
    with pytest.raises(InvalidInputError, match=words):
        triplets.write(path, **options)
    assert list(tmp_path.iterdir()) == []


def test_triplets_without_texts_are_refused(tmp_path):
    log = simulate_interactions(n_executions=1_500, random_state=0)
    with pytest.raises(InvalidInputError, match="documents="):
        training_triplets(log, test_fraction=0).write(tmp_path / "t.parquet")
