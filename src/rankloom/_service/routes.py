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
    from collections.abc import AsyncIterator, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

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

    by_path: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        by_path.setdefault(each.path, []).append(each)
    paths = sorted(by_path, key=lambda path: path.count("{"))
    entrances = {path: Entrance(by_path[path], service) for path in paths}
    routes = [Route(path, entrances[path]) for path in paths if "{" in path]
    router = Router(routes, redirect_slashes=False, default=_unknown, lifespan=lifespan)
    return Guard(_Paths(entrances, router), service)


class _Paths:
    """Fixed paths first, for a parameter would match them, too, and at a price."""

    def __init__(self, entrances: Mapping[str, ASGIApp], others: ASGIApp) -> None:
        self._fixed = {path: each for path, each in entrances.items() if "{" not in path}
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._fixed.get(scope["path"]) if scope["type"] == "http" else None
        if app is not None:
            scope["path_params"] = {}
        await (app or self._others)(scope, receive, send)


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    del receive
    raise Refusal(404, "NotFound", "no such route; GET /openapi.json lists them")
