"""The ASGI application: Starlette's router over the table of routes, and what every request passes.

`Application` gives each request an id, a deadline, one answer and one line in the log; `PathApp`
checks its caller and its limits, parses it, and calls the handler.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import traceback
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router

from ..errors import IntegrityError, InvalidInputError, StateMismatchError, StoreError
from .api.endpoint import Call, Endpoint
from .api.routes import ALL
from .http import access_log
from .http.answers import envelope, response_of
from .http.body import (
    BodyKind,
    Disconnected,
    check_depth,
    drain,
    kind_of,
    late_body,
    read_body,
    size_of,
    unpacked,
)
from .http.cookies import PAGES, token_of
from .http.errors import invalid, malformed, state_mismatch, store_failed
from .http.headers import announces_body, headers_of
from .http.parameters import Parameters
from .http.paths import public_root, routed_path
from .http.refusal import Refusal
from .http.roles import Caller, Role
from .http.tracing import Tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .context import ServiceContext

CLIENT_GONE: Final = 499
"""Logged where the sender closed the connection before the request was complete."""

UNMATCHED: Final = "unmatched"
KEY: Final = "rankloom.exchange"
"""Key of a request's `Exchange` in its ASGI scope."""

_CORS_HEADERS: Final = (
    "authorization",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "x-request-id",
)
_EVERYBODY: Final = Caller("", Role.METRICS)
_MAX_TOKEN: Final = 512

logger = logging.getLogger("rankloom.service")


class Exchange:
    """What `Application` and `PathApp` share about one request."""

    __slots__ = (
        "answer",
        "body_pending",
        "headers",
        "is_https",
        "method",
        "request_id",
        "root",
        "route",
    )

    def __init__(self, request_id: str, root: str) -> None:
        self.request_id, self.root = request_id, root
        self.headers: Mapping[str, str] = {}
        self.route, self.method = UNMATCHED, "OTHER"
        self.answer: Any = None
        self.body_pending = self.is_https = False


