"""Log lines of the service: one JSON object each, and logging never waits for the reader."""

import contextlib
import json
import logging
import os
import sys
import threading
import time

from rankloom.cli.serving import log_lines


def test_records_are_lines_of_json_with_time_and_traceback(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    with log_lines.log_to_stderr():
        logging.getLogger("rankloom.service").info('{"route":"/100%s"}')
        try:
            int("x")
        except ValueError:
            logging.getLogger("other").exception("failed: %s", "x\ny")
        logging.getLogger("other").info("not logged")
    request, failure = map(json.loads, capfd.readouterr().err.splitlines())
    assert request["route"] == "/100%s"
    assert request.keys() == {"time", "route"}
    assert (failure["level"], failure["message"]) == ("error", "failed: x\ny")
    assert "ValueError" in failure["traceback"]


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Unread:
    """A stream that takes nothing until it is read."""

    def __init__(self):
        self.is_read, self.text = threading.Event(), ""

    def write(self, text):
        self.is_read.wait()
        self.text += text

    def flush(self):
        pass


def test_where_stderr_is_not_read_the_oldest_lines_are_dropped(monkeypatch):
    monkeypatch.setattr(log_lines, "MAX_LINES", 3)
    stream = Unread()
    handler = log_lines.LineQueue(stream)
    handler.handle(logging.makeLogRecord({"msg": "0"}))
    until(lambda: not handler._lines)  # the thread waits for the stream with it
    for number in range(1, 10):
        handler.handle(logging.makeLogRecord({"msg": str(number)}))
    stream.is_read.set()
    handler.close()
    assert stream.text.split() == ["0", "7", "8", "9"]


def test_lines_are_written_though_no_other_comes():
    stream = Unread()
    stream.is_read.set()
    handler = log_lines.LineQueue(stream)
    for number in range(3_000):
        handler.handle(logging.makeLogRecord({"msg": str(number)}))
    until(lambda: stream.text.split() == list(map(str, range(3_000))))
    handler.close()


def test_a_stream_that_is_closed_ends_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # noqa: PTH123 - a pipe has no path
        handler = log_lines.LineQueue(stream)
        handler.handle(logging.makeLogRecord({"msg": "x"}))
        handler.close()
        with contextlib.suppress(BrokenPipeError):
            stream.close()
