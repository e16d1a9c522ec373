"""What a route is: one declaration from which the server and the OpenAPI document are made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from .state import Service

REQUIRED: Final = ...
"""Default of a parameter that must be given."""


class Role(StrEnum):
    """What a token may do; admin may do what ingest and read may, metrics reads /metrics only."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"
    METRICS = "metrics"

    def may(self, needed: Role) -> bool:
        """Return whether a token of this role may call an endpoint that needs another.

        Examples
        --------
        >>> Role.ADMIN.may(Role.READ), Role.READ.may(Role.INGEST), Role.ADMIN.may(Role.METRICS)
        (True, False, False)
        """
        return self is needed or (self is Role.ADMIN and needed is not Role.METRICS)


@dataclass(frozen=True)
class Caller:
    """Who calls: the namespace and role of the token."""

    namespace: str
    role: Role


@dataclass(frozen=True)
class Parameter:
    """A parameter of the path, the query string or a header.

    Attributes
    ----------
    name : str
    type : type
        What msgspec converts the text to; bounds as ``Annotated[int, msgspec.Meta(ge=1)]``.
    place : {"path", "query", "header"}
    description : str
    default : object
        Value where a query parameter is absent; `REQUIRED` refuses the request then.
    """

    name: str
    type: Any = str
    place: Literal["path", "query", "header"] = "path"
    description: str = ""
    default: Any = REQUIRED


@dataclass
class Call:
    """One request, authenticated, within its limits, and decoded."""

    service: Service
    caller: Caller
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    request_id: str


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


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
"""Returns a value that msgspec encodes, or an `Answer`."""


class Refusal(Exception):  # noqa: N818 - an answer rather than an error
    """A request that is refused; becomes the error envelope.

    Parameters
    ----------
    status : int
    type_ : str
        Name of the kind of error, such as ``"NotFound"``.
    message : str
        For the sender of the request; never holds a path of this machine.
    details : mapping, optional
    headers : mapping of str to str, optional
        Such as ``retry-after``.
    """

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.details = details
        self.headers = headers or {}


@dataclass(frozen=True)
class Endpoint:
    """One route.

    Attributes
    ----------
    method : str
    path : str
        With ``{name}`` for every path parameter.
    handle : Handler
    summary : str
    role : Role or None
        None: open to everybody.
    body : type, optional
        msgspec type of the JSON body; None: no body is read.
    answer : type, optional
        msgspec type of the answer with status 200.
    parameters : tuple of Parameter
    body_limit : int
        Most bytes of a body.
    refusals : tuple of int
        Statuses beyond 400, 401, 403, 413, 422, 429 and 503.
    decode : bool
        False: the handler reads `Call.raw` itself, `Call.body` is None.
    body_required : bool
        False: a request without a body is fine, `Call.body` is None then.
    media_type : str
        Of the answer.
    """

    method: str
    path: str
    handle: Handler
    summary: str
    role: Role | None
    body: Any = None
    answer: Any = None
    parameters: tuple[Parameter, ...] = ()
    body_limit: int = 1_000_000
    refusals: tuple[int, ...] = ()
    decode: bool = True
    body_required: bool = True
    media_type: str = "application/json"

    def path_names(self) -> tuple[str, ...]:
        """Return the names of the path's parameters, in order.

        Every one of them is text of 1 to 1024 characters without control characters.
        """
        return tuple(re.findall(r"\{(\w+)\}", self.path))
