"""The URL of a Redis server, taken apart: what the client needs, and what messages may show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

_FORMS: Final = (
    "redis://[user:password@]host[:port][/db], rediss://... (TLS) or "
    "unix://[user:password@]/path/of/redis.sock[?db=0]"
)
_QUOTE: Final = (
    "Characters such as @ : / ? # % in a user or a password must be percent-encoded, as by "
    "urllib.parse.quote(password, safe='')"
)
_SWITCHES: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _switch(text: str) -> bool:
    return _SWITCHES[text.lower()]


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def _timeout(text: str) -> float:
    value = _seconds(text)
    if not value:
        raise ValueError
    return value


def _requirement(text: str) -> str:
    if text not in {"none", "optional", "required"}:
        raise ValueError
    return text


_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "client_name": str,
    "db": _count,
    "health_check_interval": _seconds,
    "max_connections": _count,
    "password": str,
    "socket_connect_timeout": _timeout,
    "socket_keepalive": _switch,
    "socket_timeout": _timeout,
    "username": str,
}
_TLS_OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_cert_reqs": _requirement,
    "ssl_certfile": str,
    "ssl_check_hostname": _switch,
    "ssl_ciphers": str,
    "ssl_keyfile": str,
    "ssl_password": str,
}
_SECRET: Final = {"password", "ssl_password", "username"}


@dataclass(frozen=True, repr=False)
class RedisAddress:
    """Where a server is, and how to talk to it.

    Attributes
    ----------
    shown : str
        The URL without user, password and other secrets.
    settings : dict
        As parameters of ``redis.Redis``.
    """

    shown: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, url: str) -> RedisAddress:
        """Take a URL apart, by stricter rules than redis-py: a part of a password is no host.

        Raises
        ------
        InvalidInputError
            If the URL has another form, or an option that is not known. The message holds nothing
            that may be a part of a password.

        Examples
        --------
        >>> RedisAddress.of("redis://me:secret@host:6380/2?client_name=shop").shown
        'redis://***@host:6380/2?client_name=shop'
        """
        parts = _split(url)
        options = _options(parts)
        settings = _user(parts) | {n: v for n, v in options.items() if n != "db"}
        if parts.scheme == "unix":
            settings["unix_socket_path"] = unquote(parts.path)
        else:
            settings |= {"host": unquote(parts.hostname or ""), "port": parts.port or 6379}
        if parts.scheme == "rediss":
            settings["ssl"] = True
        settings["db"] = _database(parts, options)
        return cls(_shown(parts, options), settings)


def without_secrets(url: str) -> str:
    """Return what messages may show of a text that is no URL of a store."""
    if re.fullmatch(r"[\w./:-]*", url.replace("://", "", 1)) and url.count(":") <= 1:
        return url
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://***" if separator else "***"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        raise _wrong_form(url) from None
    if parts.fragment or "@" in parts.path or "@" in (parts.hostname or ""):
        raise _wrong_form(url)
    if parts.scheme == "unix":
        valid = bool(parts.path.strip("/")) and not parts.hostname
    else:
        valid &= bool(parts.hostname) and (parts.path.strip("/").isdigit() or not parts.path[1:])
    if not valid:
        raise _wrong_form(url)
    return parts


def _wrong_form(url: str) -> InvalidInputError:
    return InvalidInputError(f"url: expected {_FORMS}, got {without_secrets(url)!r}. {_QUOTE}")


def _options(parts: SplitResult) -> dict[str, Any]:
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _wrong_form(parts.geturl()) from None
    allowed = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else {})
    options: dict[str, Any] = {}
    for name, text in given:
        if name not in allowed or name in options:
            raise _wrong_option(name, parts, again=name in options)
        try:
            options[name] = allowed[name](text)
        except (KeyError, ValueError):
            got = "" if name in _SECRET or "@" in parts.query else f", got {text!r}"
            msg = f"url: the option {name} has no valid value{got}"
            raise InvalidInputError(msg) from None
    return options


def _wrong_option(name: str, parts: SplitResult, *, again: bool) -> InvalidInputError:
    if again:
        return InvalidInputError(f"url: the option {name} is given twice")
    if name in _TLS_OPTIONS:
        return InvalidInputError(f"url: {name} is an option of rediss:// only")
    allowed = sorted(_OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else {}))
    # With an "@" behind the question mark this may be a password that is not percent-encoded.
    got = f" {name!r}" if "@" not in parts.query else ""
    msg = f"url: unknown option{got}; known ones are {', '.join(allowed)}."
    if name == "decode_responses":
        msg = "url: leave decode_responses out; what is stored is bytes, and read as bytes."
    elif got:
        msg += did_you_mean(name, allowed)
    else:
        msg += f" {_QUOTE}"
    return InvalidInputError(msg)


def _user(parts: SplitResult) -> dict[str, str]:
    user = {"username": parts.username, "password": parts.password}
    return {name: unquote(value) for name, value in user.items() if value}


def _database(parts: SplitResult, options: dict[str, Any]) -> int:
    in_path = parts.path.strip("/") if parts.scheme != "unix" else ""
    number = int(in_path) if in_path else options.get("db", 0)
    if options.get("db", number) != number:
        msg = f"url: the path names the database {number}, the option db {options['db']}"
        raise InvalidInputError(msg)
    return int(number)


def _shown(parts: SplitResult, options: dict[str, Any]) -> str:
    # The user goes too: a password that lacks its user, or its encoding, may stand in its place.
    _, separator, host = parts.netloc.rpartition("@")
    netloc = f"***@{host}" if separator else host
    given = "&".join(f"{n}={'***' if n in _SECRET else v}" for n, v in options.items())
    return f"{parts.scheme}://{netloc}{parts.path}{'?' * bool(given)}{given}"
