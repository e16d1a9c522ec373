"""What the running service logs: one JSON object a line on stderr, written by a thread."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from logging.handlers import QueueHandler, QueueListener
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES: Final = 100_000
"""Lines that wait where stderr is not read; the oldest are dropped first."""

_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"


class JsonFormatter(logging.Formatter):
    """Makes every record one line of JSON; a message that is an object is its own line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = self.formatTime(record, _TIME)
        message = record.getMessage()
        if record.name == "rankloom.service" and message.startswith("{"):
            return f'{{"time":"{moment}",{message[1:]}'
        line = {"time": moment, "level": record.levelname.lower(), "message": message}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class LineQueue(QueueHandler):
    """Formats records where they are logged; a full queue drops its oldest line."""

    def __init__(self, lines: Queue[Any]) -> None:
        super().__init__(lines)
        self._lines = lines

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record into the queue without waiting: the event loop must not stop."""
        while True:
            try:
                self._lines.put_nowait(record)
            except Full:
                with contextlib.suppress(Empty):
                    self._lines.get_nowait()
            else:
                return


class LineWriter(QueueListener):
    """Writes what waits in the queue from a thread of its own."""

    def enqueue_sentinel(self) -> None:
        """Wait for a free place: the sentinel that ends the thread must not be refused."""
        self.queue.put(self._sentinel)  # type: ignore[attr-defined]


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Log on stderr: requests of the service, and warnings of everything else."""
    lines: Queue[Any] = Queue(MAX_LINES)
    handler = LineQueue(lines)
    handler.setFormatter(JsonFormatter())
    writer = LineWriter(lines, logging.StreamHandler(sys.stderr))
    root, service = logging.getLogger(), logging.getLogger("rankloom.service")
    level = service.level
    root.addHandler(handler)
    service.setLevel(logging.INFO)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        writer.stop()
        service.setLevel(level)
