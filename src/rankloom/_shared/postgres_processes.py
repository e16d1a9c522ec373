"""What processes over one PostgreSQL agree on: who does what, and when there is something new."""

from __future__ import annotations

import logging
import threading
import uuid
from typing import TYPE_CHECKING, Any, Final

from ..errors import StoreError
from .postgres import lock_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .postgres import PostgresCursor, PostgresServer

logger = logging.getLogger("rankloom")

CHANNEL: Final = "rankloom_news"
LISTEN_SECONDS: Final = 0.5
"""Seconds after which a listener looks whether it is to stop."""

RETRY_SECONDS: Final = 1.0

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at leases that others hold."""

_OURS: Final = uuid.uuid4().hex
"""Sent along with news, so that a process leaves its own aside."""

_TAKE: Final = (
    b"SELECT wanted.number, pg_try_advisory_lock(wanted.number) "
    b"FROM unnest(%s::bigint[]) AS wanted (number)"
)
_GIVE_BACK: Final = b"SELECT pg_advisory_unlock(number) FROM unnest(%s::bigint[]) AS held (number)"


class Leases:
    """Names that at most one process holds at a time; who dies lets go of them.

    They are locks of a connection of their own, so the server frees them as soon as the process
    has gone, and a few seconds after its machine has. A process that has lost the connection does
    not know at once that another took over: what is done under a lease has to bear that. Not safe
    to use from several threads.

    Parameters
    ----------
    server : PostgresServer
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._connection: Any = None
        self._held: dict[int, tuple[str, ...]] = {}

    def hold(self, names: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
        """Take what is free of these names, let go of all others, and return what is held.

        Nothing is held while the server is away.
        """
        wanted = {lock_number("lease", self._server.schema, *name): name for name in names}
        try:
            return self._hold(wanted)
        except StoreError as error:
            logger.warning("no lease can be held, next try later: %s", error)
            self.close()
            return set()

    def close(self) -> None:
        """Let go of every name."""
        connection, self._connection, self._held = self._connection, None, {}
        if connection is not None:
            connection.close()

    def _hold(self, wanted: dict[int, tuple[str, ...]]) -> set[tuple[str, ...]]:
        with self._server.errors():
            if self._connection is None:
                self._connection = self._server.connect()
            gone = [number for number in self._held if number not in wanted]
            # One of them is asked in any case, which shows whether the connection still lives.
            self._connection.execute(_GIVE_BACK, (gone,))
            new = [number for number in wanted if number not in self._held]
            taken = self._connection.execute(_TAKE, (new,)).fetchall() if new else []
        kept = {number: name for number, name in self._held.items() if number in wanted}
        self._held = kept | {number: wanted[number] for number, is_taken in taken if is_taken}
        return set(self._held.values())


class LeaseKeeper:
    """Takes leases in a thread of its own: however long other work takes, none stays untaken.

    Parameters
    ----------
    server : PostgresServer
    callback : callable
        Called in that thread when other names are held than before; quick.
    """

    def __init__(self, server: PostgresServer, callback: Callable[[], object]) -> None:
        self._leases, self._callback = Leases(server), callback
        self._wanted: frozenset[tuple[str, ...]] = frozenset()
        self._held: frozenset[tuple[str, ...]] = frozenset()
        self._look, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rankloom-leases", daemon=True)
        self._thread.start()

    @property
    def held(self) -> frozenset[tuple[str, ...]]:
        """The names that were held when last looked at."""
        return self._held

    def want(self, names: Iterable[tuple[str, ...]]) -> None:
        """Hold these names, as far as they are free, and no others from now on."""
        wanted = frozenset(names)
        if wanted != self._wanted:
            self._wanted = wanted
            self._look.set()

    def stop(self) -> None:
        """End the thread and let go of every name."""
        self._stopping.set()
        self._look.set()
        self._thread.join()
        self._leases.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            held = self._looked()
            if held != self._held:
                self._held = held
                self._callback()
            self._look.wait(LOOK_EVERY)
            self._look.clear()

    def _looked(self) -> frozenset[tuple[str, ...]]:
        try:
            return frozenset(self._leases.hold(self._wanted))
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the next look may do better, and without a thread there is none.
            logger.warning("no lease can be held, next try later: %s", type(error).__name__)
            self._leases.close()
            return frozenset()


class Listener:
    """Calls something when another process has news, and after every interruption.

    Parameters
    ----------
    server : PostgresServer
    callback : callable
        Called in a thread of its own; quick.
    """

    def __init__(self, server: PostgresServer, callback: Callable[[], object]) -> None:
        self._server, self._callback = server, callback
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rankloom-news", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._server.errors(), self._server.connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._callback()
                    while not self._stopping.is_set():
                        for news in connection.notifies(timeout=LISTEN_SECONDS):
                            if news.payload != _OURS:
                                self._callback()
            except StoreError:
                # Polling goes on without news.
                self._stopping.wait(RETRY_SECONDS)


def announce(cursor: PostgresCursor) -> None:
    """Let other processes know, once the transaction has committed, that there is something new."""
    cursor.execute("SELECT pg_notify(?, ?)", (CHANNEL, _OURS))
