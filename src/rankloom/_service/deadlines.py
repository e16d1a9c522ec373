"""Ends what takes too long, in rounds: timers of each request's own cost a fifth of its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import TracebackType

ROUND_SECONDS: Final = 0.25
"""Time between two looks, by which a deadline may be late."""


class Deadlines:
    """The deadlines of everything that runs now in one event loop.

    Examples
    --------
    >>> async def sleep_long() -> str:
    ...     try:
    ...         with deadlines.within(0.1):
    ...             await asyncio.sleep(60.0)
    ...     except TimeoutError:
    ...         return "late"
    >>> deadlines = Deadlines()
    >>> asyncio.run(sleep_long())
    'late'
    """

    def __init__(self) -> None:
        self.running: set[_Deadline] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, seconds: float) -> _Deadline:
        """Return a context that raises `TimeoutError` if it is not left in time."""
        return _Deadline(self, seconds)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look, unless that is going on."""
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(ROUND_SECONDS, self._look)

    def _look(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None or not self.running:
            return
        now = loop.time()
        for each in list(self.running):
            each.end_if_over(now)
        self.watch(loop)


class _Deadline:
    """As `asyncio.timeout`, but looked at by `Deadlines`."""

    __slots__ = ("_at", "_cancelled_before", "_deadlines", "_over", "_seconds", "_task")

    _task: asyncio.Task[object]

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines, self._seconds = deadlines, seconds
        self._over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - requests are served in tasks
        self._task, self._cancelled_before = task, task.cancelling()
        loop = task.get_loop()
        self._at = loop.time() + self._seconds
        self._deadlines.running.add(self)
        self._deadlines.watch(loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.running.discard(self)
        # If something else cancelled the task, it must end, and not go on with an error.
        if (
            self._over
            and self._task.uncancel() <= self._cancelled_before
            and (kind is not None and issubclass(kind, asyncio.CancelledError))
        ):
            raise TimeoutError from error

    def end_if_over(self, now: float) -> None:
        """Cancel the task where its time is over."""
        if now >= self._at and not self._over:
            self._over = True
            self._task.cancel()
