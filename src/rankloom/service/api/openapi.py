"""The OpenAPI 3.1 document, made from the table of routes that the server itself runs on."""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..http.answers import Answer
from ..http.parameters import REQUIRED, Parameter
from .endpoint import Call, Endpoint
from .examples import EXAMPLES
from .schemas import ErrorEnvelope, Identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PATH: Final = "/openapi.json"
MAX_DOCUMENTS: Final = 16
"""Most roots whose documents are kept."""

_REFERENCE: Final = "#/components/schemas/{name}"
_ID_PATTERN: Final = r"^[^\x00-\x1f\x7f]+$"
_EVERYBODY: Final = (400, 429, 503)
_WITH_TOKEN: Final = (401, 403)
_WITH_BODY: Final = (408, 413, 415, 422)
_WITH_PARAMETERS: Final = (422,)
_RETRY: Final = frozenset({429, 503})
_BY_SERVER: Final = frozenset({400, 503})
"""What uvicorn answers by itself, as text: no HTTP, too long a head, too many connections."""

_NAMESPACE: Final = {
    "name": "X-Namespace",
    "in": "header",
    "required": False,
    "description": "The token's namespace; any other is refused with 403",
    "schema": {"type": "string", "maxLength": 1024},
}
_DESCRIPTION: Final = (
    "Records search interactions and learns from them how to weigh retrieval channels and how to "
    "rank documents. Every error is an ErrorEnvelope. TLS is the business of a proxy in front. An "
    "identifier of a path may also be given as a query parameter of its name, its part of the path "
    "left out: proxies change slashes within a path."
)


def openapi_endpoint(others: Sequence[Endpoint]) -> Endpoint:
    """Return the route that serves the document of the others and of itself.

    It is open to everybody: it says nothing of tenants.
    """

    @lru_cache(MAX_DOCUMENTS)
    def document(root: str) -> bytes:
        return msgspec.json.encode(openapi_document([*others, endpoint], root))

    async def read_openapi(call: Call) -> Answer:
        """Return this document."""
        return Answer(body=document(call.root))

    endpoint = Endpoint(
        "GET", PATH, read_openapi, "This document", role=None, answer=dict[str, Any]
    )
    return endpoint


def openapi_document(endpoints: Sequence[Endpoint], root: str = "") -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of some routes below a root, ready for JSON.

    Examples
    --------
    >>> async def ping(call: Call) -> dict[str, str]:
    ...     return {}
    >>> route = Endpoint("GET", "/ping", ping, "Answer", role=None, answer=dict[str, str])
    >>> sorted(openapi_document([route])["paths"]["/ping"]["get"]["responses"])
    ['200', '400', '429', '503']
    """
    from ..._version import __version__

    schemas = _Schemas(_types_of(endpoints))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    for endpoint in endpoints:
        _add_by_query(paths, endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "rankloom", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "parameters": {"Namespace": _NAMESPACE},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """JSON Schemas of types; named ones stand among the components."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        kinds = list(kinds)
        found, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
        self._of = list(zip(kinds, found, strict=True))
        self.components = {name: _tidied(value) for name, value in sorted(components.items())}

    def of(self, kind: Any) -> dict[str, Any]:
        """Return a reference to a named type's schema, or the schema of another."""
        return next(dict(schema) for known, schema in self._of if known == kind)

    def content(self, kind: Any, media_type: str) -> dict[str, Any]:
        """Return what a body or answer of a type holds, with its example."""
        described = {"schema": self.of(kind)}
        if kind in EXAMPLES:
            described["example"] = EXAMPLES[kind]
        return {media_type: described}


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose description has lost the indentation of its docstring."""
    if "description" not in schema:
        return schema
    return {**schema, "description": inspect.cleandoc(schema["description"])}


def _types_of(endpoints: Sequence[Endpoint]) -> list[Any]:
    kinds: list[Any] = [ErrorEnvelope, Identifier]
    for endpoint in endpoints:
        kinds += [kind for kind in (endpoint.body, endpoint.answer) if kind is not None]
        kinds += [_without_none(parameter.type) for parameter in endpoint.parameters]
    return [kind for at, kind in enumerate(kinds) if kind not in kinds[:at]]


def _without_none(kind: Any) -> Any:
    """Return a parameter's type without None, which an absent parameter stands for."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    given = [part for part in typing.get_args(kind) if part is not type(None)]
    return given[0] if len(given) == 1 else kind