class Application:
    """The service as an ASGI application.

    Parameters
    ----------
    service : ServiceContext
        Closed at the end of the application's lifespan.
    endpoints : sequence of Endpoint
    started : callable
        Called when the server begins to take requests.
    """

    def __init__(
        self,
        service: ServiceContext,
        endpoints: Sequence[Endpoint] = ALL,
        *,
        started: Callable[[], object] = lambda: None,
    ) -> None:
        self._service, self._started = service, started
        self._tracer = Tracer() if service.settings.otel else None
        self._http: ASGIApp = self._respond
        if service.settings.cors_origins:
            self._http = CORSMiddleware(
                self._respond,
                allow_origins=service.settings.cors_origins,
                allow_methods=["POST"],
                allow_headers=_CORS_HEADERS,
            )
        self._routers = {n: _router(part) for n, part in _routes(service, endpoints).items()}
        self._others = _router([], lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or go through the lifespan."""
        app = self._http if scope["type"] == "http" else self._others
        await app(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        root = scope.get("root_path", "") + self._service.settings.root_path
        exchange = Exchange(access_log.request_id(_given_id(scope)), root)
        answer = await self._answer(exchange, scope, receive, send)
        status, size = CLIENT_GONE, 0
        loop = asyncio.get_running_loop()
        if answer is not None:
            response = response_of(answer, exchange.request_id)
            if exchange.body_pending and not await _ended(exchange, receive):
                response.headers["connection"] = "close"
            await response(scope, receive, send)
            status, size = response.status_code, len(response.body)
        # Not before the answer is on its way, which takes until the next step of the loop.
        loop.call_soon(self._note, exchange, status, size, started)

    def _note(self, exchange: Exchange, status: int, size: int, started: float) -> None:
        """Count and log an answer."""
        seconds, method, route = perf_counter() - started, exchange.method, exchange.route
        self._service.metrics.answered(route, method, status, seconds)
        if self._tracer is not None:
            self._tracer.write(method, route, status, seconds, exchange.headers)
        access_log.write(method, route, status, size, seconds, exchange.request_id)

    def close(self) -> None:
        """Close the service; a server that ends the application does so itself."""
        self._service.close()

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        del app
        try:
            self._started()
            yield
        finally:
            try:
                # What is in the pool comes first; closing waits for what takes longer.
                with contextlib.suppress(TimeoutError):
                    await self._service.in_thread(lambda: None)
            finally:
                self._service.close()

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> Any:
        """Return what to answer; None if the sender has gone."""
        settings = self._service.settings
        try:
            exchange.headers = headers_of(scope["headers"])
            exchange.body_pending = announces_body(exchange.headers)
            exchange.root = public_root(exchange.headers, exchange.root)
            scheme = exchange.headers.get("x-forwarded-proto", scope.get("scheme"))
            exchange.is_https = scheme == "https"
            path = routed_path(scope, settings.root_path)
            inner = {**scope, "path": path, "root_path": "", "path_params": {}, KEY: exchange}
            inner.pop("router", None)
            await self._routers.get(path.count("/"), self._others)(inner, receive, send)
        except Disconnected:
            return None
        except Exception as error:  # noqa: BLE001 - the sender gets an answer in any case
            return envelope(_refusal(error, exchange.request_id))
        return exchange.answer


class PathApp:
    """All methods of one path.

    Parameters
    ----------
    path : str
    service : ServiceContext
    """

    def __init__(self, path: str, service: ServiceContext) -> None:
        self._path, self._service = path, service
        self._by_method: dict[str, _Method] = {}

    def add(self, endpoint: Endpoint, in_query: Iterable[str]) -> None:
        """Add a method, unless there is one of that name."""
        method = _Method(endpoint, in_query, self._service)
        self._by_method.setdefault(endpoint.method, method)
        if endpoint.method == "GET":
            self._by_method.setdefault("HEAD", method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the answer in the request's exchange; `Application` sends it."""
        del send
        exchange: Exchange = scope[KEY]
        exchange.route = self._path
        found = self._by_method.get(scope["method"])
        if found is None:
            allow = ", ".join(sorted(self._by_method.keys() - {"HEAD"}))
            message = f"expected one of the methods {allow}"
            raise Refusal(405, "MethodNotAllowed", message, headers={"allow": allow})
        exchange.method = scope["method"]
        exchange.answer = await found.handle(exchange, scope, receive)


class _Method:
    """One endpoint and all that is computed once for it."""

    def __init__(
        self, endpoint: Endpoint, in_query: Iterable[str], service: ServiceContext
    ) -> None:
        self._endpoint, self._service = endpoint, service
        self._parameters = Parameters(endpoint.parameters, endpoint.path_names(), in_query)
        # Without a type of its own the log checks every row for itself: bad ones fail alone.
        kind = endpoint.body if endpoint.decode else None
        self._decode = None if kind is None else msgspec.json.Decoder(kind).decode

    async def handle(self, exchange: Exchange, scope: Scope, receive: Receive) -> Any:
        endpoint, service = self._endpoint, self._service
        caller = self._caller(exchange, scope["query_string"])
        path, query = self._parameters.read(scope["path_params"], scope["query_string"])
        self._parameters.check_headers(exchange.headers)
        call = Call(
            service,
            caller,
            path,
            query,
            exchange.headers,
            exchange.request_id,
            exchange.root,
            exchange.is_https,
        )
        if endpoint.role in {None, Role.METRICS} and endpoint.body is None:
            # Monitoring is answered when the service is busy, too.
            return await endpoint.handle(call)
        with service.limits.request():
            if endpoint.body is None or not (endpoint.body_required or exchange.body_pending):
                return await endpoint.handle(call)
            kind = kind_of(call.headers, endpoint.accepted)
            size = size_of(call.headers, endpoint.body_limit)
            with service.limits.body(endpoint.body_limit if kind.is_gzip else size):
                return await self._with_body(call, kind, exchange, receive)

    async def _with_body(
        self, call: Call, kind: BodyKind, exchange: Exchange, receive: Receive
    ) -> Any:
        settings, limit = self._service.settings, self._endpoint.body_limit
        try:
            async with asyncio.timeout(settings.body_seconds) as deadline:
                raw = await read_body(receive, limit)
                exchange.body_pending = False
                now = asyncio.get_running_loop().time()
                deadline.reschedule(now + settings.request_seconds)
                if kind.is_gzip:
                    raw = await self._service.in_thread(unpacked, raw, limit)
                call.media, call.raw = kind.media, raw.removeprefix(codecs.BOM_UTF8)
                call.body = self._decoded(call.raw)
                return await self._endpoint.handle(call)
        except TimeoutError:
            if exchange.body_pending:
                raise late_body(settings.body_seconds) from None
            raise

    def _decoded(self, raw: bytes) -> Any:
        if self._decode is None:
            return None
        check_depth(raw)
        try:
            return self._decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise malformed(error) from None

    def _caller(self, exchange: Exchange, query: bytes) -> Caller:
        needed, headers = self._endpoint.role, exchange.headers
        if needed is None:
            return _EVERYBODY
        if self._endpoint.by_cookie:
            token = token_of(headers)
            caller = None if token is None else self._service.tokens.caller(token)
            if caller is None or not caller.role.may(needed):
                there = {"location": f"{exchange.root}{PAGES}/login"}
                raise Refusal(303, "Unauthorized", "log in with a token", headers=there)
            return caller
        scheme, _, token = headers.get("authorization", "").partition(" ")
        caller = None
        if scheme.lower() == "bearer" and 0 < len(token) <= _MAX_TOKEN:
            caller = self._service.tokens.caller(token.strip())
        elif needed is Role.INGEST and b"access_token=" in query:
            caller = self._browser(headers.get("origin", ""), query)
        if caller is None:
            message = "expected the header 'Authorization: Bearer TOKEN' with a known token"
            challenge = {"www-authenticate": "Bearer"}
            raise Refusal(401, "Unauthorized", message, headers=challenge)
        if headers.get("x-namespace", caller.namespace) != caller.namespace:
            raise Refusal(403, "Forbidden", "X-Namespace: expected the token's own namespace")
        if not caller.role.may(needed):
            raise Refusal(403, "Forbidden", f"expected a token of the role {needed.value}")
        return caller

    def _browser(self, origin: str, query: bytes) -> Caller | None:
        """Return who sends a beacon, which has no headers of its own: its token can be read there.

        So it has to be one that can do nothing else, sent by a page of an allowed origin.
        """
        origins = self._service.settings.cors_origins
        if not (origin in origins or "*" in origins):
            raise Refusal(403, "Forbidden", "Origin: expected one that the service is started with")
        token = parse_qs(query.decode("latin-1")).get("access_token", [""])[0][:_MAX_TOKEN]
        caller = self._service.tokens.caller(token)
        return caller if caller is not None and caller.role is Role.INGEST else None


def _router(routes: Sequence[Route], **more: Any) -> Router:
    return Router(routes, redirect_slashes=False, default=_not_found, **more)


def _routes(service: ServiceContext, endpoints: Sequence[Endpoint]) -> dict[int, list[Route]]:
    """Return a route for every path, by its slashes: a router tries one after the other.

    Fixed ones come first, for a parameter would match them, too.
    """
    apps: dict[str, PathApp] = {}
    for others in (False, True):  # a path that is declared goes before one that leaves ids out
        for endpoint in endpoints:
            for path, in_query in endpoint.paths().items():
                if bool(in_query) is others:
                    app = apps.setdefault(path, PathApp(path, service))
                    app.add(endpoint, in_query)
    found: dict[int, list[Route]] = {}
    for path in sorted(apps, key=lambda path: path.count("{")):
        found.setdefault(path.count("/"), []).append(Route(path, apps[path]))
    return found


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    del receive
    raise Refusal(404, "NotFound", "no such route; GET /openapi.json lists them")


def _refusal(error: Exception, request_id: str) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InvalidInputError):
        return invalid(error)
    if isinstance(error, StateMismatchError):
        logger.error("request %s: %s", request_id, error)
        return state_mismatch()
    if isinstance(error, StoreError | IntegrityError):
        logger.error("request %s: %s", request_id, error)
        return store_failed(error)
    if isinstance(error, TimeoutError):
        return Refusal(
            503,
            "Timeout",
            "the answer took too long; whether a change was made is not known. A repeat with "
            "the same interaction_id or Idempotency-Key is safe.",
            headers={"retry-after": "5"},
        )
    # Where it happened, without the error's message: that may quote what was sent.
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("request %s: %s\n%s", request_id, type(error).__name__, where)
    message = f"unexpected error; see the service's log under {request_id}"
    return Refusal(500, "InternalError", message)


async def _ended(exchange: Exchange, receive: Receive) -> bool:
    """Return whether nothing of a refused body is to come any more."""
    # A sender that waits for "100 Continue" has sent no body yet, and need not begin.
    return "expect" not in exchange.headers and await drain(receive)


def _given_id(scope: Mapping[str, Any]) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return bytes(value)
    return None
