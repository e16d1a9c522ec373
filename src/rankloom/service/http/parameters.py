"""Parameters of paths, query strings and headers: decoded once, converted, and bounded."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ...datasets.record.interaction import MAX_ID_CHARACTERS
from .errors import fault, malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REQUIRED: Final = ...
"""Default of a parameter that must be given."""

MAX_FIELDS: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


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


class Parameters:
    """The parameters of one endpoint.

    Parameters
    ----------
    declared : iterable of Parameter
    identifiers : iterable of str
        Texts of the path, of 1 to 1024 characters without control characters.
    in_query : iterable of str
        Those of them that the query string holds instead.
    """

    def __init__(
        self, declared: Iterable[Parameter], identifiers: Iterable[str], in_query: Iterable[str]
    ) -> None:
        given = list(declared)
        types = {each.name: each for each in given if each.place == "path"}
        self._identifiers = [(name, types.get(name)) for name in identifiers]
        self._in_query = frozenset(in_query)
        self._query = [each for each in given if each.place == "query"]
        self._headers = [each for each in given if each.place == "header"]
        self._lists = {each.name for each in self._query if _is_list(each.type)}

    def read(self, path: Mapping[str, str], query: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the identifiers and every declared query parameter; others are ignored.

        Parameters
        ----------
        path : mapping of str to str
            Percent-encoded texts by name.
        query : bytes
            The query string.
        """
        if not (self._query or self._in_query):
            return {
                name: _checked(name, _text_of(name, path[name]), of)
                for name, of in self._identifiers
            }, {}
        given = _fields(query) if query else {}
        found = {
            name: _checked(name, _single(name, given.get(name)), declared)
            if name in self._in_query
            else _checked(name, _text_of(name, path[name]), declared)
            for name, declared in self._identifiers
        }
        return found, {each.name: self._value(each, given.get(each.name)) for each in self._query}

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
        return _convert(parameter, _single(parameter.name, given))


def _text_of(name: str, raw: str) -> str:
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise fault(name, "expected UTF-8") from None


def _single(name: str, given: list[str] | None) -> str:
    if given is None:
        raise fault(name, "expected a value")
    if len(given) > 1:
        raise fault(name, "expected one value, got several")
    return given[0]


def _checked(name: str, text: str, declared: Parameter | None) -> Any:
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
