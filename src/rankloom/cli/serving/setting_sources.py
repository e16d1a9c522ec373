"""Settings of the service from flags, the environment and a TOML file: one precedence, here.

A flag wins over an environment variable, that over the file, and the file over the default. All
three are made from the fields of the tables in `rankloom.service.settings`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    NamedTuple,
    TypeVar,
    get_origin,
    get_type_hints,
)

import typer

from ...errors import InvalidInputError, UnreadableSourceError, did_you_mean
from ...service.settings import Setting
from ..typed_values import config_content, converted, unknown_setting

PREFIX: Final = "RANKLOOM_"
_OF_FILE: Final = "_file"
"""Ends the name of what names the file in which a secret stands."""

Command = TypeVar("Command", bound=Callable[..., None])


class Known(NamedTuple):
    """A setting: its name, type and default, and what the table says of it."""

    name: str
    kind: Any
    default: Any
    about: Setting

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    @property
    def is_list(self) -> bool:
        """Whether it holds several values: texts, or values by name."""
        return get_origin(self.kind) in {Mapping, tuple}

    @property
    def flag(self) -> str:
        """The flag that sets it."""
        return "--" + (self.about.flag or self.name.replace("_", "-"))


class Source(NamedTuple):
    """What one source gives, by the names of settings, and how a name is spelt there."""

    given: Mapping[str, Any]
    spelt: Callable[[str], str]


def known_settings(*tables: type) -> dict[str, Known]:
    """Return the settings of some tables by name, those without a default first."""
    found = [
        Known(each.name, hint.__origin__, _default(each), hint.__metadata__[0])
        for table in tables
        for each, hint in zip(
            fields(table), get_type_hints(table, include_extras=True).values(), strict=True
        )
    ]
    return {each.name: each for each in sorted(found, key=lambda each: not each.is_required)}


def with_flags(*tables: type) -> Callable[[Command], Command]:
    """Return a decorator that gives a command with ``**flags`` a flag for every setting."""

    def decorated(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        parameters = [each for each in own.parameters.values() if each.kind is each.KEYWORD_ONLY]
        for known in known_settings(*tables).values():
            parameters += _flags(known)
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return decorated


def read_settings(
    tables: Iterable[type],
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: str | Path | None,
) -> dict[str, Any]:
    """Return every setting that is given somewhere, from where it counts.

    Raises
    ------
    InvalidInputError
        Names a key that there is not, a value of another type, or what has to be given.
    UnreadableSourceError
        If a file cannot be read.

    Examples
    --------
    >>> from rankloom.service.settings import ListenSettings
    >>> variables = {"RANKLOOM_PORT": "2", "RANKLOOM_HOST": "h"}
    >>> read_settings([ListenSettings], {"port": "1"}, variables, None)
    {'host': 'h', 'port': 1}
    """
    known = known_settings(*tables)
    found: dict[str, Any] = {}
    for source in _sources(known, flags, environment, file):
        found = {**_values(source, known), **found}
    for each in known.values():
        if each.is_required and each.name not in found:
            msg = (
                f"{each.flag}: expected a value; it may also be given as "
                f"{PREFIX}{each.name.upper()} or as {each.name} in a file for --config"
            )
            raise InvalidInputError(msg)
    return {name: found[name] for name in known if name in found}


def _flags(known: Known) -> Iterable[inspect.Parameter]:
    about, name = known.about, known.name
    kind = bool | None if known.kind is bool else list[str] | None if known.is_list else str | None
    default = about.unset if known.is_list or known.default in (None, "") else known.default
    given = [known.flag, f"--no-{known.flag[2:]}"] if known.kind is bool else [known.flag]
    option = typer.Option(
        *given,
        metavar=about.metavar,
        help=about.text if known.is_required else f"{about.text} [default: {default}]",
        show_default=False,
        rich_help_panel=about.panel,
    )
    yield _parameter(name, Annotated[kind, option])
    if about.secret:
        option = typer.Option(known.flag + "-file", hidden=True)
        yield _parameter(name + _OF_FILE, Annotated[str | None, option])


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _sources(
    known: Mapping[str, Known],
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: str | Path | None,
) -> Iterable[Source]:
    """Yield what is given, the source that wins first."""
    names = {*known, *(n + _OF_FILE for n, each in known.items() if each.about.secret)}
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    yield Source(given, lambda name: known[name].flag if name in known else f"--{name}")
    ours = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    for name in ours.keys() - names - {"config"}:
        # Others may be anybody's: Kubernetes sets RANKLOOM_SERVICE_HOST for a Service of that name.
        if did_you_mean(name, names):
            spelt = [PREFIX + each.upper() for each in names]
            raise unknown_setting(PREFIX + name.upper(), spelt, "serve")
    ours = {name: value for name, value in ours.items() if name in names}
    yield Source(ours, lambda name: PREFIX + name.upper())
    if file is not None:
        content = config_content(file)
        for name in content:
            if name not in names:
                raise unknown_setting(name, names, "serve", f"{file}: ")
        yield Source(content, lambda name: f"{file}: {name}")


def _values(source: Source, known: Mapping[str, Known]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in source.given.items():
        if name in known:
            found[name] = _converted(known[name], value, source.spelt(name))
            continue
        secret = name.removesuffix(_OF_FILE)
        if secret in source.given:
            both = f"{source.spelt(secret)} and {source.spelt(name)}"
            msg = f"{both}: expected one of them, got both"
            raise InvalidInputError(msg)
        found[secret] = _secret(value, source.spelt(name))
    return found


def _secret(path: str, spelt: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        msg = f"{spelt}: cannot read {path!r}: {error}"
        raise UnreadableSourceError(msg) from error


def _converted(known: Known, value: Any, spelt: str) -> Any:
    if known.is_list and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if get_origin(known.kind) is Mapping and isinstance(value, list):
        value = _by_name(value, known, spelt)
    hint = "" if known.about.secret else f" from {value!r}"
    if isinstance(value, str) and value.startswith("tcp://"):
        hint += "; Kubernetes sets this variable unless a pod has enableServiceLinks: false"
    return converted(value, known.kind, spelt, strict=False, hint=hint)


def _by_name(texts: list[Any], known: Known, spelt: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = str(text).partition("=")
        if not (name and separator and value) or name in found:
            msg = f"{spelt}: expected {known.about.metavar}, each name once, got {text!r}"
            raise InvalidInputError(msg)
        found[name] = value
    return found
