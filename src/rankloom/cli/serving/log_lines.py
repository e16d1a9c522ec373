"""What the running service logs: one JSON object a line on stderr, written by a thread."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

MAX_LINES: Final = 100_000
"""Lines that wait where stderr is not read; the oldest are dropped first."""

AT_ONCE: Final = 1_000
"""Lines that are written together."""

PAUSE: Final = 0.05
"""Seconds that a line waits for others."""

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


class LineQueue(logging.Handler):
    """Formats records where they are logged, and writes their lines from a thread, many at once.

    Logging waits for no stream: of lines that are not read the oldest are dropped. A thread that
    woke for each line would take the interpreter from the requests each time.

    Parameters
    ----------
    stream : file object
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._waiting, self._is_ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="rankloom-log-lines", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record."""
        try:
            self._lines.append(self.format(record))
        except Exception:  # noqa: BLE001 - as all handlers do
            self.handleError(record)
        if not self._waiting.is_set():
            self._waiting.set()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._is_ending = True
        self._waiting.set()
        self._thread.join()
        super().close()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._waiting.wait()
            if not self._is_ending:
                time.sleep(PAUSE)
            self._waiting.clear()
            is_last = self._is_ending
            with contextlib.suppress(OSError, ValueError):  # nobody reads the stream any more
                self._write()

    def _write(self) -> None:
        while self._lines:
            lines = [self._lines.popleft() for _ in range(min(len(self._lines), AT_ONCE))]
            self._stream.write("\n".join([*lines, ""]))
            self._stream.flush()


@contextlib.contextmanager
def log_to_stderr() -> Iterator[None]:
    """Log on stderr: requests of the service, and warnings of everything else."""
    handler = LineQueue(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root, service = logging.getLogger(), logging.getLogger("rankloom.service")
    level = service.level
    root.addHandler(handler)
    service.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        service.setLevel(level)
