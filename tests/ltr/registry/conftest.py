"""Folders of small models, and verdicts of gates to put beside them."""

import shutil

import pytest

from rankloom._shared.gate import GateMetric
from rankloom.ltr import Gate, Ranker
from rankloom.ltr.model.files import model_digest
from rankloom.ltr.model.gate_record import PRODUCTION, write_gate


@pytest.fixture(scope="session")
def saved(make_pairs, tmp_path_factory):
    """Folders of four models."""
    pairs = make_pairs(60, per_execution=5)
    folders = []
    for trees in range(1, 5):
        folders.append(tmp_path_factory.mktemp("model"))
        ranker = Ranker("none", n_jobs=1, n_estimators=trees, min_data_in_leaf=5)
        ranker.fit(pairs).save(folders[-1])
    return folders


@pytest.fixture
def models(saved, tmp_path):
    """Copies of these folders, for one test."""
    return [shutil.copytree(each, tmp_path / f"model{n}") for n, each in enumerate(saved)]


def verdict(*, passed=True):
    """Return the verdict of a gate."""
    metric = GateMetric(0.5, 0.4, 0.1, 0.02, 0.25, 0.05, limit=0.0, decides=True)
    reasons = [] if passed else ["DCG@10: too little"]
    return Gate(passed, "DCG@10", {"DCG@10": metric}, reasons, "another", 100, "estimates", 0.95)


@pytest.fixture
def judged():
    """Leave a verdict beside a model, against the order that was shown or another model."""

    def judged(folder, against=None, *, passed=True):
        baseline = PRODUCTION if against is None else model_digest(against)
        write_gate(folder, verdict(passed=passed), model=model_digest(folder), baseline=baseline)

    return judged
