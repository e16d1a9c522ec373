"""What bounds the service's memory and one user's influence."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from .endpoint import Refusal

if TYPE_CHECKING:
    from .settings import ServiceSettings

WINDOW_SECONDS: Final = 60.0
MAX_USERS: Final = 50_000
"""Most users whose live events are counted; the one who came first is forgotten first."""


class Limits:
    """Requests and bytes in work, and live events by user."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._max_requests = settings.max_requests
        self._max_bytes = settings.max_bytes_in_flight
        self.requests = 0
        self.bytes = 0
        self.live = LiveEvents(settings.live_events_per_minute)

    def enter(self) -> None:
        """Count one request; the caller calls `leave` when it is done.

        Raises
        ------
        Refusal
            With status 503 if too many are in work; it is not counted then.
        """
        if self.requests >= self._max_requests:
            raise busy()
        self.requests += 1

    def leave(self) -> None:
        """Count one request less."""
        self.requests -= 1

    def reserve(self, size: int) -> None:
        """Set bytes aside for one body; the caller calls `release` when it is done.

        Raises
        ------
        Refusal
            With status 503 if the limit of bytes in progress is reached; none are set aside then.
        """
        if self.bytes and self.bytes + size > self._max_bytes:
            raise busy()
        self.bytes += size

    def release(self, size: int) -> None:
        """Give bytes back."""
        self.bytes -= size


class LiveEvents:
    """How many live events each user sent within the minute that began with the first of them.

    Examples
    --------
    >>> events = LiveEvents(2)
    >>> [events.wait("shop", "ann", now=second) for second in (0.0, 1.0, 2.0, 60.0)]
    [0.0, 0.0, 58.0, 0.0]
    """

    def __init__(self, per_minute: int, *, users: int = MAX_USERS) -> None:
        self._per_minute = per_minute
        self._users = users
        self._windows: OrderedDict[int, tuple[float, int]] = OrderedDict()

    def wait(self, namespace: str, user: str, *, now: float | None = None) -> float:
        """Count one event and return 0, or return in how many seconds another one may come."""
        moment = time.monotonic() if now is None else now
        key = hash((namespace, user))  # a number takes less memory than a long id
        began, count = self._windows.get(key, (moment, 0))
        if moment - began >= WINDOW_SECONDS:
            began, count = moment, 0
            self._windows.pop(key, None)
        if count >= self._per_minute:
            return began + WINDOW_SECONDS - moment
        self._windows[key] = began, count + 1
        if len(self._windows) > self._users:
            self._windows.popitem(last=False)
        return 0.0


def busy() -> Refusal:
    """Return the refusal of a request beyond a limit."""
    return Refusal(
        503,
        "ServiceUnavailable",
        "too many requests are in progress; nothing of this one was stored. Send it again later.",
        headers={"retry-after": "1"},
    )
