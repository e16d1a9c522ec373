"""The headers of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What one of these says twice, a proxy and the service may read differently.
_SINGLE: Final = frozenset(
    {
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "idempotency-key",
        "x-namespace",
    }
)


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return a request's headers by their lower-case name; the last of several counts.

    Raises
    ------
    Refusal
        With status 400 if a header that decides something stands there twice.
    """
    found: dict[str, str] = {}
    for raw, value in pairs:
        name = raw.decode("latin-1")
        if name in found and name in _SINGLE:
            raise Refusal(400, "BadRequest", f"expected one {name} header, got several")
        found[name] = value.decode("latin-1")
    return found


def announces_body(headers: Mapping[str, str]) -> bool:
    """Return whether a body follows."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
