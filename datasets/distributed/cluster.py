"""Tasks on the workers of a cluster: how it is reached, and what becomes of its errors."""

from __future__ import annotations

import uuid
from collections import deque
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import ClusterError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Client, Future

T = TypeVar("T")

TIMEOUT: Final = 15
"""Seconds to wait for a scheduler, and for its first worker."""


@contextmanager
def connected(client: Any, parameter: str = "client") -> Iterator[Client]:
    """Yield the client of a cluster, which has workers; one for an address is closed at the end.

    Parameters
    ----------
    client : distributed.Client or str
        A client, or the address of a scheduler, such as ``"tcp://10.0.0.1:8786"``.
    parameter : str
        Named in errors.

    Raises
    ------
    ClusterError
        If no scheduler answers at the address, or it has no worker.
    InvalidInputError
        If `client` is neither, or the package is not installed.
    """
    distributed = import_distributed(parameter)
    if isinstance(client, distributed.Client):
        _require_workers(client, parameter)
        yield client
        return
    if not isinstance(client, str):
        msg = (
            f"{parameter}: expected a distributed.Client or the address of a scheduler, got "
            f"{type(client).__name__}"
        )
        raise InvalidInputError(msg)
    try:
        opened = distributed.Client(client, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        msg = f"{parameter}: no scheduler of Dask answers at {client!r}: {_first_line(error)}"
        raise ClusterError(msg) from error
    with opened:
        _require_workers(opened, parameter)
        yield opened


def import_distributed(parameter: str = "client") -> Any:
    """Return the package `distributed`; raises `InvalidInputError` if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        msg = f"{parameter}: {error.name} is not installed; `pip install 'rankloom[dask]'` adds it"
        raise InvalidInputError(msg) from error
    return distributed


def _require_workers(client: Client, parameter: str) -> None:
    if client.scheduler_info(n_workers=0)["n_workers"]:
        return
    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
    except TimeoutError as error:
        msg = f"{parameter}: no worker joined the scheduler within {TIMEOUT} seconds; start some"
        raise ClusterError(msg) from error


def worker_count(client: Client) -> int:
    """Return how many tasks the workers run at once, at least 1."""
    threads: dict[str, int] = client.nthreads()  # type: ignore[no-untyped-call]
    return max(sum(threads.values()), 1)


def worker_memory(client: Client) -> int:
    """Return the bytes of memory of the worker that may take least; a terabyte without limits."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = [worker["memory_limit"] for worker in workers]
    return min([each for each in limits if each], default=10**12)


def share(client: Client, value: T) -> Future[T]:
    """Return a value as the result of a task: tasks that take it get it from each other's workers.

    It is computed again where it is lost with its worker.
    """
    return client.submit(_itself, value, pure=False)


def _itself(value: T) -> T:
    return value


def run_tasks(
    client: Client, what: str, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
) -> Iterator[Any]:
    """Run a function for every tuple of arguments; yield its results in the order of the calls.

    `what`: what the tasks do, for errors. Where one fails, those that did not start are cancelled.

    Raises
    ------
    ClusterError
        If workers died again and again while they ran one task, or the cluster was lost.
    """
    name = f"rankloom-{what}-{uuid.uuid4().hex}"
    futures = deque(
        client.submit(function, *arguments, key=f"{name}-{number}", pure=False)
        for number, arguments in enumerate(calls)
    )
    try:
        while futures:
            result = _result(futures[0], what)
            futures.popleft()
            yield result
    finally:
        if futures:
            with suppress(Exception):  # the cluster may be what failed
                client.cancel(list(futures))  # type: ignore[no-untyped-call]


def _result(future: Future[Any], what: str) -> Any:
    from concurrent.futures import CancelledError

    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        msg = (
            f"{what}: workers died again and again while they ran one task, the last one at "
            f"{error.last_worker.address}. Give them more memory, or make more partitions"
        )
        raise ClusterError(msg) from error
    except (CancelledError, CommClosedError) as error:
        msg = f"{what}: the cluster was lost: {_first_line(error)}"
        raise ClusterError(msg) from error


def check_shared(client: Client, folder: Path) -> None:
    """Raise unless every worker sees the files of a folder, and the client sees theirs."""
    mark = uuid.uuid4().hex
    (folder / mark).write_text(mark)
    found: Any = client.run(_leave_mark, str(folder), mark, on_error="return")
    for address, name in found.items():
        if isinstance(name, ModuleNotFoundError):
            msg = f"client: the worker {address} has no module {name.name!r}; install it there"
            raise ClusterError(msg) from name
        if not isinstance(name, str) or not (folder / name).is_file():
            reason = f" ({_first_line(name)})" if isinstance(name, Exception) else ""
            msg = (
                f"workdir: the worker {address} does not see {str(folder.parent)!r}{reason}. Give "
                "a folder that the client and all workers share under one name"
            )
            raise InvalidInputError(msg)
        (folder / name).unlink()
    (folder / mark).unlink()


def _leave_mark(folder: str, mark: str) -> str:
    """Check the client's mark, and leave one of this worker."""
    if (Path(folder) / mark).read_text() != mark:
        raise FileNotFoundError(mark)
    name = uuid.uuid4().hex
    (Path(folder) / name).write_text(name)
    return name


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
