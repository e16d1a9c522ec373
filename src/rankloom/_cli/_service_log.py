"""What the running service logs: one JSON object a line on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_EVERY: Final = 0.1
"""Seconds for which lines are gathered: a write for each would stop the event loop each time."""

_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"
MOST_LINES: Final = 100_000
"""Lines that wait where nobody reads them; the oldest go first."""


class GatheredLines(logging.Handler):
    """Writes lines in a thread of its own, many at once; those above INFO are there at once.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._writing = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rankloom-lines", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's line for the next write."""
        try:
            self._lines.append(self.format(record))
            if record.levelno > logging.INFO:
                self.flush()
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._closed.set()
        self._thread.join()
        self.flush()
        super().close()

    def _run(self) -> None:
        while not self._closed.wait(WRITE_EVERY):
            with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
                self.flush()


class JsonLines(logging.Formatter):
    """Makes every record one line of JSON; a message that is an object is its own line."""

    _second = -1
    _moment = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of a record, made once a second."""
        second = int(record.created)
        if second != self._second:
            self._moment = time.strftime(datefmt or _TIME, self.converter(second))
            self._second = second
        return self._moment

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = self.formatTime(record)
        message = record.getMessage()
        if record.name == "rankloom.service" and message.startswith("{"):
            return f'{{"time":"{moment}",{message[1:]}'
        line = {"time": moment, "level": record.levelname.lower(), "message": message}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Log on stderr: requests of the service, and warnings of everything else."""
    handler = GatheredLines(sys.stderr)
    handler.setFormatter(JsonLines())
    root, service = logging.getLogger(), logging.getLogger("rankloom.service")
    before = service.level, logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    # No line tells of threads or processes, and each request has a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root.addHandler(handler)
    service.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        level, logging.logThreads, logging.logProcesses, logging.logMultiprocessing = before
        service.setLevel(level)
