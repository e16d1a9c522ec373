"""One process, one event loop: uvicorn by its public settings, with an end in good order."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from ..errors import InvalidInputError
from .app import Application
from .connections import whole_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .context import ServiceContext

BACKLOG: Final = 512

KEEP_ALIVE_SECONDS: Final = 75
"""Time after which an idle connection is closed: longer than proxies keep theirs, which would send
a request into the end of it."""

logger = logging.getLogger("rankloom.service")

HTTP: Final = "zttp"
"""uvicorn's parser: it takes as little time as httptools, ignores offers to upgrade as RFC 9110,
section 7.8 allows (with httptools the body of such a request is lost), bounds heads and requests
sent ahead, and leaves headers behind a body out."""


class Server:
    """A server that reports when it is ready.

    Parameters
    ----------
    service : ServiceContext
        Closed at the end.
    listening : socket
    ready : callable, optional
        Called with the address once connections are taken.
    """

    def __init__(
        self,
        service: ServiceContext,
        listening: socket.socket,
        ready: Callable[[str], object] | None = None,
    ) -> None:
        settings = service.settings
        self._listening, self._ready, self._rankers = listening, ready, service.rankers
        config = uvicorn.Config(
            Application(service, started=self._report),
            http=HTTP,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=settings.max_connections + 1,  # uvicorn counts the one that asks
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(int(settings.stop_seconds), 1),
        )
        config.load()
        config.http_protocol_class = whole_answers(config.http_protocol_class)
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """Let `run_until_stopped` end; may be called from any thread."""
        self._server.should_exit = True

    def run_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; SIGHUP loads the rankers again."""
        with _no_death_by_signal(self._rankers.reload):
            self._server.run(sockets=[self._listening])

    def _report(self) -> None:
        if self._ready is not None:
            self._listening.listen(BACKLOG)  # who connects from now on is answered
            self._ready(address_of(self._listening))


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a bound socket; port 0 picks a free one.

    `shared`: other processes of the same user may listen at the address, too; the system gives each
    of them its share of the connections.

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
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        msg = f"--host, --port: cannot listen on {host!r}, port {port}: {error.strerror}"
        raise InvalidInputError(msg) from error
    _warn_of_clear_text(listening)
    return listening


def _warn_of_clear_text(listening: socket.socket) -> None:
    """Warn where other machines can connect: what they send, tokens too, is not encrypted."""
    address = listening.getsockname()[0]
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        logger.warning(
            "%s is open to other machines in clear text: let only a proxy that terminates TLS "
            "reach it, or bearer tokens cross the network for all to read",
            address_of(listening),
        )


def address_of(listening: socket.socket) -> str:
    """Return a socket's address as a URL."""
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _no_death_by_signal(reload: Callable[[], object]) -> Iterator[None]:
    """Let uvicorn raise the signal again that stopped it, and nothing happen then: exit code 0.

    SIGHUP calls a function.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    handlers: dict[str, Callable[..., object]] = {
        "SIGTERM": lambda *_: None,
        "SIGINT": lambda *_: None,
        "SIGHUP": lambda *_: reload(),
    }
    # Windows has no SIGHUP.
    by_signal = {s: handlers[s.name] for s in signal.Signals if s.name in handlers}
    before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in by_signal}
    for each, handler in by_signal.items():
        signal.signal(each, handler)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
