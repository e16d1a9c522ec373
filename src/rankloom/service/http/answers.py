"""What a handler returns, as a response: JSON, the headers of every answer, the error envelope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .refusal import Refusal

_HEADERS: Final = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Answer:
    """An answer that is more than a value with status 200.

    Attributes
    ----------
    status : int
    body : object
        Encoded by msgspec; ``bytes`` go out as they are.
    headers : mapping of str to str
        ``content-type`` replaces ``application/json``.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def response_of(value: Any, request_id: str) -> Response:
    """Return a handler's value or `Answer` as a response."""
    headers = {**_HEADERS, "x-request-id": request_id}
    if not isinstance(value, Answer):
        return Response(_encode(value), 200, headers)
    body = value.body if isinstance(value.body, bytes) else _encode(value.body)
    return Response(body, value.status, {**headers, **value.headers})


def envelope(refusal: Refusal) -> Answer:
    """Return a refusal as an answer."""
    error = {"message": refusal.message, "type": refusal.type, "details": refusal.details}
    body = {"success": False, "status": refusal.status, "error": error}
    return Answer(refusal.status, body, refusal.headers)
