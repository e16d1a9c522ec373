"""The OpenAPI document as a page without scripts: offline, and under a strict policy."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..endpoint import Call, Endpoint
from ..openapi import MAX_DOCUMENTS, PATH, openapi_document
from .html import Content, Html, element, table
from .layout import page, section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...http.answers import Answer

_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


def document_endpoint(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Return the route that shows the document of some routes; it is open to everybody."""

    @lru_cache(MAX_DOCUMENTS)
    def shown(root: str) -> Answer:
        return _page(openapi_document(endpoints, root), root)

    async def show_document(call: Call) -> Answer:
        """Return the page."""
        return shown(call.root)

    return Endpoint("GET", "/docs", show_document, "The document as a page", role=None)


def _page(document: Mapping[str, Any], root: str) -> Answer:
    by_tag: dict[str, list[Html]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = _operation(method.upper(), path, operation)
            by_tag.setdefault(operation["tags"][0], []).append(shown)
    types = [_type(name, schema) for name, schema in document["components"]["schemas"].items()]
    info = document["info"]
    source = element("a", "As an OpenAPI 3.1 document", href=root + PATH)
    return page(
        root,
        "HTTP interface",
        element("p", f"Version {info['version']}. ", source, class_="aside"),
        _prose(info["description"]),
        [section(tag, shown) for tag, shown in by_tag.items()],
        section("Types", types),
        nav=element("a", "Retrievers", href=f"{root}/ui"),
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Html:
    heading = element("code", element("span", method, class_="method"), path)
    parameters = [each for each in operation["parameters"] if "name" in each]
    rows = [
        (
            element("code", each["name"]),
            each["in"] + (", required" if each["required"] else ""),
            _kind(each["schema"]),
            each.get("description", ""),
        )
        for each in parameters
    ]
    body = operation.get("requestBody", {"content": {}})
    answers = [
        (status, each["description"], [_kind(c["schema"]) for c in _contents(each)[:1]])
        for status, each in operation["responses"].items()
    ]
    return element(
        "details",
        element("summary", heading, " ", operation["summary"]),
        _prose(operation["description"]),
        table(("Parameter", "In", "Type", "Meaning"), rows) if rows else None,
        [_content("Body", each) for each in _contents(body)],
        table(("Status", "Meaning", "Answer"), answers),
        [_content("Answer", each) for each in _contents(operation["responses"]["200"])],
    )


def _contents(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(described.get("content", {}).values())


def _content(name: str, content: Mapping[str, Any]) -> Content:
    """Return the type of a body or answer with its example."""
    example = content.get("example")
    if name == "Answer" and example is None:
        return None
    text = example and msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
    return element("p", f"{name}: ", _kind(content["schema"])), element(
        "pre", text
    ) if text else None


def _type(name: str, schema: Mapping[str, Any]) -> Html:
    required = set(schema.get("required", ()))
    rows = [
        (
            element("code", field),
            "yes" if field in required else "no",
            _kind(each),
            each.get("description", ""),
        )
        for field, each in schema.get("properties", {}).items()
    ]
    return element(
        "details",
        element("summary", element("code", name)),
        element("div", _prose(schema.get("description", "")), id=f"type-{name}"),
        table(("Field", "Needed", "Type", "Meaning"), rows) if rows else _kind(schema),
    )


def _kind(schema: Mapping[str, Any]) -> Content:
    """Return a type in words, with links to the types that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return element("a", name, href=f"#type-{name}")
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _between(" or ", [_kind(each) for each in schema[word]])
    if "enum" in schema:
        return _between(", ", [element("code", str(each)) for each in schema["enum"]])
    kind = schema.get("type", "anything")
    name = " or ".join(kind) if isinstance(kind, list) else kind
    bounds = [text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema]
    inner: Content = None
    if "items" in schema:
        inner = " of ", _kind(schema["items"])
    elif isinstance(schema.get("additionalProperties"), dict):
        inner = " of ", _kind(schema["additionalProperties"])
    pattern = (", ", element("code", schema["pattern"])) if "pattern" in schema else None
    return name, inner, "".join(f", {each}" for each in bounds), pattern


def _between(separator: str, parts: Iterable[Content]) -> Content:
    given = list(parts)
    return [(each, separator if n < len(given) else None) for n, each in enumerate(given, start=1)]


def _prose(text: str) -> Content:
    """Return paragraphs, with code where backticks stand."""
    return [
        element("p", [element("code", part) if n % 2 else part for n, part in _parts(paragraph)])
        for paragraph in text.split("\n\n")
        if paragraph
    ]


def _parts(text: str) -> Iterable[tuple[int, str]]:
    return enumerate(re.split(r"`([^`]*)`", " ".join(text.split())))
