"""How many threads there may be, and how those of LightGBM wait for each other."""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_import_lock = threading.Lock()


def available_threads() -> int:
    """Return how many processors this process may use, at most ``OMP_NUM_THREADS``.

    Counts those it is bound to and, in a container, the quota of processor time, rounded up.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else (os.cpu_count() or 1)]
    quota = _quota(_CGROUPS, _OWN_CGROUPS)
    if quota is not None:
        limits.append(quota)
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if given.isdigit() and int(given):
        limits.append(int(given))
    return min(limits)


def _quota(root: Path, own: Path) -> int | None:
    """Return the smallest quota of this process's control groups, rounded up; None without one."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # the groups of version 2, all in one tree
            quotas += [_quota_2(folder / "cpu.max") for folder in _upwards(root, path)]
        elif "cpu" in controllers.split(","):
            for name in ("cpu", controllers):
                quotas += [_quota_1(folder) for folder in _upwards(root / name, path)]
    return min((each for each in quotas if each is not None), default=None)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group and those above it: the limit of each holds.

    Within a container the path may be that of the host: then only the root is there.
    """
    folder = root / path.lstrip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _quota_2(file: Path) -> int | None:
    try:
        quota, period = file.read_text().split()
        return None if quota == "max" else _processors(int(quota), int(period))
    except (OSError, ValueError):
        return None


def _quota_1(folder: Path) -> int | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return (
            None
            if quota < 0
            else _processors(quota, int((folder / "cpu.cfs_period_us").read_text()))
        )
    except (OSError, ValueError):
        return None


def _processors(quota: int, period: int) -> int | None:
    return max(-(-quota // period), 1) if period > 0 else None


@cache
def load_lightgbm() -> None:
    """Import LightGBM such that its threads sleep while they wait for each other.

    By default OpenMP's threads spin for milliseconds: where others use the processors, too, each of
    many thousand steps waits for a thread that does not run. OpenMP reads ``OMP_WAIT_POLICY`` when
    it is loaded, so it is set for the import only, unless it was set before. Other
    code that imports LightGBM first has to set it.
    """
    with _import_lock:
        unset = "OMP_WAIT_POLICY" not in os.environ
        if unset:
            os.environ["OMP_WAIT_POLICY"] = "passive"
        try:
            import lightgbm  # noqa: F401
        finally:
            if unset:
                del os.environ["OMP_WAIT_POLICY"]
