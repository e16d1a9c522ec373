"""Several processes that serve together: started, watched and ended by one that serves nothing."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import threading
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import RankloomError, StoreError
from .context import ServiceContext
from .server import Server, address_of, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .settings import ServiceSettings

Around: TypeAlias = "Callable[[], AbstractContextManager[Callable[[], object]]]"
"""Entered in every worker; gives what is called once that takes connections. Can be pickled."""

RESTART_SECONDS: Final = 1.0
"""Seconds from the start of a worker to that of the one in its place, at least."""

READY: Final = "ready"

logger = logging.getLogger("rankloom.service")


class Workers:
    """Processes that each run a whole service over one PostgreSQL; one that dies is replaced.

    Of a port every worker has a socket of its own, and the system spreads connections over them. A
    socket in the file system is common to all.

    Parameters
    ----------
    settings : ServiceSettings
    listening : socket
        Bound; as `listen` with ``shared`` returns it, or on a path.
    ready : callable, optional
        Called with the address once every worker takes connections.
    around : callable, optional
    """

    def __init__(
        self,
        settings: ServiceSettings,
        listening: socket.socket,
        ready: Callable[[str], object] | None = None,
        around: Around | None = None,
    ) -> None:
        self._settings, self._listening = settings, listening
        self._ready, self._around = ready, around or _nothing_around
        # Not forked: threads and connections of this process are no worker's.
        self._context = multiprocessing.get_context("spawn")
        self._running: list[_Worker] = []
        self._stopping = False
        self._woken, self._waking = socket.socketpair()

    def run_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP goes to every worker.

        Raises
        ------
        StoreError
            If a worker cannot start.
        """
        with self._handled_signals():
            try:
                self._running = [self._started() for _ in range(self._settings.workers)]
                self._wait_for_all()
                if self._ready is not None and not self._stopping:
                    self._ready(address_of(self._listening))
                while not self._stopping:
                    self._replace_the_dead()
            finally:
                self._end()
                self._woken.close()
                self._waking.close()

    def stop(self) -> None:
        """Let `run_until_stopped` end; may be called from any thread."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._waking.send(b"x")

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work,
            args=(self._settings, self._socket(), theirs, self._around),
            name="rankloom-worker",
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _socket(self) -> socket.socket | tuple[str, int]:
        if self._listening.family == socket.AF_UNIX:
            return self._listening
        host, port, *_ = self._listening.getsockname()
        return host, port

    def _wait_for_all(self) -> None:
        for worker in self._running:
            while not self._stopping and not worker.pipe.poll(0.1):
                pass
            if self._stopping:
                return
            said = worker.said()
            if said != READY:
                raise StoreError(said or "a worker ended before it took connections")

    def _replace_the_dead(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._running]
        wait([*sentinels, self._woken])
        for index, worker in enumerate(self._running):
            if self._stopping or worker.process.is_alive():
                continue
            logger.error(
                "worker %s ended with %s; another takes its place. %s",
                worker.process.pid,
                worker.process.exitcode,
                worker.last_words(),
            )
            with contextlib.suppress(TimeoutError):
                wait([self._woken], max(worker.begun + RESTART_SECONDS - monotonic(), 0.0))
            if not self._stopping:
                self._running[index] = self._started()

    def _end(self) -> None:
        for worker in self._running:
            worker.process.terminate()
        deadline = monotonic() + self._settings.stop_seconds + 10.0
        for worker in self._running:
            worker.process.join(max(deadline - monotonic(), 0.0))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def hang_up(*_: object) -> None:
            for worker in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid or 0, signal.SIGHUP)

        handlers: dict[signal.Signals, Callable[..., object]] = {
            signal.SIGTERM: lambda *_: self.stop(),
            signal.SIGINT: lambda *_: self.stop(),
            signal.SIGHUP: hang_up,
        }
        before: dict[signal.Signals, Any] = {
            each: signal.signal(each, handler) for each, handler in handlers.items()
        }
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class _Worker:
    """A process, and the pipe by which it says how it fares; closed when its parent has gone."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self.process, self.pipe, self.begun = process, pipe, monotonic()

    def said(self) -> str | None:
        """Return what it said, None where it has ended."""
        try:
            return str(self.pipe.recv())
        except (EOFError, OSError):
            return None

    def last_words(self) -> str:
        """Return why it ended, as far as it said so."""
        words = ""
        while self.pipe.poll():
            said = self.said()
            if said is None:
                break
            words = "" if said == READY else said
        return words


def _work(
    settings: ServiceSettings,
    where: socket.socket | tuple[str, int],
    pipe: Connection,
    around: Around,
) -> None:
    """Serve in a process of its own until a signal, or until the one that started it has gone."""
    # A terminal sends SIGINT to all of them: the parent ends its workers by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with around() as started:
            listening = listen(*where, shared=True) if isinstance(where, tuple) else where
            with listening, contextlib.closing(ServiceContext(settings)) as service:

                def ready(_: str) -> None:
                    started()
                    pipe.send(READY)

                server = Server(service, listening, ready)
                threading.Thread(target=_stop_with_parent, args=(pipe, server), daemon=True).start()
                server.run_until_stopped()
    except RankloomError as error:
        with contextlib.suppress(OSError):
            pipe.send(str(error))


def _stop_with_parent(pipe: Connection, server: Server) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    server.stop()


@contextlib.contextmanager
def _nothing_around() -> Iterator[Callable[[], object]]:
    yield lambda: None
