"""Options of a command from a TOML file: a flag wins over the file, the file over the default."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from ..errors import InvalidInputError
from .typed_values import config_content, converted, unknown_setting

if TYPE_CHECKING:
    from collections.abc import Callable

OWN = "config"


class _Option(NamedTuple):
    parameter: str
    kind: Any

    @property
    def is_list(self) -> bool:
        """Whether it may be given several times."""
        return any(get_origin(each) is list for each in (self.kind, *get_args(self.kind)))

    @property
    def is_text(self) -> bool:
        """Whether it is text on the command line, which the command reads itself."""
        return bool({str, Path} & {self.kind, *get_args(self.kind)})


def config_values(file: Path, command: Callable[..., None]) -> dict[str, Any]:
    """Return what a file says of the options of a command, by the names of its parameters.

    Keys are flags without the hyphens at their beginning and with underscores for those within, and
    names of arguments. A table stands for a list of ``NAME=VALUE``, or as JSON for a text.

    Raises
    ------
    UnreadableSourceError
        If the file cannot be read as TOML.
    InvalidInputError
        If it has a key that is no option, or a value of another type.
    """
    options = _options(command)
    content = config_content(file)
    for key in content:
        if key not in options:
            raise unknown_setting(key, options, command.__name__, f"{file}: ")
    return {
        options[key].parameter: converted(
            _as_given(value, options[key]), options[key].kind, f"{file}: {key}", strict=True
        )
        for key, value in content.items()
    }


def _options(command: Callable[..., None]) -> dict[str, _Option]:
    found = {}
    for name, hint in get_type_hints(command, include_extras=True).items():
        if get_origin(hint) is not Annotated or name == OWN:
            continue
        kind, about = get_args(hint)
        # Within Annotated, typer takes the first flag for a default until it makes the command.
        declared = [about.default, *(about.param_decls or ())]
        flags = [each for each in declared if isinstance(each, str) and each.startswith("--")]
        key = flags[0].removeprefix("--").replace("-", "_") if flags else name
        found[key] = _Option(name, kind)
    return found


def _as_given(value: Any, option: _Option) -> Any:
    """Return a value of the file as it would be on the command line."""
    if option.is_list:
        if isinstance(value, dict):
            return [f"{name}={each}" for name, each in value.items()]
        return [value] if isinstance(value, str) else value
    if not option.is_text:
        return value
    if isinstance(value, dict):
        return _json(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _json(table: dict[str, Any]) -> str:
    try:
        return json.dumps(table, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"--config: a table may hold numbers, texts, truth values and lists: {error}"
        raise InvalidInputError(msg) from error
