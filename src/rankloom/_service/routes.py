"""All routes, and the ASGI application that is made from them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from starlette.routing import Route, Router

from . import fusion, health, interactions, rerank
from .endpoint import Endpoint, Refusal
from .entrance import Entrance
from .guard import Guard
from .openapi import openapi_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.types import Receive, Scope, Send

    from .state import Service

_ROUTES: Final = (
    *interactions.ENDPOINTS,
    *fusion.ENDPOINTS,
    *rerank.ENDPOINTS,
    *health.ENDPOINTS,
)
ENDPOINTS: Final[tuple[Endpoint, ...]] = (*_ROUTES, openapi_endpoint(_ROUTES))


def application(service: Service, endpoints: Sequence[Endpoint] = ENDPOINTS) -> Guard:
    """Return the ASGI application; it closes the service at its end."""

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        del app
        try:
            yield
        finally:
            await service.in_thread(lambda: None)  # what is in the pool comes first
            service.close()

    router = Router(
        _routes(service, endpoints), redirect_slashes=False, default=_unknown, lifespan=lifespan
    )
    return Guard(router, service)


def _routes(service: Service, endpoints: Sequence[Endpoint]) -> list[Route]:
    """Return one route a path; fixed paths first, for a parameter would match them, too."""
    by_path: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        by_path.setdefault(each.path, []).append(each)
    paths = sorted(by_path, key=lambda path: path.count("{"))
    return [Route(path, Entrance(by_path[path], service)) for path in paths]


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    del receive
    raise Refusal(404, "NotFound", "no such route; GET /openapi.json lists them")
