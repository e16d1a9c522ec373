"""The HTTP service: interactions in, learned weights and rankings out.

`rankloom serve` runs it. The service speaks plain HTTP: put a proxy that terminates TLS in front of
it, because bearer tokens must not cross a network in clear text.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from .settings import ServiceSettings

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .app import Application
    from .workers import Around

__all__ = ["ServiceSettings", "create_app", "serve"]


def create_app(settings: ServiceSettings) -> Application:
    """Return the service as an ASGI application, for a server of one's own.

    It is started by then: log and state are open, rankers are loaded. The application closes them
    when its server ends it (ASGI lifespan), or `close` does. Mounted in another application it
    answers the same below the prefix; a mounted application has no lifespan, so call `close`.

    Parameters
    ----------
    settings : ServiceSettings

    Raises
    ------
    InvalidInputError
        If the extra is not installed, or a setting is wrong.
    RankloomError
        If the log, the state, the token file or a ranker cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom.service.http.tokens import add_token
    >>> folder = tempfile.mkdtemp()
    >>> token = add_token(f"{folder}/tokens", "shop", "ingest")
    >>> app = create_app(ServiceSettings(log=f"sqlite:///{folder}/log.db",
    ...     state=f"sqlite:///{folder}/fusion.db", token_file=f"{folder}/tokens"))
    >>> app.close()
    """
    _need_extra()
    from .app import Application
    from .context import ServiceContext

    return Application(ServiceContext(settings))


def serve(
    settings: ServiceSettings,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    unix_socket: str | Path | None = None,
    ready: Callable[[str], object] | None = None,
    around: Around | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in progress are finished then.

    Parameters
    ----------
    settings : ServiceSettings
    host : str
    port : int
        0 picks a free one.
    unix_socket : path, optional
        Listen on this socket of the machine, and not on host and port; one service at a time.
    ready : callable, optional
        Called with the service's URL once it takes connections.
    around : callable, optional
        Of several workers each enters the context that it returns, and calls what that gives once
        it takes connections. A function of a module, for it is pickled.

    Raises
    ------
    RankloomError
        Says in one line what keeps the service from starting.
    """
    _need_extra()
    from .context import ServiceContext
    from .server import Server, listen
    from .socket_path import listen_on_path

    several = settings.workers > 1
    opened: AbstractContextManager[socket.socket] = (
        listen(host, port, shared=several) if unix_socket is None else listen_on_path(unix_socket)
    )
    if several:
        from .workers import Workers

        with opened as listening:
            Workers(settings, listening, ready, around).run_until_stopped()
        return
    with opened as listening, contextlib.closing(ServiceContext(settings)) as service:
        # The application closes the service, too, unless the server fails before its lifespan.
        Server(service, listening, ready).run_until_stopped()


def _need_extra() -> None:
    try:
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import zttp  # noqa: F401
    except ImportError as error:
        msg = f"{error.name} is not installed: pip install 'rankloom[serve]'"
        raise InvalidInputError(msg) from error
