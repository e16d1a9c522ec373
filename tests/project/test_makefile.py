"""The Makefile finds a Python that runs, says so where there is none, and keeps what it made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIM = "#!/bin/sh\necho 'version manager: command not found' >&2\nexit 127\n"

MAKE = shutil.which("make")
OUTER = {"PYTHON", "VENV", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"}  # of the make that runs us

pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")


def make(*arguments, path=None):
    """Run make in the checkout; `PIP=true` keeps it from installing anything."""
    environment = {name: value for name, value in os.environ.items() if name not in OUTER}
    return subprocess.run(
        [MAKE, "--no-print-directory", "PIP=true", *arguments],
        cwd=ROOT,
        env={**environment, **({"PATH": path} if path else {})},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_says_which_pythons_it_tried(tmp_path):
    done = make("demo", f"VENV={tmp_path}/venv", "PYTHON=no-such-python")
    assert done.returncode == 2
    assert "error: none of these runs as Python 3.11 or newer: no-such-python" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_it_passes_over_shims_that_fail_and_makes_the_venv_once(tmp_path):
    """Version managers leave a python3.13 on the path that only prints an error."""
    programs = {
        "python3.13": SHIM,
        "python3.12": SHIM,
        "python3.11": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
    }
    for name, content in programs.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    stamp = f"{tmp_path}/venv/.created"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    first = make(f"VENV={tmp_path}/venv", stamp, path=path)
    assert first.returncode == 0, first.stderr
    assert f"creating {tmp_path}/venv with Python {sys.version.split()[0]}" in first.stdout
    assert (tmp_path / "venv" / "bin" / "python").exists()
    assert "up to date" in make(f"VENV={tmp_path}/venv", stamp, path=path).stdout


@pytest.mark.slow
def test_a_venv_that_works_is_kept_when_the_requirements_change(tmp_path):
    stamp = f"{tmp_path}/venv/.created"
    made = make(f"VENV={tmp_path}/venv", f"PYTHON={sys.executable}", stamp)
    assert made.returncode == 0, made.stderr
    (tmp_path / "venv" / "mine").touch()
    Path(stamp).unlink()
    again = make(f"VENV={tmp_path}/venv", f"PYTHON={sys.executable}", stamp)
    assert again.returncode == 0, again.stderr
    assert "creating" not in again.stdout
    assert (tmp_path / "venv" / "mine").exists()
