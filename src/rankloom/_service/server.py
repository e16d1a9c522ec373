"""One process, one event loop: uvicorn over the bounded protocol, with an end in good order."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from ..errors import InvalidInputError
from .protocol import bounded_protocol
from .routes import application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .state import Service

BACKLOG = 512


class Server(uvicorn.Server):
    """A server that reports when it is ready.

    Parameters
    ----------
    service : Service
        Closed at the end.
    listening : socket
    ready : callable, optional
        Called with the address once connections are taken.
    """

    def __init__(
        self,
        service: Service,
        listening: socket.socket,
        ready: Callable[[str], object] | None = None,
    ) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                application(service),
                http=bounded_protocol(settings),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=max(int(settings.stop_seconds), 1),
            )
        )
        self._listening = listening
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report the address."""
        await super().startup(sockets)
        if self._ready is not None:
            self._ready(address_of(self._listening))

    def run_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or `should_exit`."""
        with _no_death_by_signal():
            self.run(sockets=[self._listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 picks a free one.

    Raises
    ------
    InvalidInputError
        If there is no such address, or another process listens there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # of a name that no host can have
        msg = f"--host, --port: cannot listen on {host!r}, port {port}: {error}"
        raise InvalidInputError(msg) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        msg = f"--host, --port: cannot listen on {host!r}, port {port}: {error.strerror}"
        raise InvalidInputError(msg) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """Return a socket's address as a URL."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _no_death_by_signal() -> Iterator[None]:
    """Let uvicorn raise the signal again that stopped it, and nothing happen then: exit code 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    signals = (signal.SIGTERM, signal.SIGINT)
    before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in signals}
    for each in signals:
        signal.signal(each, lambda *_: None)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
