"""Exported rankers against the ranker's own scores, each through the other runtime."""

from __future__ import annotations

import json
import sys

import lightgbm
import numpy as np
import onnxruntime
import polars as pl
import pytest
import treelite
import xgboost
from hypothesis import assume, given
from hypothesis import strategies as st

from rankloom import Ranker, RankloomError, load_pairs
from rankloom.datasets import simulate_catalogue, simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.ltr.exports.trees import float32_at_most, trees_of
from rankloom.ltr.exports.vespa import vespa_names
from rankloom.ltr.exports.xgboost_json import below

N = 10_000


def fitted(*, categories: bool, missing: bool) -> Ranker:
    documents = simulate_catalogue(n_queries=80, random_state=0)
    log = simulate_interactions(documents, n_executions=2_000, random_state=0)
    features = documents.drop("query", "grade")
    rng = np.random.default_rng(1)
    if missing:
        holes = pl.Series(rng.random(len(features)) < 0.2)
        features = features.with_columns(f1=pl.when(~holes).then("f1"))
    if categories:
        good = (features["f0"].fill_null(0) > 0).to_numpy()
        names = np.array(["red", "green", "blue", "black", "white", "brown", "pink", "grey"])
        code = np.where(good, rng.integers(0, 8, len(good)), rng.integers(0, 3, len(good)) * 2)
        features = features.with_columns(colour=pl.Series(names[code]))
    pairs = load_pairs(log, features=features, builtin_features=())
    return Ranker("position", n_jobs=1, n_estimators=60, min_data_in_leaf=20).fit(pairs)


@pytest.fixture(scope="module")
def numeric() -> Ranker:
    return fitted(categories=False, missing=True)


@pytest.fixture(scope="module")
def categorical() -> Ranker:
    ranker = fitted(categories=True, missing=True)
    splits = ranker.booster_.trees_to_dataframe()["decision_type"]
    assert (splits == "==").any()
    return ranker


@pytest.fixture(params=["numeric", "categorical"])
def ranker(request) -> Ranker:
    return request.getfixturevalue(request.param)


def rows_of(ranker: Ranker) -> np.ndarray:
    """Rows that stand on thresholds and beside them, missing values and all categories."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(N, ranker.n_features_in_)).astype(np.float32)
    table = ranker.booster_.trees_to_dataframe()
    for j, name in enumerate(ranker.booster_.feature_name()):
        real = str(ranker.feature_names_in_[j])
        if real in ranker.categories_:
            X[:, j] = rng.integers(0, len(ranker.categories_[real]), N)
            continue
        of_feature = table[(table["split_feature"] == name) & (table["decision_type"] == "<=")]
        cuts = of_feature["threshold"].astype(float).to_numpy()
        cuts = cuts[np.abs(cuts) < 1e38]  # one of 1.8e308 only separates missing values from others
        if not len(cuts):
            continue
        near = rng.choice(cuts, N).astype(np.float32)
        step = rng.integers(-1, 2, N)
        near = np.where(step < 0, np.nextafter(near, np.float32(-9e9)), near)
        near = np.where(step > 0, np.nextafter(near, np.float32(9e9)), near)
        near = np.where(np.abs(near) < 1e-30, 0, near)  # LightGBM takes up to 1e-35 for 0
        X[:, j] = np.where(rng.random(N) < 0.7, near, X[:, j])
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def assert_same_order(found: np.ndarray, expected: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    # Documents further apart than rounding keep their order.
    order = np.argsort(expected, kind="stable")
    apart = np.diff(expected[order]) > 2 * atol
    assert (np.diff(found[order])[apart] > 0).all()
    assert apart.sum() > 100


def test_onnx_scores_are_the_rankers_own(ranker, tmp_path):
    exported = ranker.export("onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    X = rows_of(ranker)
    (found,) = session.run(None, {"features": X})
    assert found.shape == (N,)
    assert_same_order(found, ranker.predict(X), 1e-6)
    meta = session.get_modelmeta().custom_metadata_map
    assert json.loads(meta["features"]) == [str(name) for name in ranker.feature_names_in_]
    named = {name: tuple(each) for name, each in json.loads(meta["categories"]).items()}
    assert named == ranker.categories_ == exported.categories


def test_treelite_scores_are_equal(ranker, tmp_path):
    exported = ranker.export("treelite", tmp_path / "model.tl")
    model = treelite.Model.deserialize(exported.path)
    X = rows_of(ranker)
    found = treelite.gtil.predict(model, X.astype(np.float64), nthread=1).ravel()
    np.testing.assert_array_equal(found.astype(np.float32), ranker.predict(X))


def test_lightgbm_reads_its_own_text(ranker, tmp_path):
    exported = ranker.export("lightgbm", tmp_path / "model.txt")
    X = rows_of(ranker)
    found = lightgbm.Booster(model_file=exported.path).predict(X, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(found.astype(np.float32), ranker.predict(X))


def xgboost_model(dump: list[dict], names: list[str]) -> xgboost.Booster:
    """Load a dump of trees into XGBoost, which has no reader of its own dumps."""
    trees = []
    for number, root in enumerate(dump):
        nodes: dict[int, dict] = {}
        waiting = [(root, 2**31 - 1)]
        while waiting:
            node, parent = waiting.pop()
            nodes[node["nodeid"]] = {**node, "parent": parent}
            waiting += [(child, node["nodeid"]) for child in node.get("children", [])]
        each = [nodes[i] for i in range(len(nodes))]
        size = len(each)
        trees.append(
            {
                "id": number,
                "tree_param": {
                    "num_deleted": "0",
                    "num_feature": str(len(names)),
                    "num_nodes": str(size),
                    "size_leaf_vector": "1",
                },
                "base_weights": [0.0] * size,
                "categories": [],
                "categories_nodes": [],
                "categories_segments": [],
                "categories_sizes": [],
                "split_type": [0] * size,
                "loss_changes": [0.0] * size,
                "sum_hessian": [1.0] * size,
                "left_children": [n.get("yes", -1) for n in each],
                "right_children": [n.get("no", -1) for n in each],
                "parents": [n["parent"] for n in each],
                "split_indices": [names.index(n["split"]) if "split" in n else 0 for n in each],
                "split_conditions": [n.get("split_condition", n.get("leaf")) for n in each],
                "default_left": [int(n.get("missing", -1) == n.get("yes", -2)) for n in each],
            }
        )
    learner = {
        "attributes": {},
        "feature_names": names,
        "feature_types": ["float"] * len(names),
        "gradient_booster": {
            "name": "gbtree",
            "model": {
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                "iteration_indptr": list(range(len(trees) + 1)),
                "tree_info": [0] * len(trees),
                "trees": trees,
            },
        },
        "learner_model_param": {
            "base_score": "0E0",
            "boost_from_average": "0",
            "num_class": "0",
            "num_feature": str(len(names)),
            "num_target": "1",
        },
        "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps({"learner": learner, "version": [2, 0, 0]}).encode()))
    return booster


@pytest.mark.parametrize("target", ["elasticsearch-ltr", "opensearch-ltr"])
def test_xgboost_scores_what_the_plugins_read_alike(numeric, tmp_path, target):
    exported = numeric.export(target, tmp_path / "model.json", name="shop")
    body = json.loads(exported.path.read_text())["model"]
    assert (body["name"], body["model"]["type"]) == ("shop", "model/xgboost+json")
    dump, names = body["model"]["definition"], [str(each) for each in numeric.feature_names_in_]
    X = rows_of(numeric)
    found = xgboost_model(dump, names).predict(
        xgboost.DMatrix(X, feature_names=names, nthread=1), output_margin=True
    )
    assert_same_order(found, numeric.predict(X), 1e-6)
    assert "missing values rank as 0" in exported.notes[0]


def vespa_score(document: dict, tree: dict, names: list[str], texts: dict[str, str]) -> float:
    """Walk a tree as Vespa's converter writes it: if (feature <= threshold, left, right)."""
    while "leaf_value" not in tree:
        name = names[tree["split_feature"]]
        value = document[name]
        if tree["decision_type"] == "==":
            left = value is not None and texts[name].index(value) in map(
                int, tree["threshold"].split("||")
            )
        else:
            left = tree["default_left"] if value is None else value <= tree["threshold"]
        tree = tree["left_child" if left else "right_child"]
    return tree["leaf_value"]


