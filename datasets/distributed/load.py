"""Interactions to training pairs on the workers of a cluster: `load_pairs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..loading.settings import LoadSettings
from .log_parts import log_parts

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Client

    from ..pairs.training_pairs import TrainingPairs


def load_pairs(
    source: Any,
    *,
    client: Client | str,
    workdir: str | Path | None = None,
    partitions: int | None = None,
    features: Any = None,
    impressions: Any = None,
    judgments: Any = None,
    **parameters: Any,
) -> TrainingPairs:
    """Return the same pairs as `rankloom.load_pairs`, built by the workers of a cluster.

    Workers read the files and write their rows to partitions by a hash of the execution; then each
    partition is folded by a worker. A task that is lost with its worker is run again. The client
    merges the parts; the arrays of the pairs are mapped from files. It holds the distinct
    documents, queries and users in memory, some 60 bytes an execution, and tables beside the log.

    Parameters
    ----------
    source : path, URL, glob or folder, or a list of these
        Interactions in files that the client and every worker reach under the same name. Each is
        read by one task; where there are fewer than workers, local Parquet by several, of a million
        rows or more each.
    client : distributed.Client or str
        A client of a Dask cluster, or the address of its scheduler.
    workdir : path, optional
        A folder that the client and all workers share, with some 150 bytes a row free; that of
        temporary files if None, for workers on the same machine.
    partitions : int, optional
        How many; None: so many, up to 512, that one has at most 2,000,000 rows, where the files
        say how many there are.
    features, impressions, judgments
        As of `rankloom.load_pairs`; impressions are files as `source`.
    **parameters
        The other parameters of `rankloom.load_pairs`, except `memory_limit`. With `attribution`,
        workers read the partitions once more; rows that name neither an execution nor a position
        take some 250 bytes each in the memory of the client and of every worker.

    Returns
    -------
    TrainingPairs

    Raises
    ------
    ClusterError
        If no worker can be reached, or workers died again and again while they ran one task.
    InvalidInputError
        If a parameter is wrong, a worker does not see `workdir`, or no row makes a pair; if the
        rows to attribute do not fit half of a worker's memory.
    StoreError
        If the disk of `workdir` becomes full.
    UnreadableSourceError
        If a file is missing, truncated or of another format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from distributed import Client
    >>> from rankloom.datasets import simulate_interactions
    >>> from rankloom.datasets.distributed import load_pairs
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = Path(folder.name, "log.parquet")
    >>> simulate_interactions(n_executions=100, random_state=0).write_parquet(log)
    >>> with Client(processes=False, n_workers=1, dashboard_address=":0") as client:
    ...     load_pairs(log, client=client, workdir=folder.name)
    TrainingPairs(1,000 pairs, 100 executions, 3 features, 114 clicked)
    >>> folder.cleanup()
    """
    settings = LoadSettings.of(**parameters, has_impressions=impressions is not None)
    with log_parts(
        source,
        settings,
        client=client,
        workdir=workdir,
        partitions=partitions,
        features=features,
        impressions=impressions,
        judgments=judgments,
    ) as parts:
        return parts.pairs()
