"""Log lines of the service: one JSON object each, and logging never waits for the reader."""

import json
import logging
import os
import sys
from queue import Queue

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


def test_where_stderr_is_not_read_the_oldest_lines_are_dropped():
    reader, writer = os.pipe()
    lines = Queue(3)
    queued = log_lines.LineQueue(lines)
    for number in range(10):
        queued.handle(logging.makeLogRecord({"msg": str(number)}))
    with open(writer, "w") as stream:  # noqa: PTH123 - a pipe has no path
        listener = log_lines.LineWriter(lines, logging.StreamHandler(stream))
        listener.start()
        listener.stop()
    with open(reader) as stream:  # noqa: PTH123
        assert stream.read().split() == ["7", "8", "9"]
