"""One local cluster of two worker processes for all tests that need one.

Its workers are forked from a process that has imported what they need, so that one which a test
killed is back at once. The tests of `FILES` run in one process of pytest-xdist.
"""

from __future__ import annotations

import multiprocessing
from pathlib import PurePath

import pytest

FILES = {"distributed", "test_fit_parts.py", "test_train_dask.py", "test_scale.py"}
"""Folders and files of tests that use the cluster."""
WORKERS = 2
_IMPORTED = ["distributed", "lightgbm.dask", "numba", "pandas", "pyarrow.parquet", "s3fs"]
"""Not polars: it starts a thread, which a forked process does not have."""


@pytest.fixture(scope="session")
def dask_client():
    """A client of the cluster; see `wait_for_workers`."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.utils import get_mp_context

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context()  # makes a list of its own
        multiprocessing.set_forkserver_preload(_IMPORTED)
        with (
            LocalCluster(
                n_workers=WORKERS, processes=True, threads_per_worker=1, dashboard_address=":0"
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


def wait_for_workers(client):
    """Wait until the cluster has all of its workers again, after some were killed."""
    client.wait_for_workers(WORKERS, timeout=60)


def in_one_process(node):
    """Whether a test, by the name that pytest gives it, is one of `FILES`."""
    path = PurePath(node.split("::", 1)[0])
    return path.parts[0] == "tests" and not FILES.isdisjoint(path.parts)
