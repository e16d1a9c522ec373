"""Workers that are killed cost time only; where all of them die, nothing is left."""

from __future__ import annotations

import os

import dask
import pytest
from distributed import Client, LocalCluster

from rankloom.datasets import distributed, load_pairs
from rankloom.errors import ClusterError


def deadly_key(workdir, pattern, flag):
    """Return a function for queries that kills workers which receive it.

    They die once there is a file of this pattern in a load's folder: all if `flag` is None, else
    the one that removes the file `flag`.
    """
    client = os.getpid()

    def receive():
        import os
        import signal
        from contextlib import suppress

        if os.getpid() != client and list(workdir.glob(f"rankloom-load-*/{pattern}")):
            with suppress(FileNotFoundError):
                if flag is not None:
                    flag.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return Deadly()

    class Deadly:
        def __call__(self, snapshot):
            return str(snapshot)

        def __reduce__(self):
            return receive, ()

    return Deadly()


@pytest.mark.parametrize(("stage", "pattern"), [("reading", "reading-*"), ("folding", "texts-*")])
def test_a_worker_killed_while(client, files, tmp_path, assert_same, stage, pattern):
    flag = tmp_path / "flag"
    flag.touch()
    workdir = tmp_path / stage
    key = deadly_key(workdir, pattern, flag)
    expected = load_pairs(files, query_key=str)
    found = distributed.load_pairs(
        files, client=client, workdir=workdir, partitions=4, query_key=key
    )
    assert not flag.exists()
    assert_same(found, expected)
    assert list(workdir.iterdir()) == []


def test_workers_that_die_again_and_again_are_an_error(files, tmp_path):
    key = deadly_key(tmp_path, "texts-*", None)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as alone,
        pytest.raises(ClusterError, match="fold: workers died again and again"),
    ):
        distributed.load_pairs(files[:1], client=alone, workdir=tmp_path, query_key=key)
    assert list(tmp_path.iterdir()) == []
