"""Training pairs and counts from the workers of a `dask.distributed` cluster.

Each file is read by a worker, which sends its rows to partitions in a folder that all share; each
partition is folded by a worker; what concerns the whole log is merged by the client. Tasks write
into folders of their own and return their names, so a task that ran twice leaves one result.
"""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
