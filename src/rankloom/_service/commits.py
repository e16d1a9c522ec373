"""Wakes the event loop once for all requests whose rows one commit has stored."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from ..datasets._log.rows import PreparedRow, Recorded
    from ..datasets._log.writer import Tell

    Receipts: TypeAlias = list[Recorded]
    Send: TypeAlias = Callable[[Sequence[PreparedRow], Tell], None]


class Commits:
    """What requests wait for that the log's writer does.

    Examples
    --------
    >>> asyncio.run(Commits().stored(lambda rows, tell: tell(["committed"], None), []))
    ['committed']
    """

    def __init__(self) -> None:
        self._inbox: _Inbox | None = None

    async def stored(self, send: Send, rows: Sequence[PreparedRow]) -> Receipts:
        """Send rows to a log and return their receipts; they go there though nobody waits."""
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        waiter: asyncio.Future[Receipts] = loop.create_future()
        send(rows, partial(inbox.put, waiter))
        return await waiter


class _Inbox:
    """Who is to be told in one event loop: to wake it costs more than to tell a request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._told: deque[
            tuple[asyncio.Future[Receipts], Receipts | None, BaseException | None]
        ] = deque()
        self._woken = False

    def put(
        self,
        waiter: asyncio.Future[Receipts],
        receipts: Receipts | None,
        error: BaseException | None,
    ) -> None:
        """Let the loop tell a waiter soon; comes from any thread."""
        self._told.append((waiter, receipts, error))
        if not self._woken and not self.loop.is_closed():
            self._woken = True
            self.loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        # Before the waiters are taken: whoever joins them from now on wakes the loop again.
        self._woken = False
        while self._told:
            waiter, receipts, error = self._told.popleft()
            if waiter.done():
                continue
            if receipts is None:
                waiter.set_exception(error or RuntimeError())
            else:
                waiter.set_result(receipts)
