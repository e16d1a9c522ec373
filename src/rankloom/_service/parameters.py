"""Parameters of paths, query strings and headers: decoded once, converted, and bounded."""

from __future__ import annotations

import re
import typing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ..datasets.record.interaction import MAX_ID_CHARACTERS
from .endpoint import REQUIRED
from .faults import fault, malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoint import Endpoint, Parameter

MAX_FIELDS: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Parameters:
    """The parameters of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        declared = {each.name: each for each in endpoint.parameters if each.place == "path"}
        self._path = [(name, declared.get(name)) for name in endpoint.path_names()]
        self._query = [each for each in endpoint.parameters if each.place == "query"]
        self._headers = [each for each in endpoint.parameters if each.place == "header"]
        self._lists = {each.name for each in self._query if _is_list(each.type)}

    def path(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the path's parameters from their raw texts."""
        return {name: _identifier(name, given[name], declared) for name, declared in self._path}

    def query(self, text: bytes) -> dict[str, Any]:
        """Return every declared query parameter; others are ignored."""
        if not self._query:
            return {}
        given = _fields(text) if text else {}
        return {each.name: self._value(each, given.get(each.name)) for each in self._query}

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Refuse a declared header that is out of its bounds."""
        for each in self._headers:
            value = headers.get(each.name.lower())
            if value is not None:
                _convert(each, value)
            elif each.default is REQUIRED:
                raise fault(each.name, "expected a value")

    def _value(self, parameter: Parameter, given: list[str] | None) -> Any:
        if given is None:
            if parameter.default is REQUIRED:
                raise fault(parameter.name, "expected a value")
            return parameter.default
        if parameter.name in self._lists:
            return _convert(parameter, given)
        if len(given) > 1:
            raise fault(parameter.name, "expected one value, got several")
        return _convert(parameter, given[0])


def _identifier(name: str, raw: str, declared: Parameter | None) -> Any:
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise fault(name, "expected UTF-8") from None
    if not 0 < len(text) <= MAX_ID_CHARACTERS:
        raise fault(name, f"expected 1 to {MAX_ID_CHARACTERS} characters, got {len(text)}")
    if _CONTROL.search(text):
        raise fault(name, "expected no control characters")
    return text if declared is None else _convert(declared, text)


def _fields(text: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        reason = f"expected at most {MAX_FIELDS} fields in percent-encoded UTF-8"
        raise fault(field="query", reason=reason) from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _convert(parameter: Parameter, value: Any) -> Any:
    try:
        return msgspec.convert(value, parameter.type, strict=False)
    except msgspec.ValidationError as error:
        raise malformed(error, parameter.name) from None


def _is_list(kind: Any) -> bool:
    """Return whether a type is a list, also within ``Annotated`` or in a union with None."""
    if typing.get_origin(kind) is typing.Annotated:
        return _is_list(typing.get_args(kind)[0])
    return typing.get_origin(kind) is list or any(
        _is_list(part) for part in typing.get_args(kind) if part is not None
    )
