"""What bounds the memory of the service: requests and bytes in progress."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


class Limits:
    """Requests and bytes in progress.

    Parameters
    ----------
    max_requests, max_bytes : int

    Examples
    --------
    >>> limits = Limits(max_requests=1, max_bytes=1_000)
    >>> with limits.request(), limits.body(500):
    ...     limits.requests, limits.bytes
    (1, 500)
    >>> limits.requests, limits.bytes
    (0, 0)
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request.

        Raises
        ------
        Refusal
            With status 503 if too many are in progress.
        """
        if self.requests >= self._max_requests:
            raise busy()
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def body(self, size: int) -> Iterator[None]:
        """Set bytes aside for one body.

        Raises
        ------
        Refusal
            With status 503 if there are too many; a body that is alone always fits.
        """
        if self.bytes and self.bytes + size > self._max_bytes:
            raise busy()
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size


def busy() -> Refusal:
    """Return the refusal of a request beyond a limit."""
    return Refusal(
        503,
        "ServiceUnavailable",
        "too many requests are in progress; nothing of this one was stored. Send it again later.",
        headers={"retry-after": "1"},
    )
