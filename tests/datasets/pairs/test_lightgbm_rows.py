"""LightGBM learns the same model from mapped features as from features in memory."""

import lightgbm
import numpy as np
import pytest

from rankloom import Ranker, load_pairs, simulate_interactions
from rankloom.datasets.pairs.array_storage import InMemory, OnDisk
from rankloom.datasets.pairs.lightgbm_rows import lightgbm_rows

PARAMS = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "num_iterations": 5}


@pytest.fixture(scope="module")
def log():
    return simulate_interactions(n_executions=3_000, random_state=0)


def test_a_mapped_array_is_read_part_by_part_into_the_same_model(tmp_path, log):
    pairs = load_pairs(log)
    writer = OnDisk(tmp_path).array("X", np.float32, pairs.X.shape)
    writer.write(pairs.X)
    mapped = writer.finish()
    assert lightgbm_rows(pairs.X) is pairs.X
    assert isinstance(lightgbm_rows(mapped), lightgbm.Sequence)
    models = []
    for X in (pairs.X, mapped):
        given = lightgbm.Dataset(lightgbm_rows(X), pairs.y, group=pairs.group, params=PARAMS)
        models.append(lightgbm.train(PARAMS, given).model_to_string())
    assert models[0] == models[1]
    np.testing.assert_array_equal(mapped, pairs.X)


def test_rankers_and_datasets_of_pairs_from_files_are_those_of_pairs_in_memory(log):
    partitioned = load_pairs(log, memory_limit="1GB")
    assert isinstance(lightgbm_rows(partitioned.X), lightgbm.Sequence)
    texts = [
        lightgbm.train(PARAMS, pairs.to_lightgbm(params=PARAMS)).model_to_string()
        for pairs in (load_pairs(log), partitioned)
    ]
    assert texts[0] == texts[1]
    for mode in ("none", "ips"):
        options = {"debias": mode, "n_jobs": 1, "random_state": 0, "params": {"n_estimators": 5}}
        boosters = [Ranker(**options).fit(p).booster_ for p in (load_pairs(log), partitioned)]
        assert boosters[0].model_to_string() == boosters[1].model_to_string()


def test_the_two_ways_to_hold_arrays_of_holding_arrays_are_read_differently():
    array = InMemory().array("X", np.float32, (3, 2))
    array.write(np.ones((3, 2)))
    assert isinstance(lightgbm_rows(array.finish()), np.ndarray)
