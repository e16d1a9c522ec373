"""Trees grown by LightGBM on two real worker processes."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from rankloom.errors import ClusterError, InvalidInputError
from rankloom.ltr import Ranker, examination_weighted_dcg
from rankloom.ltr.boosting.dataset import neutral_names
from rankloom.ltr.distributed.partitions import Partition, check_outlines, outlines
from rankloom.ltr.distributed.trees import DaskTrees
from rankloom.ltr.fitting import fit
from rankloom.ltr.settings import FitSettings

CURVE = 1 / np.arange(1.0, 11.0)
ON_DASK = {"node_limit": 0}
LIGHTGBM = {
    "lambda_l2": 3.0,
    "max_bin": 31,
    "feature_fraction": 0.6,
    "bagging_freq": 1,
    "bagging_fraction": 0.7,
}


def fast(debias="click_model", **options):
    defaults = {"n_jobs": 1, "n_estimators": 30, "min_data_in_leaf": 20, "examination": CURVE}
    return Ranker(debias, **{**defaults, **options})


@pytest.fixture(scope="session")
def client(dask_client):
    return dask_client


@pytest.fixture(scope="module")
def log(make_pairs):
    """Executions of 120 queries, enough for two parts that look alike."""
    return make_pairs(1500, queries=120)


@pytest.fixture(scope="module")
def categorical(log):
    """The same with its most important feature as a category."""
    X = log.X.copy()
    X[:, 0] = np.clip(np.nan_to_num(np.round(X[:, 0])) + 2, 0, 4)
    return replace(log, X=X, categories={log.feature_names[0]: tuple("abcde")})


def trees(ranker):
    text = ranker.booster_.model_to_string()
    return text[: text.index("\nparameters:")]


def agreement(one, other, pairs):
    """Rank correlation of two rankers' scores."""
    ranks = [np.argsort(np.argsort(each.predict(pairs))) for each in (one, other)]
    return np.corrcoef(*ranks)[0, 1]


# Where the trees are grown


def test_rows_that_fit_one_process_give_the_same_model_as_without_a_client(client, log):
    alone, with_client = fast().fit(log), fast().fit(log, client=client)
    assert with_client.booster_.model_to_string() == alone.booster_.model_to_string()
    assert with_client.notes_[0].endswith("trees were grown in one process")
    rows = alone.training_report_["rows_trained"]
    limit = rows * log.X.shape[1]
    assert f"{rows:,} rows x 5 features = {limit:,} values" in with_client.notes_[0]
    at_limit = fast().fit(log, client=client, node_limit=limit)
    assert f"at most node_limit={limit:,}: trees were grown in one process" in at_limit.notes_[0]


@pytest.mark.slow
@pytest.mark.parametrize("debias", ["none", "ips", "click_model", "auto"])
def test_trees_grown_on_dask_rank_as_those_of_one_process(client, log, debias):
    alone, spread = fast(debias).fit(log), fast(debias).fit(log, client=client, **ON_DASK)
    assert agreement(alone, spread, log) > 0.97
    assert spread.notes_[0].endswith("node_limit=0: trees were grown on Dask")
    assert spread.notes_[1].startswith("trees were grown on 2 Dask workers")
    assert spread.best_iteration_ == alone.best_iteration_
    assert spread.training_report_["rows_trained"] == alone.training_report_["rows_trained"]


def test_parameters_seed_and_categories_reach_the_workers_as_they_are(client, make_pairs):
    """One list cannot be spread: its trees must be those of one process, bit for bit."""
    log = make_pairs(1500, queries=1, documents=1000)
    colour = (log.document_code % 5).astype(np.float32)
    log = replace(
        log,
        X=np.column_stack([log.X, colour]),
        feature_names=(*log.feature_names, "colour"),
        categories={"colour": tuple("abcde")},
    )
    settings = {"random_state": 11, "params": LIGHTGBM}
    alone = fast(**settings).fit(log)
    spread = fast(**settings).fit(log, client=client, **ON_DASK)
    assert trees(spread) == trees(alone)
    assert spread.notes_[1].startswith("trees were grown on 1 Dask worker")
    other = fast(**{**settings, "random_state": 12}).fit(log, client=client, **ON_DASK)
    assert trees(other) != trees(spread)


def test_a_model_from_dask_is_an_ordinary_model(client, categorical, tmp_path, capfd):
    address = client.scheduler.address
    ranker = fast().fit(categorical, client=address, **ON_DASK)
    assert "Finding" not in capfd.readouterr().out
    ranker.save(tmp_path / "model")
    loaded = Ranker.load(tmp_path / "model")
    assert (loaded.predict(categorical) == ranker.predict(categorical)).all()
    assert loaded.booster_.feature_name() == neutral_names(categorical.feature_names)
    assert list(loaded.feature_importances()) == list(ranker.feature_importances())
    assert set(loaded.categories_) == {categorical.feature_names[0]}
    assert "cat_threshold" in trees(ranker)
    assert loaded.notes_ == ranker.notes_
    assert ranker.rank([{"feature_id": "a"}, {"feature_id": "b"}])
    text = next((tmp_path / "model").glob("model-*.txt")).read_text()
    assert "127.0.0.1" not in text
    assert "[num_machines: 1]" in text


