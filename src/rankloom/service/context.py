"""What a running service holds: the log, tokens, learning retrievers, rankers, counts."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..errors import RankloomError
from .commits import Commits
from .http.limits import Limits
from .http.live_events import LiveEvents
from .http.metrics import Metrics
from .http.tokens import Tokens
from .session_reads import SessionReads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..datasets.log.answers import Recorded
    from ..datasets.log.interaction_log import InteractionLog
    from ..datasets.log.stored_row import PreparedRow
    from .learning.retrievers import Retrievers
    from .rankers import Rankers
    from .settings import ServiceSettings

T = TypeVar("T")

READY_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 5.0
REACH_SECONDS: Final = 5.0
READERS: Final = 4
"""Threads that read for requests; the event loop itself never waits for a disk."""

SEARCHERS: Final = 2
"""Searches at once: one may take seconds, and must leave a thread to requests that take none."""


class ServiceContext:
    """Everything that requests share.

    Parameters
    ----------
    settings : ServiceSettings

    Raises
    ------
    RankloomError
        Says in one line what keeps the service from starting.
    """

    settings: ServiceSettings
    tokens: Tokens
    log: InteractionLog
    retrievers: Retrievers
    rankers: Rankers
    limits: Limits
    live_events: LiveEvents
    metrics: Metrics
    sessions: SessionReads

    def __init__(self, settings: ServiceSettings) -> None:
        from ..bandit.base.rewards import RewardTable
        from ..datasets.log.interaction_log import InteractionLog
        from .learning.retrievers import Retrievers
        from .rankers import Rankers

        self.settings = settings
        self.limits = Limits(settings.max_requests, settings.max_bytes_in_flight)
        self.live_events = LiveEvents(settings.live_events_per_minute)
        self.metrics = Metrics()
        self._commits = Commits()
        self._searching = asyncio.Semaphore(SEARCHERS)
        self._views: dict[str, InteractionLog] = {}
        self._looking, self._looked = asyncio.Lock(), -READY_SECONDS
        self._reasons: list[str] = []
        with contextlib.ExitStack() as opened:
            self.tokens = Tokens(settings.token_file)
            self.rankers = Rankers(settings.rankers)
            opened.callback(self.rankers.stop)
            self.log = InteractionLog(settings.log, types=RewardTable(settings.rewards).own_types)
            opened.callback(self.log.close)
            self.log.check()
            _reach(settings.state)
            self.retrievers = Retrievers(
                self.log,
                settings.state,
                retention_days=settings.retention_days,
                open_days=settings.open_days,
                publish_every=settings.publish_every,
                rewards=settings.rewards,
            )
            opened.callback(self.retrievers.stop)
            self.retrievers.start()
            self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="rankloom-read")
            opened.callback(self._pool.shutdown)
            self.sessions = SessionReads(self.in_thread)
            self._opened = opened.pop_all()
        self._watch()

    def view(self, namespace: str) -> InteractionLog:
        """Return the log of one namespace, all its retrievers."""
        found = self._views.get(namespace)
        if found is None:
            found = self._views[namespace] = self.log.within(namespace)
        return found

    async def in_thread(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Run a function that may wait for a disk.

        Raises
        ------
        TimeoutError
            If it takes longer than a request may; it ends by itself then.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.settings.request_seconds):
            return await loop.run_in_executor(self._pool, partial(function, *args, **named))

    async def search(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Run a function that may take seconds, as `in_thread` does, but few of them at once."""
        async with asyncio.timeout(self.settings.request_seconds), self._searching:
            return await self.in_thread(function, *args, **named)

    async def committed(self, log: InteractionLog, rows: Sequence[PreparedRow]) -> list[Recorded]:
        """Let the log's writer commit rows; it goes on where the waiting is given up."""
        return await self._commits.stored(log.send, rows)

    async def unready(self) -> list[str]:
        """Return why the service cannot work, looked at once a second at most.

        Everybody may ask, and the log is written to find out.
        """
        async with self._looking:
            if monotonic() >= self._looked + READY_SECONDS:
                self._reasons = await self._look()
                self._looked = monotonic()
            return self._reasons

    async def _look(self) -> list[str]:
        reasons = []
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.committed(self.log, [])
        except TimeoutError:
            reasons.append("the log takes too long")
        except RankloomError:
            reasons.append("the log cannot be written")
        if not self.retrievers.is_alive:
            reasons.append("the log is not followed")
        return reasons

    def close(self) -> None:
        """Commit what waits, stop following, and close all files; once closed, do nothing."""
        self._opened.close()

    def _watch(self) -> None:
        watch = self.metrics.watch
        watch("rankloom_requests_in_work", "Requests in work.", lambda: self.limits.requests)
        watch("rankloom_body_bytes", "Bytes of bodies in work.", lambda: self.limits.bytes)
        watch("rankloom_log_queue_rows", "Rows that wait for a commit.", lambda: self.log.waiting)
        watch("rankloom_follower_lag_rows", "Rows not learnt yet.", lambda: self.retrievers.lag)


def _reach(url: str) -> None:
    """Raise unless the store of learned state answers, which nothing else would find out yet."""
    from ..bandit.store.opening import open_store

    with open_store(url, timeout=REACH_SECONDS) as store:
        store.log_position()