def _add_by_query(paths: dict[str, dict[str, Any]], endpoint: Endpoint, schemas: _Schemas) -> None:
    """Describe a route with identifiers in the query string where other routes have its path.

    Elsewhere the description of the document is enough: it would be twice as long.
    """
    for path, in_query in endpoint.paths().items():
        methods = paths.get(path, {})
        if in_query and methods and endpoint.method.lower() not in methods:
            methods[endpoint.method.lower()] = _operation(endpoint, schemas, in_query)


def _operation(
    endpoint: Endpoint, schemas: _Schemas, in_query: tuple[str, ...] = ()
) -> dict[str, Any]:
    name = getattr(endpoint.handle, "__name__", endpoint.summary).strip("_")
    described: dict[str, Any] = {
        "operationId": "_by_".join([name, *in_query]),
        "summary": endpoint.summary,
        "description": _docstring(endpoint),
        "tags": [_tag(endpoint.path)],
        "parameters": list(_parameters(endpoint, schemas, in_query)),
        "responses": _responses(endpoint, schemas),
        "security": [] if endpoint.role is None else [{"bearer": []}],
    }
    if endpoint.role is not None:
        described["x-role"] = endpoint.role.value
    if endpoint.body is not None:
        content: dict[str, Any] = {}
        for media in endpoint.accepted:
            content |= schemas.content(endpoint.body, media)
        described["requestBody"] = {"required": endpoint.body_required, "content": content}
    return described


def _docstring(endpoint: Endpoint) -> str:
    role = "" if endpoint.role is None else f"\n\nNeeds a token of the role {endpoint.role.value}."
    return (inspect.getdoc(endpoint.handle) or endpoint.summary) + role


def _tag(path: str) -> str:
    known = ("learned-fusion", "interactions", "rerank")
    return next((name for name in known if name in path), "service")


def _parameters(
    endpoint: Endpoint, schemas: _Schemas, in_query: tuple[str, ...]
) -> Iterable[dict[str, Any]]:
    declared = {parameter.name: parameter for parameter in endpoint.parameters}
    for name in endpoint.path_names():
        parameter = declared.get(name, Parameter(name, Identifier))
        if name in in_query:
            parameter = replace(parameter, place="query")
        yield _parameter(parameter, schemas, {"pattern": _ID_PATTERN})
    for parameter in endpoint.parameters:
        if parameter.place != "path":
            yield _parameter(parameter, schemas, {})
    if endpoint.role is not None:
        yield {"$ref": "#/components/parameters/Namespace"}


def _parameter(parameter: Parameter, schemas: _Schemas, bounds: dict[str, Any]) -> dict[str, Any]:
    schema = {**schemas.of(_without_none(parameter.type)), **bounds}
    if parameter.default is not REQUIRED and parameter.default is not None:
        schema["default"] = parameter.default
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path" or parameter.default is REQUIRED,
        "schema": schema,
    }
    if parameter.description:
        described["description"] = parameter.description
    return described


def _responses(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    """Return the answer with status 200, and every refusal that this route can give."""
    found: dict[str, Any] = {"200": {"description": "Done"}}
    if endpoint.answer is not None:
        found["200"]["content"] = schemas.content(endpoint.answer, endpoint.media_type)
    for status in sorted(_refusals(endpoint)):
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": schemas.content(ErrorEnvelope, "application/json"),
        }
        if status in _BY_SERVER:
            found[str(status)]["content"]["text/plain"] = {"schema": {"type": "string"}}
        if status in _RETRY:
            found[str(status)]["headers"] = {
                "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
            }
    return found


def _refusals(endpoint: Endpoint) -> set[int]:
    statuses = {*_EVERYBODY, *endpoint.refusals}
    if endpoint.role is not None:
        statuses.update(_WITH_TOKEN)
    if endpoint.body is not None:
        statuses.update(_WITH_BODY)
    if endpoint.path_names() or endpoint.parameters:
        statuses.update(_WITH_PARAMETERS)
    return statuses