def test_trees_after_the_best_round_are_left_out(client, log, make_pairs):
    later = make_pairs(200, queries=120, random_state=5)
    ranker = fast("none", n_estimators=60, learning_rate=0.5, early_stopping_rounds=5)
    ranker.fit(log, later, client=client, **ON_DASK)
    values = ranker.validation_values_
    assert ranker.best_iteration_ == 1 + int(np.argmax(values)) < 60
    assert len(values) == ranker.best_iteration_ + 5
    used = later.take(np.add.reduceat(later.y, later.offsets[:-1]) > 0)
    scores = ranker.booster_.predict(used.X, raw_score=True)
    gained, possible = examination_weighted_dcg(
        used.y, scores, used.group, CURVE[used.position], clip=ranker.clip
    )
    assert max(values) == pytest.approx(gained.sum() / possible.sum(), rel=1e-9)


# What is refused


@pytest.mark.parametrize("debias", ["position", "pairwise"])
def test_a_bias_learnt_along_with_the_trees_needs_one_process(client, log, debias):
    with pytest.raises(InvalidInputError, match=f"debias='{debias}': cannot be trained on Dask"):
        fast(debias).fit(log, client=client)


def test_wrong_arguments_are_refused(client, log):
    with pytest.raises(InvalidInputError, match="expected a distributed.Client or .* got dict"):
        fast().fit(log, client={})
    for limit in (-1, 1.5, True):
        with pytest.raises(InvalidInputError, match="node_limit: expected a whole number"):
            fast().fit(log, client=client, node_limit=limit)
    by_feature = fast(params={"tree_learner": "feature"})
    with pytest.raises(InvalidInputError, match="needs all rows on every worker"):
        by_feature.fit(log, client=client, **ON_DASK)


def test_groups_that_cross_partitions_are_found_on_the_workers(client, log):
    """LightGBM's Dask side trains on such groups without a word."""
    first, second = sorted(client.nthreads())
    X, y = log.X[:200], log.y[:200].astype(np.int32)

    def partition(rows, group, worker):
        sent = [
            client.scatter(each, workers=[worker], hash=False)
            for each in (X[rows], y[rows], np.array(group))
        ]
        return Partition(*sent, None, worker)

    whole = [
        partition(slice(100), [10] * 10, first),
        partition(slice(100, 200), [10] * 10, second),
    ]
    params = {"objective": "lambdarank"}
    check_outlines(outlines(client, whole), 5, params)
    shifted = [
        partition(slice(105), [10] * 10, first),
        partition(slice(105, 200), [10] * 10, second),
    ]
    with pytest.raises(InvalidInputError, match="groups hold 100 rows .* it has 105"):
        check_outlines(outlines(client, shifted), 5, params)


# Workers that are killed


@contextmanager
def killer(client, times):
    """Kill a worker by SIGKILL as soon as it trains, so many times; yield the killed."""
    killed, end = [], threading.Event()
    pids = client.run(os.getpid)

    def watch():
        while len(killed) < times and not end.wait(0.02):
            for worker, tasks in client.processing().items():
                if worker in pids and any("_train_part" in str(task) for task in tasks):
                    os.kill(pids.pop(worker), signal.SIGKILL)
                    killed.append(worker)
                    break

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        end.set()
        thread.join()


@pytest.mark.slow
def test_a_training_that_lost_a_worker_is_begun_anew_and_finishes(client, log):
    with killer(client, times=1) as killed:
        ranker = fast(n_estimators=400).fit(log, client=client, **ON_DASK)
    assert len(killed) == 1
    assert f"lost while trees were grown ({killed[0]}" in ranker.notes_[1]
    assert ranker.notes_[1].endswith("the training was begun anew")
    assert ranker.notes_[2].startswith("trees were grown on ")
    assert ranker.best_iteration_ == 400
    assert agreement(fast(n_estimators=400).fit(log), ranker, log) > 0.95


@pytest.mark.slow
def test_a_training_that_loses_workers_every_time_fails_and_leaves_nothing(client, log, tmp_path):
    ranker, folder = fast(n_estimators=400), tmp_path / "model"
    settings = FitSettings.of(ranker.get_params(deep=False))
    with killer(client, times=1), pytest.raises(ClusterError, match="cannot go on without them"):
        fit(settings, log, None, DaskTrees(client, 0, max_attempts=1))
    assert not folder.exists()
    # The survivor was restarted: LightGBM would have left its thread with a dead connection.
    assert fast().fit(log, client=client, **ON_DASK).notes_[1].startswith("trees were grown on ")