def test_vespas_trees_score_alike(ranker, tmp_path):
    exported = ranker.export("vespa", tmp_path / "model.json")
    model = json.loads(exported.path.read_text())
    names = model["feature_names"]
    assert names == list(exported.feature_names.values())
    texts = dict(zip(ranker.categories_, model["pandas_categorical"], strict=True))
    X = rows_of(ranker)[:300]
    found = []
    for row in X.tolist():
        document = {name: None if np.isnan(v) else v for name, v in zip(names, row, strict=True)}
        for name, values in texts.items():
            code = document[name]
            document[name] = None if code is None else values[int(code)]
        trees = (each["tree_structure"] for each in model["tree_info"])
        found.append(sum(vespa_score(document, tree, names, texts) for tree in trees))
    np.testing.assert_allclose(found, ranker.predict(X), rtol=0, atol=1e-6)


def test_a_split_that_only_tells_missing_values_from_others_is_written():
    assert below(1.7976931348623157e308) == float(np.finfo(np.float32).max)


def test_what_a_format_cannot_hold_is_refused(categorical, tmp_path):
    with pytest.raises(InvalidInputError, match=r"splits by \['colour'\]"):
        categorical.export("opensearch-ltr", tmp_path / "model.json")
    with pytest.raises(InvalidInputError, match="Did you mean 'onnx'"):
        categorical.export("onxn", tmp_path / "model")
    with pytest.raises(InvalidInputError, match="rename one"):
        vespa_names(["a.b", "a b"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"zero_as_missing": True}, "zero_as_missing"),
        ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "random forest"),
    ],
)
def test_models_whose_score_is_another_are_refused(parameters, message):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 2)), rng.integers(0, 2, 400)
    X[:100, 0] = 0.0
    given = {"num_threads": 1, "verbose": -1, "min_data_in_leaf": 5, **parameters}
    booster = lightgbm.train(given, lightgbm.Dataset(X, y), 2)
    with pytest.raises(InvalidInputError, match=message):
        trees_of(booster)


@pytest.mark.parametrize(("target", "package"), [("onnx", "onnx"), ("treelite", "treelite")])
def test_a_missing_package_is_named(numeric, tmp_path, monkeypatch, target, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RankloomError, match=r"rankloom\[export\]"):
        numeric.export(target, tmp_path / "model")


@given(
    st.floats(-1e308, 1e308, allow_nan=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_thresholds_split_float32_values_alike(threshold, value, near):
    with np.errstate(over="ignore"):
        x = np.float32(threshold if near else value)
    assume(abs(x) < np.finfo(np.float32).max)
    assert (x <= float32_at_most(threshold)) == (float(x) <= threshold)
    assert (x < np.float32(below(threshold))) == (float(x) <= threshold)
