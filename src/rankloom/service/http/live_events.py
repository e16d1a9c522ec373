"""What bounds the influence of one user."""

from __future__ import annotations

import time
from collections import OrderedDict
from itertools import islice
from typing import Final

WINDOW_SECONDS: Final = 60.0
MAX_USERS: Final = 50_000
"""Most users whose live events are counted; the one who came first is forgotten first."""


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
        self._drop_old(moment)
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

    def _drop_old(self, moment: float) -> None:
        # They are in the order in which they began. Two are looked at for each that is added.
        for key in list(islice(self._windows, 2)):
            if moment - self._windows[key][0] >= WINDOW_SECONDS:
                del self._windows[key]
