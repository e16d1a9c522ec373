"""`rankloom export ranker`: a trained model as a file of another runtime."""

import json

import numpy as np
import onnxruntime
import pytest

from rankloom import Ranker


@pytest.fixture(scope="module")
def model(simulated, tmp_path_factory):
    from rankloom import load_pairs

    folder = tmp_path_factory.mktemp("ranker") / "model"
    pairs = load_pairs(simulated / "early.parquet", features=simulated / "features.parquet")
    Ranker("none", n_jobs=1, n_estimators=5, min_data_in_leaf=5).fit(pairs).save(folder)
    return folder


def test_the_file_scores_as_the_model_does(run, model, tmp_path):
    out = tmp_path / "model.onnx"
    code, text, err = run("export", "ranker", model, "--out", out)
    ranker = Ranker.load(model)
    assert (code, text) == (0, "")
    assert f"{ranker.n_features_in_:,} features -> {out}" in err
    X = np.random.default_rng(0).normal(size=(50, ranker.n_features_in_)).astype(np.float32)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"features": X})
    np.testing.assert_allclose(found, ranker.predict(X), atol=1e-6)


def test_names_and_notes_are_printed(run, model, tmp_path):
    out = tmp_path / "model.json"
    code, text, _ = run("export", "ranker", model, "--out", out, "--format", "vespa")
    renamed = [line for line in text.splitlines() if " is " in line]
    assert code == 0
    names = json.loads(out.read_text())["feature_names"]
    assert all(line.split(" is ")[1] in names for line in renamed)
    given = "--format", "opensearch-ltr", "--name", "shop", "--json"
    code, text, _ = run("export", "ranker", model, "--out", out, *given)
    assert code == 0
    assert json.loads(out.read_text())["model"]["name"] == "shop"
    assert "missing values rank as 0" in json.loads(text)["notes"][0]


def test_what_is_wrong_is_said(run, model, tmp_path):
    out = tmp_path / "model"
    run("export", "ranker", model, "--out", out, "--format", "onxn").assert_refused("onnx")
    run("export", "ranker", tmp_path / "none", "--out", out).assert_refused("none")
    run("export", "ranker", model, "--out", tmp_path / "no" / "x").assert_refused("no")
    assert not out.exists()
