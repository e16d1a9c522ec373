"""A registry in service: promotions, roll-backs and killed promotions drop no request."""

import subprocess
import sys
import threading
import time

import httpx
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr import ModelRegistry, Ranker

PATH = "/v1/rerank"
DOCUMENTS = [{"feature_id": f"d{n}", "features": {"f0": n / 10 - 1}} for n in range(20)]
BODY = {"ranker": "products", "documents": DOCUMENTS}
KILLED = 3


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    catalogue = simulate_catalogue(n_queries=20, random_state=1)
    log = simulate_interactions(catalogue, n_executions=200, random_state=1)
    pairs = load_pairs(log, features=catalogue.drop("query", "grade"), builtin_features=())
    Ranker("none", n_jobs=1, n_estimators=5).fit(pairs).save(folder)
    return folder


def scores(folder):
    return [d["score"] for d in Ranker.load(folder).rank(DOCUMENTS)]


def command(*arguments):
    return [sys.executable, "-m", "rankloom", *map(str, arguments)]


@pytest.mark.slow
def test_promotions_and_rollbacks_reach_a_running_service_without_a_dropped_request(
    ranker_folder, other_folder, tmp_path, started, started_address, tokens_for, wait_until
):
    registry = tmp_path / "registry"
    ModelRegistry(registry).promote(ranker_folder, force="the first")
    first, second = scores(ranker_folder), scores(other_folder)
    assert first != second
    tokens = tokens_for(tmp_path / "tokens", "shop")
    answers, stop = [], threading.Event()
    with started(tmp_path, "--ranker", f"products={registry / 'current'}") as process:
        url = started_address(process)

        def ask():
            with httpx.Client(base_url=url, headers=tokens.headers("read"), timeout=60) as http:
                while not stop.is_set():
                    answer = http.post(PATH, json=BODY)
                    answers.append(
                        (answer.status_code, [d["score"] for d in answer.json()["documents"]])
                    )
                    time.sleep(0.005)  # leave a core to the command

        asker = threading.Thread(target=ask)
        asker.start()
        try:
            wait_until(lambda: len(answers) > 20)
            promote = command("promote", other_folder, "--to", registry, "--force", "test")
            subprocess.run(promote, check=True)
            wait_until(lambda: answers[-1] == (200, second))
            subprocess.run(command("rollback", registry), check=True)
            wait_until(lambda: answers[-1] == (200, first))
            started_at = time.monotonic()
            subprocess.run(promote, check=True)
            took = time.monotonic() - started_at
            for n in range(KILLED):  # also where it writes, which is at its end
                ModelRegistry(registry).promote(ranker_folder, force="test")
                with subprocess.Popen(promote) as killed:
                    time.sleep(took * (0.7 + 0.3 * n / KILLED))
                    killed.kill()
                assert scores(registry / "current") in (first, second)
            subprocess.run(promote, check=True)
            wait_until(lambda: answers[-1] == (200, second))
        finally:
            stop.set()
            asker.join()
            process.terminate()
        assert process.wait(timeout=60) == 0
    assert {status for status, _ in answers} == {200}
    assert [found for _, found in answers if found not in (first, second)] == []
