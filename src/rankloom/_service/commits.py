"""Wakes the event loop once for all requests whose rows one commit has stored."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class Commits:
    """What requests wait for that the log's writer does.

    Examples
    --------
    >>> from concurrent.futures import Future
    >>> written = Future()
    >>> written.set_result("committed")
    >>> asyncio.run(Commits().done(written))
    'committed'
    """

    def __init__(self) -> None:
        self._inbox: _Inbox | None = None

    async def done(self, future: Future[T]) -> T:
        """Return a future's result; what it stands for goes on where the waiting is given up."""
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        waiter = loop.create_future()
        future.add_done_callback(partial(inbox.put, waiter))
        await waiter
        return future.result()


class _Inbox:
    """Who is to be told in one event loop: to wake it costs more than to tell a request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._woken = False

    def put(self, waiter: asyncio.Future[None], _: Future[Any]) -> None:
        """Let the loop tell a waiter soon; comes from any thread."""
        self._waiters.append(waiter)
        if not self._woken and not self.loop.is_closed():
            self._woken = True
            self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        # Before the waiters are taken: whoever joins them from now on wakes the loop again.
        self._woken = False
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
