"""Sums of users and sessions for one posterior, cached for as long as they stay true."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ..sessions.session_sums import PersonalSums
    from ..sessions.session_units import SessionUnits

MAX_CACHED: Final = 1_000
"""Most sessions that are cached, some 1 MB; the oldest entries go first."""


class PersonalKey(NamedTuple):
    """Whose sums they are."""

    session: int
    user: str | None


class _Cached(NamedTuple):
    """Sums of a session as it was, true while the same of its units are of the last hour."""

    live: SessionUnits
    resets: int
    since: int
    until: int
    sums: PersonalSums


class PersonalCache:
    """Sums by session and user; safe to use from several threads.

    From one request of a session to the next its units are the same until another of them comes or
    the oldest is an hour old, and adding them up costs as much as the rest of a request.

    `most`: most entries.
    """

    def __init__(self, most: int = MAX_CACHED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._cached: dict[PersonalKey, _Cached] = {}

    def get(
        self, key: PersonalKey, live: SessionUnits, since: int, resets: int
    ) -> PersonalSums | None:
        """Return the sums for the session as it is now, of its units first shown after a time.

        `resets`: `UserResets.changes`: another reset may be of a user whom the units name.
        """
        cached = self._cached.get(key)
        if cached is None or cached.live is not live or cached.resets != resets:
            return None
        return cached.sums if cached.since <= since < cached.until else None

    def put(
        self, key: PersonalKey, live: SessionUnits, since: int, resets: int, sums: PersonalSums
    ) -> None:
        """Remember the sums of units first shown after a time; parameters as of `get`."""
        times = live.records["time"]
        until = int(times[times > since].min())
        with self._lock:
            self._cached[key] = _Cached(live, resets, since, until, sums)
            if len(self._cached) > self._most:
                del self._cached[next(iter(self._cached))]
