"""Values of settings as the types that a command or a table of settings says."""

from __future__ import annotations

import operator
import types
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

from .._shared.toml_file import read_toml
from ..errors import InvalidInputError, UnreadableSourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable


def config_content(path: str | Path) -> dict[str, Any]:
    """Return the content of the file that --config names."""
    try:
        return read_toml(path)
    except (OSError, ValueError) as error:
        msg = f"--config: {str(path)!r} cannot be read as TOML: {error}"
        raise UnreadableSourceError(msg) from error


def unknown_setting(
    name: str, names: Iterable[str], command: str, where: str = ""
) -> InvalidInputError:
    """Return the error for a name that is no setting of a command; `where` begins the message."""
    guess = did_you_mean(name, names)
    msg = f"{where}no setting is called {name!r}.{guess} `rankloom {command} --help` lists them"
    return InvalidInputError(msg)


def converted(value: Any, kind: Any, spelt: str, *, strict: bool, hint: str = "") -> Any:
    """Return a value as a type.

    `spelt`: how the setting is written where it was given. `strict`: whether text stays text;
    else it is read as the type. `hint`: ends the message. Raises InvalidInputError.
    """
    try:
        return msgspec.convert(value, without_path(kind), strict=strict)
    except msgspec.ValidationError as error:
        msg = f"{spelt}: {str(error).replace('Expected', 'expected')}{hint}"
        raise InvalidInputError(msg) from error


def without_path(kind: Any) -> Any:
    """Return a type that msgspec reads: paths are given as text."""
    if kind is Path:
        return str
    if isinstance(kind, types.UnionType):
        found = (each for each in get_args(kind) if each is not Path or str not in get_args(kind))
        return reduce(operator.or_, map(without_path, found))
    if get_origin(kind) is Mapping:
        name, value = get_args(kind)
        return types.GenericAlias(dict, (name, without_path(value)))
    return kind
