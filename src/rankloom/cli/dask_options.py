"""The options of commands that run on a Dask cluster, and the cluster that they name."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import InvalidInputError
from .options import option
from .sources import is_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

LOCAL = "local"
Dask = Annotated[
    str | None,
    option(
        "--dask",
        "local|ADDRESS",
        "Read the log on a Dask cluster: that of the scheduler at this address, or 'local' for "
        "worker processes on this machine. Needs rankloom[dask].",
    ),
]
Workdir = Annotated[
    Path | None,
    option(
        "--workdir",
        "DIR",
        "With --dask, a folder that this command and all workers share, with --memory-limit one "
        "of this machine; takes some 150 bytes a row while the log is read.",
        show_default="that of temporary files",
    ),
]


@contextmanager
def dask_client(address: str | None, files: list[str], workdir: Path | None) -> Iterator[Any]:
    """Yield the client of a cluster, None without an address; a local cluster ends afterwards.

    Raises `InvalidInputError` if the interactions are a log behind a URL, or `workdir` is given
    without a cluster.
    """
    if address is None:
        if workdir is not None:
            msg = "--workdir: is for --dask or --memory-limit; give one of them too"
            raise InvalidInputError(msg)
        yield None
        return
    logs = [file for file in files if is_log(file)]
    if logs:
        msg = f"FILE: with --dask expected files that workers can read, got the log {logs[0]}"
        raise InvalidInputError(msg)
    from ..datasets.distributed.cluster import connected

    if address == LOCAL:
        with _local() as client:
            yield client
    else:
        with connected(address, "--dask") as client:
            yield client


@contextmanager
def _local() -> Iterator[Client]:
    """Yield the client of a cluster of one process for each core."""
    from ..datasets.distributed.cluster import import_distributed

    distributed = import_distributed("--dask")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with (
        distributed.LocalCluster(
            n_workers=cores, processes=True, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
