"""The one thread of a process that writes a log: what is queued is committed together."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar, cast

from ...errors import IntegrityError, InvalidInputError, StoreBusyError, StoreError
from .group import MAX_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from .answers import Recorded
    from .stored_row import PreparedRow

T = TypeVar("T")
OnCommitted: TypeAlias = "Callable[[list[Recorded] | None, BaseException | None], object]"
"""Takes receipts that are committed, or the error that undid them."""

MAX_ROWS: Final = 50_000
"""Rows that may wait."""

MAX_BYTES: Final = 128_000_000
"""Bytes, about, that may wait."""

_logger: Final = logging.getLogger("rankloom.log")


class WriteSession(Protocol):
    """The writer's connection to the database, in one thread only."""

    def insert(self, rows: Sequence[PreparedRow]) -> list[Recorded]:
        """Store rows in one transaction and return their receipts; without rows, write a little."""
        ...

    def prepare(self, rows: Sequence[PreparedRow], earlier: Any) -> Insertion | None:
        """Prepare to insert rows while an earlier insertion runs; None where `insert` is to."""
        ...

    def run(self, step: Callable[[Any], T], namespace: str | None) -> T:
        """Run a step in a transaction of its own, which no other changes that namespace in."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Insertion(Protocol):
    """Rows whose insertion the database works on while the writer goes on."""

    def start(self) -> None:
        """Send the rows; the insertion before is done."""
        ...

    def finish(self) -> list[Recorded]:
        """Wait until the rows are committed and return their receipts."""
        ...


class Opener(Protocol):
    """Where the writer's connection comes from."""

    def make_ready(self) -> None:
        """Do what cannot be done while the interpreter ends, such as to start threads."""
        ...

    def session(self) -> WriteSession:
        """Return a new connection to write by."""
        ...

    def errors(self) -> AbstractContextManager[None]:
        """Turn the database's errors into ours."""
        ...


class _Rows(NamedTuple):
    rows: Sequence[PreparedRow]
    size: int
    on_committed: OnCommitted


class _Task(NamedTuple):
    step: Callable[[Any], Any]
    namespace: str | None
    future: Future[Any]


