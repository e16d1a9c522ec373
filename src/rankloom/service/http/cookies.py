"""The token of a person in a browser: a cookie that pages read, and no other route."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES: Final = "/ui"
"""Path below which the cookie is sent."""

SECONDS: Final = 43_200
_NAME: Final = "rankloom_token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


def token_of(headers: Mapping[str, str]) -> str | None:
    """Return the token of the cookie, None without one.

    >>> token_of({"cookie": "a=b; rankloom_token=rl_x"})
    'rl_x'
    """
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _NAME:
            return value if _TOKEN.fullmatch(value) else None
    return None


def set_cookie(token: str, root: str, *, is_https: bool) -> str | None:
    """Return the header that keeps a token for half a day; None for what no token looks like.

    Scripts cannot read it, and other sites' requests do not carry it.
    """
    return _cookie(token, root, SECONDS, is_https=is_https) if _TOKEN.fullmatch(token) else None


def clear_cookie(root: str, *, is_https: bool) -> str:
    """Return the header that forgets the token."""
    return _cookie("", root, 0, is_https=is_https)


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Return whether a form was sent by a page of this service, as far as the browser says.

    >>> is_same_origin({"sec-fetch-site": "cross-site"}), is_same_origin({})
    (False, True)
    >>> is_same_origin({"origin": "https://evil.example", "host": "search.example"})
    False
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in {"same-origin", "none"}
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _cookie(value: str, root: str, seconds: int, *, is_https: bool) -> str:
    secure = "; Secure" if is_https else ""
    kept = f"Path={root}{PAGES}; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return f"{_NAME}={value}; {kept}{secure}"
