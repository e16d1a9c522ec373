"""What a route is: one declaration from which the server and the OpenAPI document are made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..http.body import JSON

if TYPE_CHECKING:
    from ..context import ServiceContext
    from ..http.parameters import Parameter
    from ..http.roles import Caller, Role


@dataclass(slots=True)
class Call:
    """One request, authenticated, within its limits, and decoded.

    Attributes
    ----------
    service : ServiceContext
    caller : Caller
    path, query : mapping
        The identifiers and the query parameters of the endpoint.
    headers : mapping of str to str
    request_id : str
    root : str
        Before every path, as the sender sees it.
    is_https : bool
        Whether the sender speaks TLS with us, or with the proxy in front.
    body, raw
        The decoded body where the endpoint says so, and its bytes.
    media : str
        Which of the endpoint's media types the body has.
    """

    service: ServiceContext
    caller: Caller
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    request_id: str
    root: str
    is_https: bool = False
    body: Any = None
    raw: bytes = b""
    media: str = JSON


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
"""Returns a value that msgspec encodes, or an `Answer`."""


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
    accepted : tuple of str
        Media types of the body.
    by_cookie : bool
        Whether the token comes in the pages' cookie; without one the sender is led to the form.
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
    media_type: str = JSON
    accepted: tuple[str, ...] = (JSON,)
    by_cookie: bool = False

    def path_names(self) -> tuple[str, ...]:
        """Return the names of the path's parameters, in order.

        Every one of them is text of 1 to 1024 characters without control characters.
        """
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def paths(self) -> dict[str, tuple[str, ...]]:
        """Return every path of the route, and the names that its query string holds then.

        Proxies decode or refuse ``%2F``: an identifier with a slash in it goes into the query
        string, and its part of the path is left out.

        Examples
        --------
        >>> async def handle(call: Call) -> None: ...
        >>> list(Endpoint("GET", "/a/{x}/b/{y}", handle, "", None).paths().items())
        [('/a/{x}/b/{y}', ()), ('/a/{x}/b', ('y',)), ('/a/b', ('x', 'y'))]
        """
        names, path = self.path_names(), self.path
        found: dict[str, tuple[str, ...]] = {path: ()}
        for at in reversed(range(len(names))):
            path = path.replace(f"/{{{names[at]}}}", "")
            found[path] = names[at:]
        return found
