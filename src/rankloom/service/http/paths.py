"""The path by which a request is routed: as it was sent, without the prefix of a mount or a proxy.

Identifiers may hold slashes, so routes match percent-encoded text. ``path`` of an ASGI scope is
decoded, and its ``raw_path`` is optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..settings import is_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAFE: Final = "/:@!$&'()*+,;=~-._"
"""What a path holds as it is (RFC 3986, section 3.3)."""


def routed_path(scope: Mapping[str, Any], root_path: str) -> str:
    """Return the path of a request, percent-encoded, from the service's own root on.

    Parameters
    ----------
    scope : mapping
        An HTTP request's ASGI scope; its ``root_path`` is where a framework has mounted the
        service.
    root_path : str
        Under which a proxy serves it; taken off where the proxy has passed it on.

    Examples
    --------
    >>> routed_path({"path": "/a/b/c", "raw_path": b"/a%2Fb/c"}, "")
    '/a%2Fb/c'
    >>> routed_path({"path": "/rank/healthz", "root_path": "/rank"}, "")
    '/healthz'
    >>> [routed_path({"path": path}, "/rank") for path in ("/rank/healthz", "/healthz")]
    ['/healthz', '/healthz']
    """
    raw = scope.get("raw_path")
    path = (
        quote(scope["path"], safe=_SAFE)
        if raw is None
        else raw.partition(b"?")[0].decode("ascii", "replace")
    )
    for prefix in (scope.get("root_path", ""), root_path):
        if prefix:
            path = _without(path, quote(prefix.rstrip("/"), safe=_SAFE))
    return path


def public_root(headers: Mapping[str, str], root: str) -> str:
    """Return what stands before every path for the sender: a proxy may say that it took it off."""
    forwarded = headers.get("x-forwarded-prefix", "")
    return forwarded if forwarded and is_prefix(forwarded) else root


def _without(path: str, prefix: str) -> str:
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path
