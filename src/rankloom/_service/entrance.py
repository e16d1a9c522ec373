"""One path of the API: finds the endpoint, checks the caller, parses, calls the handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .body import Decoder, check_kind, read_body, size_of
from .endpoint import Call, Caller, Refusal, Role
from .exchange import KEY
from .parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from .endpoint import Endpoint
    from .exchange import Exchange
    from .state import Service

_EVERYBODY: Final = Caller("", Role.METRICS)
_MAX_TOKEN: Final = 512


class Entrance:
    """All methods of one path, as an ASGI application.

    Parameters
    ----------
    endpoints : sequence of Endpoint
        Of the same path, each of another method.
    service : Service
    """

    def __init__(self, endpoints: Sequence[Endpoint], service: Service) -> None:
        self._by_method = {each.method: _MethodApp(each, service) for each in endpoints}
        self._path = endpoints[0].path
        self._allow = ", ".join(sorted(self._by_method))
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Leave the answer in the request's exchange; `send` is the guard's."""
        del send
        exchange: Exchange = scope[KEY]
        exchange.route = self._path
        found = self._by_method.get(scope["method"])
        if found is None:
            message = f"expected one of the methods {self._allow}"
            raise Refusal(405, "MethodNotAllowed", message, headers={"allow": self._allow})
        exchange.method = scope["method"]
        exchange.answer = await found.open(exchange, scope, receive)


class _MethodApp:
    """One endpoint and all that is computed once for it."""

    def __init__(self, endpoint: Endpoint, service: Service) -> None:
        self.endpoint = endpoint
        self._service = service
        self._parameters = Parameters(endpoint)
        self._decoded = Decoder(endpoint)

    async def open(self, exchange: Exchange, scope: Scope, receive: Receive) -> Any:
        endpoint, service = self.endpoint, self._service
        caller = self._caller(exchange.headers)
        call = Call(
            service=service,
            caller=caller,
            path=self._parameters.path(scope["path_params"]),
            query=self._parameters.query(scope["query_string"]),
            headers=exchange.headers,
            body=None,
            raw=b"",
            request_id=exchange.request_id,
        )
        self._parameters.check_headers(exchange.headers)
        if endpoint.role in {None, Role.METRICS}:
            # Monitoring is answered when the service is busy, too.
            return await endpoint.handle(call)
        service.limits.enter()
        try:
            wanted = endpoint.body is not None
            if not wanted or not (endpoint.body_required or exchange.body_pending):
                return await endpoint.handle(call)
            return await self._with_body(call, exchange, receive)
        finally:
            service.limits.leave()

    async def _with_body(self, call: Call, exchange: Exchange, receive: Receive) -> Any:
        check_kind(call.headers)
        limits, limit = self._service.limits, self.endpoint.body_limit
        size = size_of(call.headers, limit)
        limits.reserve(size)
        try:
            seconds, deadlines = self._service.settings.body_seconds, self._service.deadlines
            call.raw = await read_body(exchange.wire, receive, limit, seconds, deadlines)
            exchange.body_pending = False
            call.body = self._decoded(call.raw)
            return await self.endpoint.handle(call)
        finally:
            limits.release(size)

    def _caller(self, headers: Mapping[str, str]) -> Caller:
        needed = self.endpoint.role
        if needed is None:
            return _EVERYBODY
        scheme, _, token = headers.get("authorization", "").partition(" ")
        caller = None
        if scheme.lower() == "bearer" and 0 < len(token) <= _MAX_TOKEN:
            caller = self._service.tokens.caller(token.strip())
        if caller is None:
            message = "expected the header 'Authorization: Bearer TOKEN' with a known token"
            challenge = {"www-authenticate": "Bearer"}
            raise Refusal(401, "Unauthorized", message, headers=challenge)
        if headers.get("x-namespace", caller.namespace) != caller.namespace:
            raise Refusal(403, "Forbidden", "X-Namespace: expected the token's own namespace")
        if not caller.role.may(needed):
            raise Refusal(403, "Forbidden", f"expected a token of the role {needed.value}")
        return caller
