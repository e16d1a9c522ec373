"""The outermost layer: every request gets an id, a deadline, one answer and one line in the log."""

from __future__ import annotations

import logging
import traceback
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from ..errors import IntegrityError, InvalidInputError, StateMismatchError, StoreError
from . import access_log
from .body import Disconnected, drain
from .endpoint import Refusal
from .exchange import KEY, Exchange, encoded, envelope, headers_of, send_answer
from .faults import invalid, store_failed
from .wire import wire_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .state import Service

CLIENT_GONE: Final = 499
"""Logged where the sender closed the connection before the request was complete."""

logger = logging.getLogger("rankloom.service")


class Guard:
    """ASGI middleware around the routes.

    Parameters
    ----------
    app : ASGI application
        The routes; they leave their answer in the request's `Exchange`.
    service : Service
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        exchange = Exchange(access_log.request_id(_given_id(scope)), {}, wire=wire_of(scope))
        parts = await self._answer(exchange, scope, receive, send)
        status, size = CLIENT_GONE, 0
        if parts is not None:
            close = exchange.body_pending and not await _ended(exchange, receive)
            await send_answer(send, parts, exchange, close=close)
            status, size = parts[0], len(parts[1])
        seconds = perf_counter() - started
        method, route = exchange.method, exchange.route
        self._service.metrics.answered(route, method, status, seconds)
        access_log.write(method, route, status, size, seconds, exchange.request_id)

    def close(self) -> None:
        """Close the service; a server that ends the application does so itself."""
        self._service.close()

    async def _answer(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> tuple[int, bytes, Mapping[str, str]] | None:
        """Return what to send; None if the sender has gone."""
        try:
            exchange.headers = headers = headers_of(scope["headers"])
            exchange.body_pending = _announces_body(headers)
            scope[KEY] = exchange
            # Routes match what was sent, so that an encoded slash cuts no id in two.
            scope["path"] = scope["raw_path"].decode("ascii")
            with self._service.deadlines.within(self._service.settings.request_seconds):
                await self._app(scope, receive, send)
            return encoded(exchange.answer)
        except Disconnected:
            return None
        except Exception as error:  # noqa: BLE001 - the sender gets an answer in any case
            return encoded(envelope(self._refusal(error, exchange)))

    def _refusal(self, error: Exception, exchange: Exchange) -> Refusal:
        if isinstance(error, Refusal):
            return error
        if isinstance(error, InvalidInputError):
            return invalid(error)
        if isinstance(error, StoreError | IntegrityError | StateMismatchError):
            logger.error("request %s: %s", exchange.request_id, error)
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
        logger.error("request %s: %s\n%s", exchange.request_id, type(error).__name__, where)
        message = f"unexpected error; see the service's log under {exchange.request_id}"
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


def _announces_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
