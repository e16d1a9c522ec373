"""How many threads there may be: processors, quotas of containers and what the user says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rankloom._shared import threads
from rankloom.ltr.boosting.parameters import thread_count


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Control groups as a system shows them: files by name under the root, and the own groups."""

    def make(own: str, files: dict[str, str]) -> None:
        root = tmp_path / "cgroup"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (tmp_path / "self").write_text(own)
        monkeypatch.setattr(threads, "_CGROUPS", root)
        monkeypatch.setattr(threads, "_OWN_CGROUPS", tmp_path / "self")
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    return make


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 1),
        ("0::/of/the/host\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "4:cpu,cpuacct:/pod\n0::/\n",
            {"cpu/pod/cpu.cfs_quota_us": "200000", "cpu/pod/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("0::/\n", {"cpu.max": "what is this"}, 16),
    ],
)
def test_a_quota_of_processor_time_counts(groups, own, files, expected):
    groups(own, files)
    assert threads.available_threads() == expected


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("2,4", 2), ("64", 16), ("", 16)])
def test_the_users_limit_counts(groups, monkeypatch, given, expected):
    groups("0::/\n", {})
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads.available_threads() == expected


def test_small_data_get_one_thread(groups):
    groups("0::/\n", {})
    assert thread_count(None, cells=100_000) == 1
    assert thread_count(None, cells=3_500_000) == 4
    assert thread_count(None, cells=10**9) == 16
    assert thread_count(-1, cells=10) == thread_count(-1) == 16
    assert thread_count(5, cells=10) == 5


POLICY = """
import os
{first}
from rankloom._shared.threads import load_lightgbm
before = os.environ.get("OMP_WAIT_POLICY")
load_lightgbm()
import lightgbm
assert os.environ.get("OMP_WAIT_POLICY") == before
assert "lightgbm" in __import__("sys").modules
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp is read on Linux")
@pytest.mark.parametrize(
    ("first", "policy"),
    [("", "PASSIVE"), ("os.environ['OMP_WAIT_POLICY'] = 'active'", "ACTIVE")],
)
def test_threads_of_lightgbm_sleep_while_they_wait(first, policy):
    environment = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
    # libgomp prints what it has read when it is loaded.
    environment["OMP_DISPLAY_ENV"] = "true"
    script = POLICY.format(first=first)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert read
    assert all(policy in line for line in read)