class Writer:
    """Takes rows from any thread and commits all that wait in one transaction (group commit).

    A future's result means that the transaction has been committed to the disk. An error undoes
    the transaction and is set in every future of it; later calls work again.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._condition = threading.Condition()
        self._queue: deque[_Rows | _Task] = deque()
        self._rows = self._size = 0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._session: WriteSession | None = None
        self._running: tuple[list[_Rows], Insertion] | None = None
        self.callbacks: list[Callable[[], object]] = []

    @property
    def waiting(self) -> int:
        """Return how many rows wait."""
        return self._rows

    def submit(self, rows: Sequence[PreparedRow]) -> Future[list[Recorded]]:
        """Queue rows for the next transaction; raises as `send`."""
        future: Future[list[Recorded]] = Future()
        future.set_running_or_notify_cancel()

        def on_committed(receipts: list[Recorded] | None, error: BaseException | None) -> None:
            if receipts is None:
                future.set_exception(error)
            else:
                future.set_result(receipts)

        self.send(rows, on_committed)
        return future

    def send(self, rows: Sequence[PreparedRow], on_committed: OnCommitted) -> None:
        """Queue rows for the next transaction; the writer's thread calls `on_committed` after it.

        Raises StoreBusyError if too much waits already.
        """
        if len(rows) > MAX_GROUP:
            msg = f"rows: at most {MAX_GROUP:,} at once, got {len(rows):,}; send them in parts"
            raise InvalidInputError(msg)
        size = sum([row.size for row in rows])
        if self._thread is None:
            # What waits when the interpreter ends is written then. Errors come with the rows.
            with suppress(StoreError, IntegrityError):
                self._opener.make_ready()
        with self._condition:
            if self._queue and (self._rows + len(rows) > MAX_ROWS or self._size + size > MAX_BYTES):
                msg = f"{self._rows:,} interactions wait to be written; try again later"
                raise StoreBusyError(msg)
            self._rows += len(rows)
            self._size += size
            self._put(_Rows(rows, size, on_committed))

    def run(self, step: Callable[[Any], T], namespace: str | None = None) -> T:
        """Run a step in a transaction of its own, after what was queued before.

        `step` gets a cursor, which sees one namespace where the database can see to that, and
        nobody else changes anything in that namespace meanwhile.
        """
        if threading.current_thread() is self._thread:
            msg = "on_commit: the callback runs in the writer's thread, so it must not wait for it"
            raise StoreError(msg)
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._condition:
            self._put(_Task(step, namespace, future))
        return future.result()

    def close(self) -> None:
        """Write what waits, end the thread and close the connection."""
        with self._condition:
            thread, self._closing = self._thread, True
            self._condition.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._condition:
            self._closing = False

    def _put(self, item: _Rows | _Task) -> None:
        self._queue.append(item)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="rankloom-log", daemon=True)
            self._thread.start()
        self._condition.notify()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not (self._queue or self._running or self._closing):
                    self._condition.wait()
                if not (self._queue or self._running):
                    self._thread = None
                    self._disconnect()
                    return
                group = self._next_group() if self._queue else []
            self._do(group)

    def _next_group(self) -> list[_Rows] | _Task:
        """Return a task, or the rows that wait before the next one.

        Beside an insertion that runs, half of all that is under way: neither then waits for the
        other.
        """
        if isinstance(self._queue[0], _Task):
            return cast("_Task", self._queue.popleft())
        limit = MAX_GROUP
        if self._running is not None:
            running = sum([len(item.rows) for item in self._running[0]])
            limit = min(limit, (self._rows + running) // 2)
        group: list[_Rows] = []
        count = 0
        while self._queue and not isinstance(self._queue[0], _Task):
            count += len(self._queue[0].rows)
            if group and count > limit:
                break
            taken = cast("_Rows", self._queue.popleft())
            self._rows -= len(taken.rows)
            self._size -= taken.size
            group.append(taken)
        return group

    def _do(self, group: list[_Rows] | _Task) -> None:
        """Do what waited, beside the insertion that runs or after it."""
        if isinstance(group, _Task):
            self._finish()
            self._do_task(group)
        elif group:
            self._insert(group)
        else:
            self._finish()

    def _insert(self, group: list[_Rows]) -> None:
        rows = group[0].rows if len(group) == 1 else [row for item in group for row in item.rows]
        receipts: list[Recorded] = []
        try:
            with self._opener.errors():
                session = self._connected()
                insertion = session.prepare(rows, self._running and self._running[1])
                self._finish()
                if insertion is None:
                    receipts = session.insert(rows)
                else:
                    insertion.start()
        except BaseException as error:  # noqa: BLE001 - the thread must live; the callers get it
            self._finish()
            for item in group:
                self._call(item.on_committed, None, error)
            return
        if insertion is None:
            self._commit(group, receipts)
        else:
            self._running = group, insertion

    def _finish(self) -> None:
        """Wait for the insertion that runs, if one does."""
        if self._running is None:
            return
        (group, insertion), self._running = self._running, None
        try:
            with self._opener.errors():
                receipts = insertion.finish()
        except BaseException as error:  # noqa: BLE001 - as above
            for item in group:
                self._call(item.on_committed, None, error)
        else:
            self._commit(group, receipts)

    def _commit(self, group: list[_Rows], receipts: list[Recorded]) -> None:
        """Give out the receipts of rows that are committed."""
        start = 0
        for item in group:
            end = start + len(item.rows)
            self._call(item.on_committed, receipts[start:end], None)
            start = end
        for callback in list(self.callbacks):
            self._call(callback)

    def _do_task(self, task: _Task) -> None:
        try:
            with self._opener.errors():
                result = self._connected().run(task.step, task.namespace)
        except BaseException as error:  # noqa: BLE001 - as above
            task.future.set_exception(error)
        else:
            task.future.set_result(result)

    def _connected(self) -> WriteSession:
        if self._session is None:
            self._session = self._opener.session()
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @staticmethod
    def _call(function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except BaseException:
            # The thread must go on, since other callers wait for their results.
            _logger.exception("a callback of the log failed")
