"""A promotion that is killed at any of its steps leaves the old model served, or the new one."""

import subprocess
import sys
from pathlib import Path

import pytest

from rankloom._shared.atomic_files import TEMPORARY
from rankloom.ltr import ModelRegistry

PROGRAM = Path(__file__).parent / "promote_killed.py"


@pytest.mark.slow
def test_a_killed_promotion_leaves_a_whole_model_at_every_step(tmp_path, models):
    folder = tmp_path / "registry"
    for model in models[:2]:
        ModelRegistry(folder, keep=2).promote(model, force="test")
    arguments = [sys.executable, PROGRAM, folder, models[2]]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=500)
    *killed, last = ended.stdout.splitlines()
    served = [int(line.split()[0]) for line in killed]
    assert last == "whole"
    assert set(served) == {2, 3}  # both sides of the moment at which the link is replaced
    assert len(killed) > 20
    versions = ModelRegistry(folder).versions()
    assert versions[0].name == ModelRegistry(folder).current.name
    left = [*folder.iterdir(), *(folder / "versions").iterdir()]
    assert [entry.name for entry in left if entry.name.startswith(TEMPORARY)] == []
