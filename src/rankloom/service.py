"""The HTTP service: interactions in, learned weights and rankings out.

`rankloom serve` runs it. The service speaks plain HTTP: put a proxy that terminates TLS in front of
it, because bearer tokens must not cross a network in clear text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._service.settings import ServiceSettings
from .errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._service.guard import Guard

__all__ = ["ServiceSettings", "create_app", "serve"]


def create_app(settings: ServiceSettings) -> Guard:
    """Return the service as an ASGI application, for a server of one's own.

    It is started by then: log and state are open, rankers are loaded. The application closes them
    when its server ends it (ASGI lifespan), or `close` does. Bounds on headers, connections
    and their time are the server's: `serve` has them, another server needs its own.

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
    >>> from rankloom._service.tokens import add_token
    >>> folder = tempfile.mkdtemp()
    >>> token = add_token(f"{folder}/tokens", "shop", "ingest")
    >>> app = create_app(ServiceSettings(log=f"sqlite:///{folder}/log.db",
    ...     state=f"sqlite:///{folder}/fusion.db", token_file=f"{folder}/tokens"))
    >>> app.close()
    """
    _need_extra()
    from ._service.routes import application
    from ._service.state import Service

    return application(Service(settings))


def serve(
    settings: ServiceSettings,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; what is in work is finished then.

    Parameters
    ----------
    settings : ServiceSettings
    host : str
    port : int
        0 picks a free one.
    ready : callable, optional
        Called with the service's URL once it takes connections.

    Raises
    ------
    RankloomError
        Says in one line what keeps the service from starting.
    """
    _need_extra()
    from ._service.server import Server, listen
    from ._service.state import Service

    with listen(host, port) as listening:
        Server(Service(settings), listening, ready).run_until_stopped()


def _need_extra() -> None:
    try:
        import httptools  # noqa: F401
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        msg = f"{error.name} is not installed: pip install 'rankloom[serve]'"
        raise InvalidInputError(msg) from error
