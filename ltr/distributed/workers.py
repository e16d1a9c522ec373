"""The workers of one training: which of them are gone, and which wait for ever."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from distributed import Client, Future

_NETWORK_FAULT = re.compile(r"socket|binding port|connecting to rank", re.IGNORECASE)

T = TypeVar("T")

_POLL = 0.5  # seconds between looks at the workers
_PATIENCE = 60  # seconds for workers to come back


class StuckWorkersError(ClusterError):
    """Workers that no training can be begun on again."""


@contextmanager
def own_client(client: Client) -> Iterator[Client]:
    """Yield another client of the same scheduler, which takes all its tasks with it in the end.

    LightGBM keeps its futures to itself, so they can only be cancelled together with a client.
    """
    from distributed import Client

    own = Client(  # type: ignore[no-untyped-call]
        client.scheduler.address,  # type: ignore[union-attr] # it is connected
        security=client.security,
        name="rankloom",
        set_as_default=False,
    )
    try:
        yield own
    finally:
        own.close()  # type: ignore[no-untyped-call]


def addresses(client: Client) -> list[str]:
    """Return the addresses of the workers that the scheduler knows, in a fixed order.

    Raises StuckWorkersError if the scheduler does not answer.
    """
    try:
        return sorted(client.nthreads())  # type: ignore[no-untyped-call]
    except OSError as error:
        msg = f"client: the scheduler of Dask does not answer: {error}"
        raise StuckWorkersError(msg) from error


def in_background(function: Callable[[], T]) -> futures.Future[T]:
    """Run a function in a thread that does not keep the process alive, should it never return."""
    result: futures.Future[T] = futures.Future()

    def run() -> None:
        try:
            result.set_result(function())
        except BaseException as error:  # noqa: BLE001 # it is raised where the result is read
            result.set_exception(error)

    threading.Thread(target=run, daemon=True, name="rankloom-dask-training").start()
    return result


@dataclass
class Watch:
    """Waits for what LightGBM and Dask compute, as long as the workers of a training are there.

    `held`: futures of data that only these workers have.
    """

    client: Client
    workers: Sequence[str]
    held: list[Future[Any]] = field(default_factory=list)

    def result(self, function: Callable[[], T]) -> T:
        """Return what a function returns.

        Raises ClusterError if a worker or a connection is lost meanwhile, or has been.
        """
        running = in_background(function)
        while not futures.wait([running], timeout=_POLL).done:
            self._check()
        error = running.exception()
        if error is None:
            return running.result()
        time.sleep(_POLL)  # until the scheduler knows, too
        self._check()
        if _is_network_fault(error):
            msg = f"Dask workers lost their connections while trees were grown ({error})"
            raise ClusterError(msg) from error
        raise error

    def _check(self) -> None:
        present = addresses(self.client)
        lost = [worker for worker in self.workers if worker not in present]
        if lost or any(future.status in ("lost", "cancelled") for future in self.held):
            msg = (
                f"Dask workers were lost while trees were grown ({', '.join(lost) or 'restarted'}; "
                "killed, or out of memory?), and LightGBM cannot go on without them"
            )
            raise ClusterError(msg)


def _is_network_fault(error: BaseException) -> bool:
    kinds = (futures.CancelledError, asyncio.CancelledError, OSError)
    return isinstance(error, kinds) or _NETWORK_FAULT.search(str(error)) is not None


def restart(client: Client, workers: Collection[str], before: int) -> None:
    """Restart the workers of a training that failed, as far as they are still there.

    `before`: workers of the whole cluster before it failed; all of them are waited for.

    Where a connection was closed, LightGBM reads from it for ever, in code that nothing
    interrupts; where it was reset, the thread keeps the dead connection, and the next training in
    it fails. Dask computes anew what the workers held.

    Raises StuckWorkersError if workers have no nanny that could restart them.
    """
    present = [each for each in addresses(client) if each in workers]
    try:
        with suppress(KeyError):  # one of them was lost while the others were restarted
            client.restart_workers(present, timeout=_PATIENCE, raise_for_error=False)
        with suppress(TimeoutError):  # then those that came back have to do
            client.wait_for_workers(before, timeout=_PATIENCE)
    except ValueError as error:
        msg = (
            f"training on Dask failed, and no nanny can restart the workers ({', '.join(present)})"
            ": LightGBM may wait on them for ever; restart them by hand"
        )
        raise StuckWorkersError(msg) from error
    if not addresses(client):
        msg = f"training on Dask failed, and no worker came back within {_PATIENCE} seconds"
        raise StuckWorkersError(msg)
