"""The page about MLflow: its files run as printed, where there is an MLflow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .snippets import write_files

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mlflow.md"


def interpreter():
    """Return one that has MLflow; what MLflow needs does not go with all that the tests need."""
    named = os.environ.get("RANKLOOM_TEST_MLFLOW_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("RANKLOOM_TEST_MLFLOW_PYTHON names no interpreter with MLflow and rankloom")
    return sys.executable


@pytest.mark.slow
def test_the_run_registers_a_model_whose_scores_are_those_of_the_ranker(tmp_path):
    python = interpreter()
    names = write_files(PAGE.read_text(encoding="utf-8"), tmp_path)
    assert names == ["rankloom_model.py", "track.py"]
    done = subprocess.run(
        [python, "track.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    served, expected = json.loads((tmp_path / "scores.json").read_text())
    assert served == expected
    assert len(set(served)) > 1
    assert not list((tmp_path / "mlruns").rglob("*.pkl"))
    (manifest,) = (tmp_path / "mlruns").rglob("manifest.json")
    assert manifest.parent.name == "model"
