"""Rankers in service: a folder that changes is loaded anew, whole or not at all."""

import shutil
import signal
import threading

import httpx
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.errors import IntegrityError
from rankloom.ltr import Ranker
from rankloom.service.rankers import Rankers

PATH = "/v1/rerank"
DOCUMENTS = [{"feature_id": f"d{n}", "features": {"f0": n / 10 - 1}} for n in range(20)]
BODY = {"ranker": "products", "documents": DOCUMENTS}


@pytest.fixture(scope="module")
def models(ranker_folder, tmp_path_factory):
    """Folders of two rankers, and what each of them answers."""
    second = tmp_path_factory.mktemp("second")
    catalogue = simulate_catalogue(n_queries=20, random_state=1)
    log = simulate_interactions(catalogue, n_executions=200, random_state=1)
    pairs = load_pairs(log, features=catalogue.drop("query", "grade"), builtin_features=())
    Ranker("none", n_jobs=1, n_estimators=5).fit(pairs).save(second)
    folders = [ranker_folder, second]
    scores = [[d["score"] for d in Ranker.load(each).rank(DOCUMENTS)] for each in folders]
    assert scores[0] != scores[1]
    return folders, scores


def copied(source, target):
    shutil.copytree(source, target)
    return target


def test_a_folder_that_is_saved_into_is_loaded_again(models, tmp_path, wait_until):
    (first, second), scores = models
    folder = copied(first, tmp_path / "model")
    rankers = Rankers({"products": folder}, every=0.02)
    try:
        before = rankers.get("products")
        Ranker.load(second).save(folder)
        wait_until(lambda: rankers.get("products") is not before)
        assert [d["score"] for d in rankers.get("products").rank(DOCUMENTS)] == scores[1]
        assert [d["score"] for d in before.rank(DOCUMENTS)] == scores[0]
    finally:
        rankers.stop()


@pytest.mark.parametrize("missing", ["model", "half", "manifest", "other"])
def test_a_folder_that_is_half_written_is_not_loaded_until_it_is_whole(
    models, tmp_path, wait_until, caplog, missing
):
    """Files are copied one by one, in any order, and the names do not tell which are there."""
    (first, second), scores = models
    folder = copied(first, tmp_path / "model")
    rankers = Rankers({"products": folder}, every=0.02)
    new = next(second.glob("model-*.txt"))
    try:
        before = rankers.get("products")
        if missing == "half":
            (folder / new.name).write_bytes(new.read_bytes()[:-100])
        if missing == "other":  # of the right size, with other bytes in it
            (folder / new.name).write_bytes(new.read_bytes()[:-1] + b" ")
        manifest = (second / "manifest.json").read_bytes()
        (folder / "manifest.json").write_bytes(
            manifest[:-50] if missing == "manifest" else manifest
        )
        wait_until(lambda: "the one before stays" in caplog.text)
        assert rankers.get("products") is before
        for each in second.iterdir():
            shutil.copy(each, folder)
        wait_until(lambda: rankers.get("products") is not before)
        assert [d["score"] for d in rankers.get("products").rank(DOCUMENTS)] == scores[1]
    finally:
        rankers.stop()


def test_a_folder_without_a_whole_model_is_refused_at_the_start(models, tmp_path):
    folder = copied(models[0][0], tmp_path / "model")
    model = next(folder.glob("model-*.txt"))
    model.write_bytes(model.read_bytes()[:-1] + b" ")
    with pytest.raises(IntegrityError):
        Rankers({"products": folder})


@pytest.mark.slow
def test_a_signal_loads_rankers_again_and_no_request_is_dropped(
    models, tmp_path, started, started_address, tokens_for, wait_until
):
    """The folder is a link that is pointed elsewhere, as deployments do; each answer is of one."""
    (first, second), scores = models
    link = tmp_path / "model"
    link.symlink_to(first)
    tokens = tokens_for(tmp_path / "tokens", "shop")
    answers, stop = [], threading.Event()
    with started(tmp_path, "--ranker", f"products={link}") as process:
        url = started_address(process)

        def ask():
            with httpx.Client(base_url=url, headers=tokens.headers("read"), timeout=60) as http:
                while not stop.is_set():
                    answer = http.post(PATH, json=BODY)
                    answers.append(
                        (answer.status_code, [d["score"] for d in answer.json()["documents"]])
                    )

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for each in askers:
            each.start()
        wait_until(lambda: len(answers) > 20)
        (tmp_path / "next").symlink_to(second)
        (tmp_path / "next").replace(link)
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: answers[-1] == (200, scores[1]))
        stop.set()
        for each in askers:
            each.join()
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert {status for status, _ in answers} == {200}
    assert [found for _, found in answers if found not in scores] == []
