"""What other processes have recorded of the sessions that are served here, read many at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import RankloomError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

logger = logging.getLogger("rankloom.service")

MOST_AT_ONCE: Final = 200


class Observing(Protocol):
    """A retriever that serves sessions whose clicks others may have recorded."""

    def observe_sessions(self, sessions: Sequence[str]) -> None:
        """Let what others have recorded of some sessions move their weights."""
        ...


class SessionReads:
    """Reads the sessions of requests that wait, all of a retriever in one query.

    Each is read after its request has come, so that it has what was acknowledged before.

    Parameters
    ----------
    in_thread : callable
        Awaits a function that may wait for a database.
    """

    def __init__(self, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._in_thread = in_thread
        self._waiting: dict[Observing, dict[str, asyncio.Future[None]]] = {}
        self._reading: dict[Observing, asyncio.Task[None]] = {}

    async def read(self, retriever: Observing, session_id: str) -> None:
        """Return once the session's weights can show what was recorded of it."""
        waiting = self._waiting.setdefault(retriever, {})
        future = waiting.get(session_id)
        if future is None:
            future = waiting[session_id] = asyncio.get_running_loop().create_future()
        if retriever not in self._reading:
            self._reading[retriever] = asyncio.create_task(self._read_all(retriever))
        # Several requests may wait for the same one; where one is given up, the others go on.
        await asyncio.shield(future)

    async def _read_all(self, retriever: Observing) -> None:
        try:
            while waiting := self._waiting.pop(retriever, None):
                try:
                    names = list(waiting)
                    for start in range(0, len(names), MOST_AT_ONCE):
                        await self._read_some(retriever, names[start : start + MOST_AT_ONCE])
                finally:
                    for future in waiting.values():
                        future.set_result(None)
        finally:
            del self._reading[retriever]

    async def _read_some(self, retriever: Observing, names: list[str]) -> None:
        try:
            await self._in_thread(retriever.observe_sessions, names)
        except (RankloomError, TimeoutError) as error:
            # They are served what is known here.
            logger.warning("what others recorded of sessions cannot be read: %s", error)
