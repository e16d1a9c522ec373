"""Kernels compile once where a cache can be written, and work where none can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow
PROGRAM = """
import logging
logging.basicConfig(level="WARNING", format="%(message)s")
from rankloom.datasets import load_pairs
from rankloom.datasets.pairs import fold
row = {"execution_id": "e", "interaction_type": ["impression"]}
pairs = load_pairs([{**row, "feature_id": d, "position": i} for i, d in enumerate("ab")])
print(fold.__file__, len(pairs), sum(fold._fold.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """Copy the package, so that its cache is this test's own."""
    target = tmp_path / "lib" / "rankloom"
    shutil.copytree(
        ROOT / "src" / "rankloom",
        target,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return target


def run(package, home):
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))},
        "HOME": str(home),
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=home if home.is_dir() else package.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=3_600,
    )


def test_the_second_process_finds_the_compiled_kernel(package, tmp_path):
    first, second = run(package, tmp_path), run(package, tmp_path)
    assert str(package) in first.stdout
    assert first.stdout.split()[1:] == ["2", "0"]
    assert second.stdout.split()[1:] == ["2", "1"]


def test_without_any_writable_folder_it_compiles_anew_and_says_so_once(package):
    # Not permissions, which root ignores: a file stands where each cache folder would have to be.
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    done = run(package, Path("/dev/null"))
    assert done.stdout.split()[1] == "2"
    assert done.stderr.count("compiled anew in every process") == 1
