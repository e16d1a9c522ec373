"""Models that were saved before the code was divided into sub-packages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rankloom.ltr import Ranker

MODEL_FILE = "model-0dd10eebb3d0.txt"
MODEL = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=regression
feature_names=f0_6cba08b9
feature_infos=[-2:4]
tree_sizes=266

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=235.232
threshold=1.75
decision_type=2
left_child=-1
right_child=-2
leaf_value=-0.25 0.75
leaf_weight=123 87
leaf_count=123 87
internal_value=0
internal_weight=210
internal_count=210
is_linear=0
shrinkage=1


end of trees
"""
MANIFEST: dict[str, Any] = {
    "categories": {},
    "debias": {
        "choice": {
            "bound": {"gain": -0.5, "lower": -0.75, "metric": "DCG@10"},
            "click_model": "pbm",
            "effective_exposures": 157.5,
            "evidence": {
                "pbm": {"log_likelihood": -2.25, "over_best_blind": 0.375, "standard_error": 0.125}
            },
            "examination_source": "assumed",
            "fall_back": True,
            "identified": False,
            "members": {"click_model": 0.25, "pairwise": 0.75},
            "reasons": ["pbm foretells held-out clicks best"],
            "reliability": 0.5,
        },
        "examination": [1.0, 0.5],
        "examination_source": "assumed",
        "executions_left_out": {},
        "mode": "auto",
        "pair_bias": {"clicked": [1.0, 0.25], "position": [0, 1], "unclicked": [1.0, None]},
        "validation_values": [],
    },
    "digest": "9fea122ea1c75642f38324fa85c98b5fc6e681c977e219024e682383e4f7b179",
    "features": ["f0"],
    "files": {
        "model-0dd10eebb3d0.txt": {
            "bytes": 448,
            "sha256": "0dd10eebb3d0851a4bbc7857fa21fbe4368138361a9d7021dd87a5af297981af",
        }
    },
    "format": "rankloom-ranker",
    "format_version": 1,
    "grades": [0, 1, 2, 3, 4],
    "library_versions": {"lightgbm": "4.7.0", "rankloom": "0.1.0"},
    "parameters": {
        "clip": 0.05,
        "debias": "auto",
        "early_stopping_rounds": None,
        "examination": None,
        "learning_rate": 0.5,
        "min_data_in_leaf": 50,
        "n_estimators": 2,
        "n_jobs": 1,
        "num_leaves": 3,
        "params": None,
        "prior_exposure": 4.0,
        "prior_strength": 4.0,
        "progress": "auto",
        "random_state": 0,
        "truncation_level": 10,
    },
    "training_period": ["2025-01-06T02:42:47.345091Z", "2025-02-04T20:59:35.294269Z"],
    "training_report": {
        "notes": ["falls back: too few clicks to tell anything of documents"],
        "rounds": 1,
        "rows": 210,
    },
}


def test_a_model_of_the_first_format_is_loaded(tmp_path):
    """The folder's bytes, digest included, are those that the older program wrote."""
    (tmp_path / MODEL_FILE).write_text(MODEL, encoding="utf-8")
    text = json.dumps(MANIFEST, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    ranker = Ranker.load(tmp_path)
    np.testing.assert_array_equal(ranker.predict(np.array([[1.0], [2.0]])), [-0.25, 0.75])
    assert ranker.choice_.evidence["pbm"].over_baseline == 0.375
    assert ranker.choice_.fall_back
    assert ranker.training_period_ == MANIFEST["training_period"]
    ranked = ranker.rank([{"feature_id": "a", "f0": 1}, {"feature_id": "b", "f0": 2}])
    assert [document["feature_id"] for document in ranked] == ["b", "a"]
    ranker.save(tmp_path / "again")
    assert Ranker.load(tmp_path / "again").choice_ == ranker.choice_
