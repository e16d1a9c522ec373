"""Workers that are killed cost time only; where all of them die, nothing is left."""

from __future__ import annotations

import os

import pytest

from rankloom.datasets import distributed, load_pairs
from rankloom.errors import ClusterError
from tests.dask_cluster import wait_for_workers


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "pattern"),
    [("reading", "reading-*"), ("attributing", "texts-*"), ("folding", "texts-*")],
)
def test_a_worker_killed_while(client, files, tmp_path, assert_same, stage, pattern):
    attribution = "7d" if stage == "attributing" else None
    flag = tmp_path / "flag"
    flag.touch()
    workdir = tmp_path / stage
    key = deadly_key(workdir, pattern, flag)
    expected = load_pairs(files, query_key=str, attribution=attribution)
    options = {"query_key": key, "attribution": attribution}
    found = distributed.load_pairs(files, client=client, workdir=workdir, partitions=4, **options)
    assert not flag.exists()
    assert_same(found, expected)
    assert list(workdir.iterdir()) == []


def test_workers_that_die_again_and_again_are_an_error(client, files, tmp_path, monkeypatch):
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 1)
    key = deadly_key(tmp_path, "texts-*", None)
    with pytest.raises(ClusterError, match="fold: workers died again and again"):
        distributed.load_pairs(files[:1], client=client, workdir=tmp_path, query_key=key)
    assert list(tmp_path.iterdir()) == []
    wait_for_workers(client)
