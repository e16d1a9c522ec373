"""Wakes the event loop once for all requests whose rows one commit has stored."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from ..datasets.log.answers import Recorded
    from ..datasets.log.stored_row import PreparedRow
    from ..datasets.log.writer import OnCommitted

    Receipts: TypeAlias = list[Recorded]
    Send: TypeAlias = Callable[[Sequence[PreparedRow], OnCommitted], None]


class Commits:
    """What requests wait for that the log's writer does.

    Examples
    --------
    >>> asyncio.run(Commits().stored(lambda rows, done: done(["committed"], None), []))
    ['committed']
    """

    def __init__(self) -> None:
        self._inbox: _Inbox | None = None

    async def stored(self, send: Send, rows: Sequence[PreparedRow]) -> Receipts:
        """Send rows to a log and return their receipts; they are recorded without a caller, too."""
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        waiter: asyncio.Future[Receipts] = loop.create_future()
        send(rows, partial(inbox.put, waiter))
        return await waiter


class _Inbox:
    """Waiters of one event loop: waking the loop costs more than resolving a waiter."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._resolved: deque[
            tuple[asyncio.Future[Receipts], Receipts | None, BaseException | None]
        ] = deque()
        self._woken = False

    def put(
        self,
        waiter: asyncio.Future[Receipts],
        receipts: Receipts | None,
        error: BaseException | None,
    ) -> None:
        """Let the loop resolve a waiter; may be called from any thread."""
        self._resolved.append((waiter, receipts, error))
        if not self._woken and not self.loop.is_closed():
            self._woken = True
            self.loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        # Before the waiters are taken: one that is added from now on wakes the loop again.
        self._woken = False
        while self._resolved:
            waiter, receipts, error = self._resolved.popleft()
            if waiter.done():
                continue
            if receipts is None:
                waiter.set_exception(error or RuntimeError())
            else:
                waiter.set_result(receipts)
